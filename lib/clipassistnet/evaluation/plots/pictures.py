"""Figures of pictures: grids, frames in the colour of their label, saliency over frames."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clipassistnet.evaluation.plots.style import LABELS

RIGHT, WRONG = "#009e73", "#d55e00"  # green and red that colour-blind readers can distinguish
WEAK = 0.2  # of a map's strength: what is weaker is not drawn


def frame_grid(images: Iterable[np.ndarray], titles: Iterable[str], columns: int = 5) -> Figure:
    """Pictures in a grid, (H, W, 3) uint8 RGB each, each with its title."""
    pairs = list(zip(images, titles, strict=True))
    figure, grid = _grid([image for image, _ in pairs], columns, 10 / columns)
    for axes, (image, title) in zip(grid.flat, pairs, strict=False):
        _draw(axes, image, title)
    return figure


def labelled_frames(
    images: Sequence[np.ndarray],
    table: pd.DataFrame,
    tips: pd.DataFrame | None = None,
    columns: int = 4,
) -> Figure:
    """A gallery: a solid frame around pictures with visible tips, a dashed one around others.

    Args:
        images: uint8 RGB (H, W, 3), one for each row of the table.
        table: video, frame, label, title (`gallery.examples`).
        tips: video, frame, x, y as shares of the frame, visible_share: a ring marks a tip of which
            more than half is visible, a cross another one.
    """
    figure, grid = _grid(images, columns, 2.9)
    for axes, image, row in zip(grid.flat, images, table.itertuples(), strict=False):
        _draw(axes, image, row.title)
        _frame(axes, LABELS[row.label], "-" if row.label == "visible" else (0, (3, 2)))
        if tips is not None:
            own = tips[(tips["video"] == row.video) & (tips["frame"] == row.frame)]
            for seen, marker in ((True, "o"), (False, "x")):
                shown = own[(own["visible_share"] > 0.5) == seen]
                x, y = shown["x"] * image.shape[1], shown["y"] * image.shape[0]
                face = "none" if seen else "yellow"
                axes.scatter(x, y, s=160, marker=marker, edgecolors="yellow" if seen else None,
                             facecolors=face, linewidths=2)  # fmt: skip
        axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    return figure


def saliency(
    images: Sequence[np.ndarray],
    maps: Sequence[np.ndarray],
    titles: Sequence[str],
    right: Sequence[bool],
    columns: int = 3,
) -> Figure:
    """Pictures (H, W, 3) uint8, each with its saliency map (h, w) over it, scaled on its own.

    A green frame surrounds a right prediction, a red and dashed one a wrong prediction.
    """
    figure, grid = _grid(images, columns, 9 / columns)
    for axes, image, map_, title, good in zip(grid.flat, images, maps, titles, right, strict=False):
        height, width = image.shape[:2]
        place = {"extent": (-0.5, width - 0.5, height - 0.5, -0.5), "interpolation": "bilinear"}
        _draw(axes, np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8), title)
        strength = np.clip(np.abs(map_) / (np.quantile(np.abs(map_), 0.995) or 1), 0, 1)
        alpha = np.where(strength > WEAK, 0.85 * strength**0.5, 0)
        axes.imshow(strength, "inferno", alpha=alpha, vmin=0, vmax=1, **place)
        _frame(axes, RIGHT if good else WRONG, "-" if good else (0, (3, 2)))
    return figure


def _grid(images: Sequence[np.ndarray], columns: int, side: float) -> tuple[Figure, np.ndarray]:
    """Axes for the pictures, each `side` inches wide and as high as the highest of them needs."""
    rows = -(-len(images) // columns)
    height = side * max(_aspect(image) * image.shape[0] / image.shape[1] for image in images)
    figure, grid = plt.subplots(
        rows, columns, figsize=(side * columns, (height + 0.4) * rows), squeeze=False, dpi=60,
        layout="constrained",
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    for axes in grid.flat:
        axes.axis("off")
    return figure, grid


def _aspect(image: np.ndarray) -> float:
    """A picture is drawn as it is; a network's square one 4 to 3, which is nearer to the screen."""
    return 0.75 if image.shape[0] == image.shape[1] else 1.0


def _draw(axes: Axes, image: np.ndarray, title: str) -> None:
    axes.imshow(image, aspect=_aspect(image))
    axes.set_title(title, fontsize=12)


def _frame(axes: Axes, colour, style) -> None:
    box = plt.Rectangle(
        (0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=colour, linewidth=6,
        linestyle=style, clip_on=False,
    )  # fmt: skip
    axes.add_patch(box)
