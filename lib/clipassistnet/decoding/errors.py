"""The error of everything that decodes."""


class FrameError(ValueError):
    """A frame that cannot be decoded; names the file, and the last good frame if there is one."""
