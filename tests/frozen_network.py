"""A stand-in for a classifier on frozen features, whose features a test makes up."""


class Network:
    """With `trunk_sha256` in its spec its features are frozen."""

    def __init__(self, **spec):
        self.spec = {"cropped": 0, **spec}
