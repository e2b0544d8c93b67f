"""Whether a picture can be scored: its format, size and brightness, and whether it is frozen."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

# Of 255: a picture whose brightest percent is below this is black. Video black is 0, or 16 where a
# player forgot to stretch it; lit tissue is far above.
BLACK = 24
_STEP = 8  # pixels between those looked at for darkness
# A picture stands still where hardly a value (_STILL of them) changes by more than _NOISE of 255.
# Not only where none changes: a picture that froze before its encoder comes out of the decoder a
# little different each time. Endoscopic video changed nine times as many values at the least.
_NOISE, _STILL = 8, 1e-4
_ROWS = slice(None, None, 8)  # every eighth one tells as much
# A source that stands still may show several pictures in turn: a driver its ring of buffers, a
# deinterlacer the two fields of one frozen frame.
_TURN = 4


class PictureCheck:
    """Finds what is wrong with the pictures of one source, one after the other.

    `size` is the (width, height) expected; None takes that of the first picture of a sound format.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.size = size
        self._latest = deque(maxlen=_TURN)  # type: deque[np.ndarray]

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
        rows = frame[_ROWS].copy()  # not the frame: its source may draw the next one into it
        stands = any(_stand_still(previous, rows) for previous in self._latest)
        self._latest.append(rows)
        # Before darkness: a black picture stands still as well, and black says more of the cause.
        if np.percentile(frame[::_STEP, ::_STEP].max(axis=2), 99) < BLACK:
            return "black picture"
        # Pictures that a converter repeats do no harm: only LIMIT seconds without a new one do.
        return "frozen picture" if stands else ""


def _stand_still(previous: np.ndarray, rows: np.ndarray) -> bool:
    difference = cv2.absdiff(previous, rows)
    changed = cv2.threshold(difference, _NOISE, 1, cv2.THRESH_BINARY)[1]
    return cv2.countNonZero(changed.reshape(len(changed), -1)) <= _STILL * changed.size
