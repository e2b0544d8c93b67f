"""The error of the annotator and the review."""

from clipassistnet.errors import ExplainedError


class AnnotateError(ExplainedError, ValueError):
    """A folder, a file or a value that cannot be used; the message says what is expected."""
