"""Which frames are labelled: chosen once for a folder, so that all annotators get the same ones."""

import glob
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.annotate.errors import AnnotateError
from clipassistnet.annotate.order import Frame
from clipassistnet.data.csv_tables import read_result
from clipassistnet.data.image_pattern import FRAME_FIELD, is_pattern
from clipassistnet.data.schema import TABLES

FOLDER = "annotation"  # of a dataset folder: journals, and which frames are labelled
LISTED = Path("to_annotate", "clipper_frames.csv")  # written by the importers
SEEN, AROUND = 0.5, 2.0  # p(clip applier), and seconds around it, of score-guided sampling
Ranges = Mapping[str, Sequence[Sequence[float | str]]]


def frames_of(
    folder: Path,
    videos: pd.DataFrame,
    *,
    per_second: float = 5.0,
    ranges: Ranges | None = None,
    scores: str = "",
) -> list[Frame]:
    """The frames to label, sorted; kept in annotation/frames.csv from the first time on.

    A video that is in that file keeps its frames. Of a new one, the first of these that applies:
    a list of an importer (to_annotate/clipper_frames.csv), the frames of annotations.csv, `scores`,
    all pictures of a set, `ranges`, or the whole video; ranges and whole videos at `per_second`.
    How each video was sampled is said in annotation/sampling.json.

    Args:
        folder: dataset folder.
        videos: rows of videos.csv.
        per_second: frames a second, 5 in the paper.
        ranges: of a video, pairs of start and end, in seconds or as "minutes:seconds".
        scores: a file of p(clip applier) with video, frame, score (predictions.parquet of a
            network for arming, or CSV). Frames within 2 s of a score of 0.5 are labelled.

    Raises:
        AnnotateError: an unknown video, a range outside its video, or a file that does not fit.
    """
    known = _read(folder / FOLDER / "frames.csv")
    unknown = sorted(set(ranges or {}) - set(videos["video"]))
    if unknown:
        raise AnnotateError(f"ranges of {unknown[0]!r}: no such video in {folder / 'videos.csv'}")
    if not per_second > 0:
        raise AnnotateError(f"per_second {per_second} (expected more than 0)")
    listed, labelled = _read(folder / LISTED), _read(folder / "annotations.csv")
    scored = _scores(scores) if scores else None
    frames, how = [*known.itertuples(index=False, name=None)], {}
    for row in videos[~videos["video"].isin(known["video"])].to_dict("records"):
        video = row["video"]
        if (listed["video"] == video).any():
            new, why = _own(listed, video), f"listed by an importer in {LISTED.as_posix()}"
        elif (labelled["video"] == video).any():
            new, why = _own(labelled, video), "the frames that annotations.csv has already"
        elif is_pattern(row["path"]) and pd.isna(row["frames"]):
            new, why = _pictures(folder, row["path"]), "all pictures of the set"
        else:
            new, why = _sampled(row, per_second, (ranges or {}).get(video), scored, scores)
        frames += [(video, int(frame)) for frame in new]
        how[video] = {"frames": len(new), "how": why}
    if how:
        _save(folder / FOLDER, sorted(frames), how)
    return sorted(frames)


def _sampled(
    row: Mapping,
    per_second: float,
    ranges: Sequence[Sequence[float | str]] | None,
    scored: pd.DataFrame | None,
    scores: str,
) -> tuple[np.ndarray, str]:
    """Frames of one video at `per_second`, and how they were chosen."""
    fps, length = float(row["fps"]), int(row["frames"])
    step = max(1, round(fps / per_second))
    grid = np.arange(0, length, step)
    every = f"one frame in {step}, {fps / step:.3g} a second"
    if ranges:
        spans = [(_seconds(start), _seconds(end)) for start, end in ranges]
        for start, end in spans:
            if not 0 <= start < end <= length / fps + 1:
                what = f"range {start:g} to {end:g} s of {row['video']}"
                raise AnnotateError(
                    f"{what} (expected a start before an end, in {length / fps:.0f} s)"
                )
        kept = [(grid >= start * fps) & (grid <= end * fps) for start, end in spans]
        grid = grid[np.any(kept, axis=0)]
        every += " in the ranges " + ", ".join(f"{start:g} to {end:g} s" for start, end in spans)
    if scored is not None:
        seen = _own(scored[scored["score"] >= SEEN], row["video"])
        near = np.searchsorted(seen, grid)
        padded = np.concatenate([[-np.inf], seen, [np.inf]])
        distance = np.minimum(grid - padded[near], padded[near + 1] - grid)
        grid = grid[distance <= AROUND * fps]
        every += (
            f", score-guided: only within {AROUND:g} s of a frame in which a network sees a clip "
            f"applier (score {SEEN} or more in {Path(scores).name}, SHA-256 "
            f"{files.digest(scores)[:12]}): no rate over the whole video follows from these frames"
        )
    return grid, every


def _seconds(value: float | str) -> float:
    """Seconds of a number, or of "minutes:seconds" or "hours:minutes:seconds"."""
    try:
        total = 0.0
        for part in str(value).split(":"):
            total = 60 * total + float(part)
        return total
    except ValueError:
        raise AnnotateError(f"time {value!r} (expected seconds, or minutes:seconds)") from None


def _pictures(folder: Path, pattern: str) -> np.ndarray:
    """Frame numbers of the pictures that fit a pattern such as v01_{frame:06d}.jpg."""
    before, _, after = FRAME_FIELD.split((folder / pattern).name)
    names = (folder / pattern).parent.glob(f"{glob.escape(before)}*{glob.escape(after)}")
    numbers = [name.name[len(before) : len(name.name) - len(after)] for name in names]
    return np.sort([int(number) for number in numbers if number.isdecimal()])


def _scores(path: str) -> pd.DataFrame:
    table = read_result(path)
    missing = {"video", "frame", "score"} - set(table)
    if missing:
        raise AnnotateError(f"{path}: no column {sorted(missing)} (expected video, frame, score)")
    return table.groupby(["video", "frame"])["score"].mean().reset_index()


def _read(path: Path) -> pd.DataFrame:
    """video and frame of a table, an empty one where there is no such file."""
    if not path.exists():
        return pd.DataFrame({"video": pd.Series(dtype=str), "frame": pd.Series(dtype=int)})
    rule = TABLES["annotations"].columns["frame"]
    table = pd.read_csv(path, dtype=str, usecols=["video", "frame"], keep_default_na=False)
    bad = table[~table["frame"].str.fullmatch(rule.pattern)]
    if len(bad):
        frame = bad["frame"].iloc[0]
        line = bad.index[0] + 2
        raise AnnotateError(f"{path}:{line}: frame {frame!r} (expected {rule.expected})")
    return table.astype({"frame": int}).drop_duplicates(ignore_index=True)


def _own(table: pd.DataFrame, video: str) -> np.ndarray:
    return np.unique(table.loc[table["video"] == video, "frame"].to_numpy())


def _save(folder: Path, frames: list[Frame], how: dict) -> None:
    folder.mkdir(exist_ok=True)
    text = pd.DataFrame(frames, columns=["video", "frame"]).to_csv(index=False, lineterminator="\n")
    described = folder / "sampling.json"
    before = json.loads(described.read_text()) if described.exists() else {}
    # frames.csv comes last: a video that is not in it is sampled anew.
    files.write(described, json.dumps(before | how, indent=1, ensure_ascii=False) + "\n")
    files.write(folder / "frames.csv", text)
