"""Upright pictures: the turn and the mirroring that a file asks for (its display matrix)."""

from __future__ import annotations

from typing import Any

import numpy as np
from av.sidedata.sidedata import SideDataContainer

from clipassistnet.data.decoding.errors import FrameError

# What a display matrix does: (rows and columns swapped, mirrored left-right, mirrored top-bottom).
NOTES = {
    (False, False, False): "",
    (False, True, False): "mirrored left-right",
    (False, False, True): "mirrored top-bottom",
    (False, True, True): "turned by 180 degrees",
    (True, True, False): "turned by 90 degrees",
    (True, False, True): "turned by 270 degrees",
    (True, False, False): "mirrored left-right, turned by 270 degrees",
    (True, True, True): "mirrored left-right, turned by 90 degrees",
}


def upright(image: np.ndarray, frame: Any, path: str) -> tuple[np.ndarray, str]:
    """Apply the display matrix of a frame to its picture.

    Args:
        image: the picture as stored, (H, W, 3).
        frame: the decoded frame (av.VideoFrame), which carries the matrix.
        path: of its file, for messages.

    Returns:
        The upright picture, and what was done: one of `NOTES`. Turns are clockwise.

    Raises:
        FrameError: where the matrix is no combination of quarter turns and mirroring.
    """
    side_data = side_data_of(frame).get("DISPLAYMATRIX")
    if side_data is None:
        return image, ""
    # Nine numbers in fixed point (ISO 14496-12, 8.3.2): x' = a x + c y + ..., y' = b x + d y + ...
    a, b, _, c, d = np.frombuffer(side_data, np.int32)[:5].tolist()
    swapped = a == 0 and d == 0
    known = (b and c) if swapped else (a and d and not b and not c)
    if not known:
        matrix = [round(number / 65536, 3) for number in (a, b, c, d)]
        raise FrameError(f"{path}: display matrix {matrix} (expected quarter turns or mirroring)")
    across, down = (c < 0, b < 0) if swapped else (a < 0, d < 0)
    if swapped:
        image = image.transpose(1, 0, 2)
    image = image[:: -1 if down else 1, :: -1 if across else 1]
    return np.ascontiguousarray(image), NOTES[swapped, across, down]


def side_data_of(frame: Any) -> Any:
    """The side data of a decoded frame.

    The frame's own attribute `side_data` ties the two to each other: every frame of a video would
    stay in memory until Python's collector of circles comes by.
    """
    return SideDataContainer(frame)
