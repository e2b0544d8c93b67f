"""Figures of pictures: grids, frames in the colour of their label, saliency over frames."""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from clipassistnet.evaluation.plots.style import LABELS

RIGHT, WRONG = "#009e73", "#d55e00"  # green and red that colour-blind readers can distinguish


def frame_grid(images: Iterable[np.ndarray], titles: Iterable[str], columns: int = 5) -> Figure:
    """Pictures in a grid, (H, W, 3) uint8 RGB each, each with its title."""
    pairs = list(zip(images, titles, strict=True))
    figure, grid = _grid(-(-len(pairs) // columns), columns, 2.3)
    for axes, (image, title) in zip(grid.flat, pairs, strict=False):
        _draw(axes, image, title)
    return figure


def labelled_frames(
    images: Sequence[np.ndarray], labels: Sequence[str], titles: Sequence[str], columns: int = 4
) -> Figure:
    """A gallery: a solid frame around pictures with visible tips, a dashed one around others."""
    figure, grid = _grid(-(-len(images) // columns), columns, 2.9)
    for axes, image, label, title in zip(grid.flat, images, labels, titles, strict=False):
        _draw(axes, image, title)
        _frame(axes, LABELS[label], "-" if label == "visible" else (0, (3, 2)))
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
    figure, grid = _grid(-(-len(images) // columns), columns, 3.6)
    for axes, image, map_, title, good in zip(grid.flat, images, maps, titles, right, strict=False):
        height, width = image.shape[:2]
        place = {"extent": (-0.5, width - 0.5, height - 0.5, -0.5), "interpolation": "bilinear"}
        _draw(axes, np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8), title)
        strength = np.clip(np.abs(map_) / (np.quantile(np.abs(map_), 0.995) or 1), 0, 1)
        axes.imshow(strength, "inferno", alpha=0.8 * np.sqrt(strength), vmin=0, vmax=1, **place)
        _frame(axes, RIGHT if good else WRONG, "-" if good else (0, (3, 2)))
    return figure


def _grid(rows: int, columns: int, side: float) -> tuple[Figure, np.ndarray]:
    figure, grid = plt.subplots(
        rows, columns, figsize=(side * columns, (0.75 * side + 0.4) * rows), squeeze=False, dpi=60,
        layout="constrained",
    )  # fmt: skip
    figure.get_layout_engine().set(w_pad=0.12, h_pad=0.08)
    for axes in grid.flat:
        axes.axis("off")
    return figure, grid


def _draw(axes: Axes, image: np.ndarray, title: str) -> None:
    """A picture as it is; a network's square one is drawn 4 to 3, which is nearer to the screen."""
    axes.imshow(image, aspect=0.75 if image.shape[0] == image.shape[1] else 1)
    axes.set_title(title, fontsize=12)  # at 60 dpi, so 10 pt on the page


def _frame(axes: Axes, colour, style) -> None:
    box = plt.Rectangle(
        (0, 0), 1, 1, transform=axes.transAxes, fill=False, edgecolor=colour, linewidth=6,
        linestyle=style, clip_on=False,
    )  # fmt: skip
    axes.add_patch(box)
