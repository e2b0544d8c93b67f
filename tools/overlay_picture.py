"""Draw the README's picture: the overlay of `live` on a simulated video, in two of its states.

python tools/overlay_picture.py figures/simulator/overlay.jpg

The scores are the simulator's truth, not a network's, and the overlay says so.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from clipassistnet.alarm import HYSTERESIS, MINIMUM_DURATION, THRESHOLD, Alarm, Assistant
from clipassistnet.live import offline
from clipassistnet.simulate import Spec, simulate

STEADY = 12  # frames at 25 a second for which the truth must not change around a picture
SCORES = {"visible": 0.04, "invisible": 0.96}
GAP = 12  # pixels between the two pictures


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="a picture file")
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        video, truth = _simulated(Path(place) / "data", given.seed)
        overlay = Path(place) / "overlay.mkv"
        assistant = Assistant(Alarm(THRESHOLD, HYSTERESIS, MINIMUM_DURATION), armed=True)
        text = "SIMULATED video; scores: its truth"
        offline.render(str(video), _scores(truth["label"]), assistant, str(overlay), training=text)
        pictures = [_frame(overlay, _steady(truth, label)) for label in SCORES]
    between = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    given.out.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(given.out), np.hstack([pictures[0], between, pictures[1]]))


def _simulated(folder: Path, seed: int) -> tuple[Path, pd.DataFrame]:
    """A video, and of each of its frames the label and the clip applier's area.

    Both are those of the nearest annotated frame.
    """
    simulate(folder, Spec(videos=1, test_videos=1, width=640, height=360, seed=seed))
    video = pd.read_csv(folder / "videos.csv").iloc[0]
    labels = pd.read_csv(folder / "annotations.csv").query("label != 'absent'")
    boxes = pd.read_csv(folder / "boxes.csv").query("tool == 'Clipper'")
    boxes = boxes.assign(area=(boxes["x1"] - boxes["x0"]) * (boxes["y1"] - boxes["y0"]))
    keys = ["video", "frame"]
    table = labels.drop_duplicates(keys).merge(boxes[[*keys, "area"]], on=keys)
    table = table[table["video"] == video["video"]].reset_index(drop=True)
    frames = np.arange(video["frames"])
    nearest = np.abs(frames[:, None] - table["frame"].to_numpy()).argmin(axis=1)
    return folder / video["path"], table.iloc[nearest].reset_index(drop=True)


def _scores(labels: pd.Series) -> Callable[[np.ndarray], np.ndarray]:
    """A network's stand-in, which is given the frames in their order."""
    scores = iter([SCORES[label] for label in labels])
    return lambda frames: np.array([next(scores) for _ in frames])


def _steady(truth: pd.DataFrame, wanted: str) -> int:
    """The frame with the largest clip applier whose neighbours have this label too."""
    same = truth["label"].eq(wanted) & (truth.index >= STEADY * 3)  # live waits before it judges
    steady = same.rolling(2 * STEADY + 1, center=True).min().eq(1)
    if not steady.any():
        raise SystemExit(f"this video is never {wanted} for long: take another --seed")
    return int(truth.loc[steady, "area"].idxmax())


def _frame(path: Path, number: int) -> np.ndarray:
    """One frame of a video, BGR uint8."""
    video = cv2.VideoCapture(str(path))
    for _ in range(number + 1):
        read, picture = video.read()
        if not read:
            raise SystemExit(f"{path}: ended before frame {number}")
    return picture


if __name__ == "__main__":
    main()
