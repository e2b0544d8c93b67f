"""Contact sheets, and the figure of the statistics."""

from collections.abc import Iterable
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from clipassistnet.data import video_source
from clipassistnet.evaluation import plots
from realism.samples import Samples

WIDTH, HEIGHT = 256, 144


def tiles(samples: Samples, videos: Iterable[str], count: int, seed: int = 0) -> list[np.ndarray]:
    """`count` frames (HEIGHT, WIDTH, 3), spread over these videos as evenly as possible."""
    rng = np.random.default_rng(seed)
    table = samples.table[samples.table["video"].isin(videos)]
    queues = [rows.sample(frac=1, random_state=rng) for _, rows in table.groupby("video")]
    turn = [(k, n) for n in range(max(map(len, queues))) for k in rng.permutation(len(queues))]
    chosen = [queues[k].iloc[n] for k, n in turn if n < len(queues[k])][:count]
    return [_tile(samples, row) for row in chosen]


def _tile(samples: Samples, row: pd.Series) -> np.ndarray:
    """The frame, marked at its left edge: green where the tips are seen, red where not."""
    picture = video_source.original(samples.dataset, row["video"], int(row["frame"]))
    picture = cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    picture[:, :4] = (220, 60, 40) if row["target"] else (40, 200, 80)
    return picture


def sheet(groups: list[list[np.ndarray]], columns: int, path: Path) -> None:
    """Write groups of tiles side by side, `columns` each, with a gap between the groups."""
    blocks = []
    for group in groups:
        rows = [np.concatenate(group[k : k + columns], 1) for k in range(0, len(group), columns)]
        blocks += [np.concatenate(rows), np.full((len(rows) * HEIGHT, 8, 3), 255, np.uint8)]
    picture = np.concatenate(blocks[:-1], 1)
    options = [cv2.IMWRITE_JPEG_QUALITY, 85]
    cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)


def statistics(compared: pd.DataFrame, path: Path) -> None:
    """Each statistic's range over real patients (0 to 1 of the axis) beside the simulated ones."""
    plots.theme()
    figure, axes = plt.subplots(figsize=(7, 0.42 * len(compared) + 1.2))
    span = compared["real high"] - compared["real low"]
    for k, (low, mean, high) in enumerate(
        zip(
            *(
                ((compared[f"simulated{c}"] - compared["real low"]) / span)
                for c in (" low", "", " high")
            ),
            strict=True,
        )
    ):
        axes.plot([low, high], [k, k], color=plots.INVISIBLE, linewidth=2)
        axes.plot(mean, k, "o", color=plots.INVISIBLE)
    axes.axvspan(0, 1, color=plots.VISIBLE, alpha=0.15)
    axes.set_yticks(range(len(compared)), compared["statistic"])
    axes.set_xlabel(
        "0 to 1: lowest to highest real patient\ndots: simulated mean; lines: 5 to 95 %"
    )
    axes.set_xlim(-2, 3)
    figure.savefig(path, bbox_inches="tight")
    plt.close(figure)
