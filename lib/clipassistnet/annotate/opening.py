"""Opens the pass of an annotator in a folder: which frames, in which order, and where they lie."""

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from clipassistnet.annotate import pass_state, sampling, videos
from clipassistnet.annotate.order import Frame, ordered, seed_of
from clipassistnet.annotate.pass_state import PassError, PassState, start_event
from clipassistnet.annotate.passes import Pass
from clipassistnet.data.video_source import VideoSource

TASKS = ("label", "adjudicate", "audit")
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
VOTES = ["label", "cause"]


@dataclass(frozen=True)
class Choice:
    """What is labelled, and how: the parameters of notebook 00.

    task: "label" for an own pass, "adjudicate" for the disputed frames of closed passes, "audit"
    for the labels that notebook 06 doubts (`audit_file`, its label_audit.csv).
    chronological: frames in the order of the video, not shuffled.
    per_second, ranges, scores: see `sampling.frames_of`; patients, clipper, pictures_per_second:
    see `videos.update`.
    """

    task: str = "label"
    chronological: bool = False
    per_second: float = 5.0
    ranges: dict | None = None
    scores: str = ""
    patients: dict | None = None
    clipper: str = ""
    pictures_per_second: float = 0.0
    audit_file: str = ""


def open_pass(
    folder: Path, annotator: str, choice: Choice
) -> tuple[Pass, dict[str, VideoSource], list[str]]:
    """Open the annotator's unfinished pass, or begin the next one.

    Where nothing is left to label, the last pass is opened, which is closed and takes no label.

    Returns:
        The pass, the source of each video, and problems: files that cannot be used, and why.

    Raises:
        PassError: there is nothing to label, the pass is open elsewhere, or a value is not one of
            those expected.
        AnnotateError, DatasetError: the folder cannot be used as it is; the message says why.
    """
    check_name(annotator)
    if choice.task not in TASKS:
        raise PassError(f"task {choice.task!r} (expected one of {', '.join(TASKS)})")
    table, problems = _videos(folder, choice)
    sources = {row["video"]: _source(folder, row) for row in table.to_dict("records")}
    earlier = [path for path in journals(folder, choice.task) if _annotator(path) == annotator]
    states = [pass_state.read(path) for path in earlier if path.stat().st_size]
    unfinished = [state.path for state in states if not state.closed]
    if unfinished:
        return Pass(unfinished[0]), sources, problems
    frames, notes = _to_do(folder, annotator, choice, table, states)
    if not frames:
        return Pass(states[-1].path), sources, problems
    start = _start(annotator, choice, frames, notes)
    path = _folder(folder) / f"{annotator}.{choice.task}.{len(earlier) + 1}.jsonl"
    return Pass(path, start), sources, problems


def check_name(annotator: str) -> None:
    """PassError unless the name can be part of a file's name."""
    if not NAME.fullmatch(annotator):
        raise PassError(f"annotator {annotator!r} (expected letters, digits, '_', '-' and '.')")


def frames_to_label(folder: Path, choice: Choice) -> tuple[int, int, list[str]]:
    """Number of videos and of frames in a folder, which are chosen now, and problems.

    Raises:
        AnnotateError, DatasetError: as `open_pass`.
    """
    table, problems = _videos(folder, choice)
    return len(table), len(_frames(folder, table, choice)), problems


def _videos(folder: Path, choice: Choice) -> tuple[pd.DataFrame, list[str]]:
    return videos.update(
        folder,
        patients=choice.patients,
        clipper=choice.clipper,
        pictures_per_second=choice.pictures_per_second,
    )


def _frames(folder: Path, table: pd.DataFrame, choice: Choice) -> list[Frame]:
    return sampling.frames_of(
        folder, table, per_second=choice.per_second, ranges=choice.ranges, scores=choice.scores
    )


def journals(folder: Path, task: str) -> list[Path]:
    """The journals of a task, of all annotators, in order of name and number."""
    found = _folder(folder).glob(f"*.{task}.*.jsonl")
    return sorted(found, key=lambda path: (_annotator(path), int(path.stem.rsplit(".", 1)[1])))


def _folder(folder: Path) -> Path:
    return folder / sampling.FOLDER / "passes"


def _annotator(path: Path) -> str:
    return path.stem.rsplit(".", 2)[0]


def _source(folder: Path, row: dict) -> VideoSource:
    length = None if pd.isna(row["frames"]) else int(row["frames"])
    return VideoSource(row["video"], str(folder.resolve() / row["path"]), float(row["fps"]), length)


def _start(annotator: str, choice: Choice, frames: list[Frame], notes: dict) -> dict:
    seed = seed_of(annotator)
    if choice.task == "label":
        items = ordered(frames, seed, shuffled=not choice.chronological)
    else:
        items = frames  # the decision needs no second look for agreement
    order = "chronological" if choice.chronological else "shuffled"
    order = order if choice.task == "label" else "by video and frame"
    shown = [notes[item] for item in items] if notes else []
    return start_event(annotator, choice.task, items, order=order, seed=seed, notes=shown)


def _to_do(
    folder: Path, annotator: str, choice: Choice, table: pd.DataFrame, states: list[PassState]
) -> tuple[list[Frame], dict[Frame, str]]:
    """The frames that this annotator has not judged, and what is shown beside them."""
    notes: dict[Frame, str] = {}
    if choice.task == "label":
        everything = _frames(folder, table, choice)
        done = _labelled(folder / "annotations.csv", annotator)
    elif choice.task == "adjudicate":
        notes = disputed(folder)
        everything, done = sorted(notes), _labelled(folder / "adjudications.csv", annotator)
    else:
        notes = doubted(Path(choice.audit_file), set(table["video"]))
        everything, done = [*notes], set()
    done |= {state.items[place] for state in states for place in state.marks}
    left = [frame for frame in everything if frame not in done]
    if not left and not states:
        raise PassError(_nothing_left(folder, annotator, choice.task, len(everything)))
    return left, notes


def _nothing_left(folder: Path, annotator: str, task: str, count: int) -> str:
    if count:
        return f"{folder}: {annotator} has done all {count} frames of the task {task!r}"
    if task == "adjudicate":
        return f"{folder}: no frame is disputed (two closed passes over the same frames are needed)"
    return f"{folder}: no frame for the task {task!r}"


def disputed(folder: Path) -> dict[Frame, str]:
    """Frames on which closed passes differ, and their votes with causes, without names."""
    path = folder / "annotations.csv"
    if not path.exists():
        return {}
    votes = cells(path)
    votes = votes.assign(**{column: "" for column in VOTES if column not in votes})
    different = votes.groupby(["video", "frame"])["label"].transform("nunique") > 1
    notes = {}
    for (video, frame), rows in votes[different].groupby(["video", "frame"]):
        # Sorted: the order of the votes says nothing of whose they are.
        notes[video, int(frame)] = "votes: " + " · ".join(
            sorted(map(_vote, rows.to_dict("records")))
        )
    return notes


def _vote(row: dict) -> str:
    cause = row["cause"]
    return row["label"] + (f" ({cause})" if cause not in ("", "none", "no_clipper") else "")


def doubted(path: Path, known: set[str]) -> dict[Frame, str]:
    """The labels that notebook 06 doubts (its label_audit.csv), the most doubtful first."""
    if not path.is_file():
        where = "label_audit.csv of a run of notebook 06"
        raise PassError(f"audit_file {str(path)!r}: no such file (expected {where})")
    table = cells(path)
    missing = {"video", "frame", "label", "suggested", "issue"} - set(table)
    if missing:
        raise PassError(
            f"{path}: no column {', '.join(sorted(missing))} (expected label_audit.csv)"
        )
    rows = table[table["issue"] == "True"]
    unknown = sorted(set(rows["video"]) - known)
    if unknown:
        raise PassError(f"{path}: video {unknown[0]!r} is not in videos.csv: of another data set?")
    return {
        (row["video"], int(row["frame"])): f"labelled {row['label']}; is it {row['suggested']}?"
        for row in rows.to_dict("records")
    }


def cells(path: Path) -> pd.DataFrame:
    """The cells of a CSV file as text."""
    return pd.read_csv(path, dtype="str", keep_default_na=False, encoding="utf-8-sig")


def _labelled(path: Path, annotator: str) -> set[Frame]:
    if not path.exists():
        return set()
    rows = cells(path)
    own = rows[rows["annotator"] == annotator]
    return {(video, int(frame)) for video, frame in zip(own["video"], own["frame"], strict=True)}
