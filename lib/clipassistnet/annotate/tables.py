"""The tables that closed passes make: annotations.csv, adjudications.csv, passes.csv, audit.csv."""

from pathlib import Path

import pandas as pd

from clipassistnet import files
from clipassistnet.annotate import pass_state
from clipassistnet.annotate.opening import TASKS, cells, journals
from clipassistnet.annotate.pass_state import PassState
from clipassistnet.annotate.sampling import FOLDER
from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.schema import TABLES

KEY = ["video", "frame", "annotator"]


def write(folder: Path) -> Dataset:
    """Write the tables of all closed passes into a dataset folder, and read it back.

    Rows of annotators that have no pass here stay as they are. The same passes give the same bytes.

    Raises:
        DatasetError: the folder would break the contract; its tables are as before then.
    """
    closed = {task: _closed(folder, task) for task in TASKS}
    new = {
        "annotations": _merged(folder / "annotations.csv", closed["label"]),
        "adjudications": _merged(folder / "adjudications.csv", closed["adjudicate"]),
        "passes": _described(closed["label"] + closed["adjudicate"] + closed["audit"]),
    }
    paths = [folder / f"{name}.csv" for name in new]
    before = {path: path.read_bytes() for path in paths if path.exists()}
    dataset.write(folder, **{name: table for name, table in new.items() if len(table)})
    try:
        result = dataset.read(folder)
    except DatasetError:
        for path in paths:
            path.unlink(missing_ok=True)
            if path in before:
                files.write(path, before[path])
        raise
    _write_own(folder, "audit", _verdicts(closed["audit"]))
    _write_own(folder, "flagged", _flagged(closed["label"]))
    return result


def progress(folder: str | Path) -> pd.DataFrame:
    """One row a pass, closed or open: how far it is, and what `passes.csv` says of it.

    No label is in it: those of others stay hidden from an annotator whose pass is open.
    """
    states = [
        pass_state.read(path)
        for task in TASKS
        for path in journals(Path(folder), task)
        if path.stat().st_size
    ]
    return _described(states).assign(closed=[state.closed for state in states])


def self_agreement(state: PassState) -> tuple[int, int]:
    """Of the frames that came twice and have both labels: how many, and on how many they agree."""
    first: dict[tuple[str, int], str] = {}
    repeats = same = 0
    for place, item in enumerate(state.items):
        mark = state.marks.get(place)
        if mark is None:
            continue
        if item in first:
            repeats, same = repeats + 1, same + (mark.label == first[item])
        first.setdefault(item, mark.label)
    return repeats, same


def rows(state: PassState) -> list[dict]:
    """Rows of annotations.csv: the first label of each frame that has one."""
    found: dict[tuple[str, int], dict] = {}
    for place, (video, frame) in enumerate(state.items):
        if place in state.marks:
            row = {"video": video, "frame": str(frame), "annotator": state.about["annotator"]}
            found.setdefault((video, frame), row | state.marks[place]._asdict())
    return [*found.values()]


def _closed(folder: Path, task: str) -> list[PassState]:
    states = [pass_state.read(path) for path in journals(folder, task) if path.stat().st_size]
    return [state for state in states if state.closed]


def _merged(path: Path, states: list[PassState]) -> pd.DataFrame:
    """The rows of a table and of these passes, as text, sorted by video, frame and annotator."""
    columns = [*TABLES[path.stem].columns]
    new = pd.DataFrame([row for state in states for row in rows(state)], columns=columns, dtype=str)
    old = cells(path) if path.exists() else new.iloc[:0]
    both = pd.concat([old, new]).fillna("").drop_duplicates(KEY, keep="last")
    order = both.assign(number=both["frame"].str.zfill(15)).sort_values(
        ["video", "number", "annotator"]
    )
    return order[columns].reset_index(drop=True)


def _described(states: list[PassState]) -> pd.DataFrame:
    """passes.csv: of each annotator and task the labels, seconds, repeats and agreement."""
    table = [_pass_row(state) for state in states]
    return pd.DataFrame(table, columns=[*TABLES["passes"].columns])


def _pass_row(state: PassState) -> dict:
    repeats, same = self_agreement(state)
    seconds = pd.Series([*state.seconds.values()], dtype=float)
    return {
        "annotator": state.about["annotator"],
        "task": state.about["task"],
        "number": int(state.path.stem.rsplit(".", 1)[1]),
        "order": state.about["order"],
        "labels": len(state.marks),
        "left": state.left,
        "flagged": len(state.flags),
        "seconds": round(float(seconds.median()), 3) if len(seconds) else 0.0,
        "repeats": repeats,
        "same": same,
    }


def _verdicts(states: list[PassState]) -> pd.DataFrame:
    table = [
        {"video": video, "frame": frame, "annotator": state.about["annotator"]}
        | {"verdict": state.marks[place].label, "note": state.notes[place]}
        for state in states
        for place, (video, frame) in enumerate(state.items)
        if place in state.marks
    ]
    return pd.DataFrame(table, columns=[*KEY, "verdict", "note"])


def _flagged(states: list[PassState]) -> pd.DataFrame:
    table = [
        {"video": video, "frame": frame, "annotator": state.about["annotator"]}
        for state in states
        for place, (video, frame) in enumerate(state.items)
        if place in state.flags
    ]
    return pd.DataFrame(table, columns=KEY).drop_duplicates()


def _write_own(folder: Path, name: str, table: pd.DataFrame) -> None:
    """Write a table that is no part of the dataset's contract, beside the journals."""
    if len(table):
        text = table.sort_values(KEY).to_csv(index=False, lineterminator="\n")
        files.write(folder / FOLDER / f"{name}.csv", text)
