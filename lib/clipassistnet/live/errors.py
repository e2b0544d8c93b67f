"""What can go wrong with a source of pictures."""


class SourceError(ValueError):
    """A source that cannot be used, and what would help."""
