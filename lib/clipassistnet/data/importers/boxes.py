"""Boxes around tools, clamped to their pictures."""

from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.importers.source_files import listing
from clipassistnet.data.schema import CORNERS, TABLES

OUTSIDE = 0.05  # of the picture's side: how far a box drawn by hand may reach beyond it


def clamp(boxes: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Clamp boxes to their pictures.

    Args:
        boxes: table with video, frame, tool, x0, y0, x1, y1 (pixels), width and height of the
            picture (pixels), and file, which messages name.

    Returns:
        The rows of boxes.csv, and notes: how many boxes were clamped, how far they lay outside,
        and how many were listed twice.

    Raises:
        DatasetError: for boxes whose corners are in the wrong order or far outside the picture.
    """
    size = boxes[["width", "height"] * 2].to_numpy(dtype=float)
    corners = boxes[CORNERS].to_numpy(dtype=float)
    clamped = np.clip(corners, 0, size)
    problems = _problems(boxes, corners, clamped, size)
    if problems:
        raise DatasetError(problems)
    beyond = np.abs(corners - clamped).max(axis=1, initial=0)
    kept = boxes.assign(**dict(zip(CORNERS, clamped.T, strict=True)))
    kept = kept[[*TABLES["boxes"].columns]].drop_duplicates()
    notes = []
    if (beyond > 0).any():
        which = listing(sorted({Path(file).name for file in boxes["file"][beyond > 0]}), shown=3)
        count = f"{(beyond > 0).sum()} of {len(boxes)} boxes"
        notes.append(
            f"{count} reached outside the picture, by up to {beyond.max():.3g} pixels: "
            f"clamped to it ({which})"
        )
    if len(kept) < len(boxes):
        notes.append(f"{len(boxes) - len(kept)} boxes are listed twice: kept once")
    return kept, notes


def _problems(
    boxes: pd.DataFrame, corners: np.ndarray, clamped: np.ndarray, size: np.ndarray
) -> list[str]:
    """Boxes that no clamping makes right; arrays (N, 4) in pixels."""
    ordered = (corners[:, :2] < corners[:, 2:]).all(axis=1)
    inside = (clamped[:, :2] < clamped[:, 2:]).all(axis=1)
    near = (np.abs(corners - clamped) <= OUTSIDE * size).all(axis=1)
    rules = [
        (~ordered, "x0 below x1, y0 below y1"),
        (ordered & ~inside, "a box that overlaps the picture"),
        (
            ordered & inside & ~near,
            f"at most {OUTSIDE:.0%} of its side outside: other columns, or other units?",
        ),
    ]
    problems = []
    for wrong, expected in rules:
        for row in boxes[wrong].itertuples():
            box = f"box {row.x0:g}, {row.y0:g}, {row.x1:g}, {row.y1:g}"
            picture = f"a picture of {row.width} x {row.height}"
            problems.append(f"{row.file}: {row.tool}: {box} in {picture} (expected {expected})")
    return problems
