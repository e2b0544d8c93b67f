"""The error of everything that decodes."""

from __future__ import annotations

from clipassistnet.errors import ExplainedError


class FrameError(ExplainedError, ValueError):
    """A frame that cannot be decoded; names the file, and the last good frame if there is one."""
