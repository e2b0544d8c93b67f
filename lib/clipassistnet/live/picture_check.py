"""Whether a picture can be scored: its format, size and brightness, and whether it is frozen."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

# Of 255: a picture whose brightest percent is below this is black. Video black is 0, or 16 where a
# player does not stretch it; lit tissue is far above.
BLACK = 24
_STEP = 8  # pixels between those that are examined for darkness
# A value has changed where it differs by more than this of 255. Not by any difference: a picture
# that froze before its encoder comes out of the decoder a little different each time.
_NOISE = 8
# A source that stands still may show several pictures in turn: a driver its ring of buffers, a
# deinterlacer the two fields of one frozen frame.
_TURN = 4
# Motion is judged in blocks, as many in each direction. The outer ones do not count: a clock, a
# menu or a patient's name there changes while the picture behind it is dead. In real video 11 % of
# the other blocks changed in every frame, or more (tests/test_live_frozen.py).
_BLOCKS, _RIM = 16, 2
_MOVING = 0.04  # of the lit blocks
_REGIONS = (
    3  # in each direction; a clock inside the picture lies in one of them, or in a row of them
)
_ROWS = 128  # at least as many rows are compared


class PictureCheck:
    """Finds what is wrong with the pictures of one source, one after another.

    `size` is the (width, height) expected; None takes that of the first picture in a valid format.
    """

    def __init__(self, size: tuple[int, int] | None = None) -> None:
        self.size = size
        self._latest: deque[np.ndarray] = deque(maxlen=_TURN)

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
        # A copy, not a view of the frame: its source may draw the next one into it.
        rows = frame[:: max(1, size[1] // _ROWS)].copy()
        frozen = any(not _moves(previous, rows) for previous in self._latest)
        self._latest.append(rows)
        # Darkness first: a black picture is frozen as well, but "black" says more about the cause.
        if np.percentile(_inside(frame)[::_STEP, ::_STEP].max(axis=2), 99) < BLACK:
            return "black picture"
        # Pictures that a converter repeats do no harm: only LIMIT seconds without a new one do.
        return "frozen picture" if frozen else ""


def _inside(frame: np.ndarray) -> np.ndarray:
    """The frame without its rim."""
    down, right = (side * _RIM // _BLOCKS for side in frame.shape[:2])
    return frame[down : frame.shape[0] - down, right : frame.shape[1] - right]


def _moves(previous: np.ndarray, rows: np.ndarray) -> bool:
    """Whether the lit field of view differs: in enough blocks, and in several regions."""
    lit = _block_maxima(rows) >= BLACK
    moving = (_block_maxima(cv2.absdiff(previous, rows)) > _NOISE) & lit
    if moving.sum() < max(1, _MOVING * lit.sum()):
        return False
    moving, lit = _regions(moving), _regions(lit)
    spread = [
        (moving.sum(), lit.sum(), 3),
        (moving.any(axis=0).sum(), lit.any(axis=0).sum(), 2),
        (moving.any(axis=1).sum(), lit.any(axis=1).sum(), 2),
    ]
    return all(found >= min(possible, needed) for found, possible, needed in spread)


def _block_maxima(rows: np.ndarray) -> np.ndarray:
    """The largest value in each block inside the rim, uint8 (12, 12)."""
    flat = rows.reshape(len(rows), -1)
    down = np.linspace(0, len(rows), _BLOCKS, endpoint=False).astype(int)
    right = np.linspace(0, rows.shape[1], _BLOCKS, endpoint=False).astype(int) * rows.shape[2]
    maxima = np.maximum.reduceat(np.maximum.reduceat(flat, right, axis=1), down, axis=0)
    return maxima[_RIM:-_RIM, _RIM:-_RIM]


def _regions(blocks: np.ndarray) -> np.ndarray:
    """Whether any block of each region is set, bool (3, 3)."""
    side = len(blocks) // _REGIONS
    return np.asarray(blocks.reshape(_REGIONS, side, _REGIONS, side).any(axis=(1, 3)))
