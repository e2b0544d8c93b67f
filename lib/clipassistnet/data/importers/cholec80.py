"""Cholec80: 80 cholecystectomies with a tool list (one frame a second) and phases (every frame).

Twinanda et al., IEEE TMI 36 (2017). `videoNN.mp4`, `videoNN-tool.txt` and `videoNN-phase.txt` may
lie in one folder or in the published folders (videos, tool_annotations, phase_annotations).
"""

import re
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.decoding import FrameError
from clipassistnet.data.file_names import is_utf8
from clipassistnet.data.importers.imported import Imported
from clipassistnet.data.importers.source_files import (
    checked_source,
    chosen,
    listing,
    read_table,
    skipped,
)
from clipassistnet.data.importers.tool_lists import (
    LICENCE,
    PHASES,
    TOOLS,
    from_tool_list,
    phase_runs,
)
from clipassistnet.data.patients import patients
from clipassistnet.data.schema import COUNT
from clipassistnet.data.timeline import timeline

NAME = "cholec80"
FPS = 25
FILE = r"(?P<video>video[0-9]{2})(?P<kind>\.mp4|-tool\.txt|-phase\.txt)"
UNUSED = r"video[0-9]{2}-timestamp\.txt"  # comes with the data set
TOOL_COLUMNS = {"Frame": COUNT, **dict.fromkeys(TOOLS, "[01]")}
PHASE_COLUMNS = {"Frame": COUNT, "Phase": "|".join(PHASES)}


def read(source: str | Path, videos: Collection[str] = ()) -> Imported:
    """Read Cholec80's videos and tool lists, and its phases where the files exist.

    The data set has no tip labels. Frames near a listed clip applier are to be annotated. All
    other listed frames are labelled absent by the annotator "cholec80" (see `tool_lists.MARGIN`).

    Args:
        source: a folder; it is searched with all folders in it.
        videos: import these only, e.g. ["video03"]. Empty: all.

    Raises:
        DatasetError: with every problem. A list that does not end where the video ends (to the
            frame for phases, to the second for tools) is shifted or cut off, and is refused.
    """
    source = checked_source(source, "Cholec80")
    files, notes = _files(source)
    names = chosen(files, videos, source)
    problems, parts = [], []
    for video in names:
        try:
            parts.append(_video(source, video, files[video]))
        except DatasetError as error:
            problems += error.problems
    if problems:
        raise DatasetError(problems + [f"note: {note}" for note in notes])
    rows, absent, to_annotate, phases = (list(each) for each in zip(*parts, strict=True))
    table = pd.DataFrame(rows).assign(split="", fps=FPS, clipper="", source=NAME, licence=LICENCE)
    candidates = pd.concat(to_annotate, ignore_index=True)
    phase_table = pd.concat(phases, ignore_index=True)
    lacking = [video for video, each in zip(names, phases, strict=True) if each.empty]
    notes += [f"no phases: {listing(lacking)}"] if lacking else []
    return Imported(
        table,
        pd.concat(absent, ignore_index=True),
        candidates,
        notes,
        phases=phase_table if len(phase_table) else None,
    )


def _files(source: Path) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Files by video and kind (".mp4", "-tool.txt", "-phase.txt"), and notes."""
    found: dict[str, dict[str, Path]] = {}
    problems, others = [], []
    for path in sorted(source.rglob("video*")):
        match = re.fullmatch(FILE, path.name)
        if match:
            kinds = found.setdefault(match["video"], {})
            if match["kind"] in kinds:
                problems.append(f"{path}: found twice, also as {kinds[match['kind']]}")
            elif not is_utf8(path):
                problems.append(f"{str(path)!r}: a name that is not UTF-8 (expected UTF-8)")
            kinds[match["kind"]] = path
        elif path.is_file() and not re.fullmatch(UNUSED, path.name):
            others.append(path.name)
    if not found:
        problems.append(f"{source}: no videos (expected video01.mp4 with video01-tool.txt)")
    notes = skipped(source, others, "video01-tool.txt")
    if problems:
        raise DatasetError(problems + [f"note: {note}" for note in notes])
    return found, notes


def _video(
    source: Path, video: str, files: dict[str, Path]
) -> tuple[dict, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Row of videos.csv, annotations, frames to annotate and phases of one video."""
    missing = [kind for kind in (".mp4", "-tool.txt") if kind not in files]
    if missing:
        raise DatasetError([f"{source}: no {video}{kind}" for kind in missing])
    if video not in patients(NAME):
        raise DatasetError([f"{files['.mp4']}: {video} (expected video01 to video80)"])
    try:
        length = timeline(str(files[".mp4"].resolve()), FPS).length
    except FrameError as error:
        raise DatasetError([str(error)]) from error
    frames, listed = _tools(files["-tool.txt"], length)
    absent, to_annotate = from_tool_list(video, frames, listed, FPS, NAME)
    phases = pd.DataFrame(columns=["video", "start", "end", "phase"])
    if "-phase.txt" in files:
        phases = _phases(files["-phase.txt"], video, length)
    path, patient = files[".mp4"].resolve().as_posix(), patients(NAME)[video]
    row = {"video": video, "path": path, "patient": patient, "frames": length}
    return row, absent, to_annotate, phases


def _tools(path: Path, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Listed frames (N,) int, and whether they show a clip applier (N,) bool."""
    table = read_table(path, TOOL_COLUMNS, "\t")
    frames = table["Frame"].astype("int64")
    _check_frames(path, frames, FPS, length)
    return frames.to_numpy(), (table["Clipper"] == "1").to_numpy()


def _phases(path: Path, video: str, length: int) -> pd.DataFrame:
    table = read_table(path, PHASE_COLUMNS, "\t")
    frames = table["Frame"].astype("int64")
    _check_frames(path, frames, 1, length)
    return phase_runs(video, frames.to_numpy(), table["Phase"].to_numpy())


def _check_frames(path: Path, frames: pd.Series, step: int, length: int) -> None:
    """DatasetError unless the frames are 0, step, 2 step, ... up to the video's end."""
    expected = np.arange(len(frames)) * step
    wrong = frames[frames != expected]
    if len(wrong):
        line = wrong.index[0]
        which = expected[frames.index.get_loc(line)]
        raise DatasetError([f"{path}:{line}: Frame {wrong.iloc[0]} (expected {which})"])
    rows = -(-length // step)
    if len(frames) != rows:
        what = f"{len(frames)} rows, but the video of {length} frames has {rows}"
        advice = "labels and frames are shifted, or a file is cut off; leave this video out"
        raise DatasetError([f"{path}: {what}: {advice}"])
