"""Is a picture one to be scored? Its format, its size, darkness, and whether it stands still."""

from __future__ import annotations

import numpy as np

# Of 255: a picture whose brightest percent is below this is black. Video black is 0, or 16 where a
# player forgot to stretch it; lit tissue is far above.
BLACK = 24
_STEP = 8  # pixels between those looked at for darkness


class PictureCheck:
    """Finds what is wrong with the pictures of one source, one after the other.

    `size` is the (width, height) expected; None takes that of the first picture of a sound format.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.size = size
        self._previous = None  # type: np.ndarray | None

    def fault(self, frame: object) -> str:
        """Why this picture cannot be used; "" where it can."""
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            kind = getattr(frame, "dtype", type(frame).__name__)
            return f"wrong format: {kind}, expected uint8"
        if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            return f"wrong format: shape {frame.shape}, expected (height, width, 3)"
        size = (frame.shape[1], frame.shape[0])
        self.size = self.size or size
        if size != self.size:
            wanted = "{}x{}".format(*self.size)
            return f"wrong size: {size[0]}x{size[1]}, expected {wanted}"
        previous, self._previous = self._previous, frame
        # Before darkness: a black picture stands still as well, and black says more of the cause.
        if np.percentile(frame[::_STEP, ::_STEP].max(axis=2), 99) < BLACK:
            return "black picture"
        # A camera's noise makes no two pictures equal. Repeated ones of a converter do no harm:
        # only LIMIT seconds without a new picture do.
        if previous is not None and np.array_equal(frame, previous):
            return "frozen picture"
        return ""
