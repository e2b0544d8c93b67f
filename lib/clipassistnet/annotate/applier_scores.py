"""Where a network sees a clip applier in unlabelled videos: a file of scores for `sampling`."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.annotate import sampling
from clipassistnet.data.video_source import VideoSource
from clipassistnet.model import locator
from clipassistnet.transforms import resize

PER_SECOND = 1.0  # pictures that are searched; sampling takes frames around each that is found
SIDE, BATCH = 448, 16  # of the pictures that locators are trained on; of those searched at once


def write(folder: Path, table: pd.DataFrame, network: Path) -> Path:
    """Search every video of a folder for a clip applier; return the file of the scores.

    The file is annotation/applier_scores_<network>.csv with video, frame, score: p(clip applier in
    the frame). Videos that it has already are not searched again, so that an interrupted search
    goes on with the next video. Sets of pictures are labelled whole and not searched.

    Args:
        folder: dataset folder.
        table: rows of its videos.csv.
        network: the folder of a trained network, with its locator.

    Raises:
        ModelError: there is no locator.
        FrameError: a video cannot be read; it names the file.
    """
    finder = locator.load(network / locator.FILE)
    path = folder / sampling.FOLDER / f"applier_scores_{network.name}.csv"
    path.parent.mkdir(exist_ok=True)
    columns = {"video": str, "frame": int, "score": float}
    if not path.exists():
        files.write(path, pd.DataFrame(columns=[*columns]).to_csv(index=False))
    known = pd.read_csv(path, dtype=columns, keep_default_na=False)  # a video may be called NA
    films = table[table["frames"].notna()]
    for number, row in enumerate(films.to_dict("records"), 1):
        if row["video"] in set(known["video"]):
            continue
        path_of = str(folder.resolve() / row["path"])
        source = VideoSource(row["video"], path_of, float(row["fps"]), int(row["frames"]))
        found = _search(finder, source)
        known = pd.concat([known, found.assign(video=row["video"])], ignore_index=True)
        files.write(path, known[[*columns]].to_csv(index=False))
        seen = int((found["score"] >= sampling.SEEN).sum())
        print(
            f"[{number}/{len(films)}] {row['video']}: a clip applier in {seen} of {len(found)} "
            "pictures, one a second",
            flush=True,
        )
    return path


def _search(finder: locator.Locator, source: VideoSource) -> pd.DataFrame:
    frames = np.arange(0, source.length or 0, max(1, round(source.fps / PER_SECOND))).tolist()
    pictures = (resize(picture, SIDE) for picture, _ in source.pictures(frames))
    scores = [score for batch in _batches(pictures) for score in finder.presence(batch).tolist()]
    return pd.DataFrame({"frame": frames, "score": scores})


def _batches(pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    while batch := list(islice(pictures, BATCH)):
        yield np.stack(batch)
