"""The leakage gate: it refuses folds that share a patient or do not fit the labels.

The tables of folds and labels are those of the module `folds`.
"""

import pandas as pd

from clipassistnet.data.schema import CLASSES, LABELS
from clipassistnet.errors import ExplainedError

COLUMNS = ["video", "patient", "frames", "subset"]


class LeakageError(ExplainedError, ValueError):
    """Folds that leak or cannot be used; `problems` lists every problem, one line each."""

    def __init__(self, problems: list[str]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return "\n".join([f"{len(self.problems)} problem(s) in the folds:", *self.problems])


def check(folds: pd.DataFrame, labels: pd.DataFrame, k: int | None = None) -> None:
    """The leakage gate.

    It refuses a video or patient in two subsets, a video listed twice, an unknown subset, an empty
    fold, fewer patients than folds, a fold with one class only, a video without labels, labels
    without a fold, and counts of frames that differ from those of the labels.

    Args:
        folds: video, patient, frames, subset.
        labels: video, label (one row a frame).
        k: number of folds. None: one more than the highest fold.

    Raises:
        LeakageError: with every problem.
    """
    missing = [column for column in COLUMNS if column not in folds]
    if missing:
        raise LeakageError([f"no column {', '.join(missing)}: expected {', '.join(COLUMNS)}"])
    k = k or _folds_in(folds)
    problems = structure(folds, k) + _coverage(folds, labels)
    judged = labels[labels["label"] != "absent"].merge(folds[["video", "subset"]], on="video")
    for fold, frames in judged.groupby("subset"):
        classes = frames["label"].unique()
        if fold != "test" and len(classes) < len(CLASSES):
            problems.append(f"fold {fold}: all {len(frames)} frames are {classes[0]}")
    if problems:
        raise LeakageError(problems)


def structure(folds: pd.DataFrame, k: int, path: str = "") -> list[str]:
    """Problems of k folds by themselves, without labels; `path` names their file, if any."""
    known = [*map(str, range(k)), "test"]
    problems = []
    for line, row in enumerate(folds.itertuples(index=False), start=2):
        where = f"{path}:{line}: " if path else f"video {row.video}: "
        if row.subset not in known:
            problems.append(f"{where}subset {row.subset!r}: expected one of {', '.join(known)}")
        if pd.isna(row.video) or pd.isna(row.patient) or "" in (row.video, row.patient):
            problems.append(f"{where}video {row.video!r}, patient {row.patient!r}: expected names")
    for column in ("video", "patient"):
        for name, rows in folds.groupby(column)["subset"]:
            if rows.nunique() > 1:
                found = ", ".join(sorted(map(str, rows.unique())))
                problems.append(f"{column} {name}: in the subsets {found}, expected in one")
            elif column == "video" and len(rows) > 1:
                problems.append(f"video {name}: listed {len(rows)} times, expected once")
    for fold in known[:-1]:
        if not (folds["subset"] == fold).any():
            problems.append(f"fold {fold}: empty")
    patients = folds.loc[folds["subset"] != "test", "patient"].nunique()
    if patients < k or k < 2:
        problems.append(f"{patients} patients for {k} folds: expected at least k, and k >= 2")
    return problems


def _folds_in(folds: pd.DataFrame) -> int:
    numbers = [int(s) for s in folds["subset"].astype(str) if s.isascii() and s.isdigit()]
    return max(numbers, default=-1) + 1


def _coverage(folds: pd.DataFrame, labels: pd.DataFrame) -> list[str]:
    """Videos that are only in the folds or only in the labels, and counts that differ."""
    unknown = sorted(set(labels["label"].astype(str)) - set(LABELS))
    problems = [f"label {name!r}: expected one of {', '.join(LABELS)}" for name in unknown]
    listed, labelled = set(folds["video"].dropna()), set(labels["video"])
    problems += [f"video {v}: in the folds, without labels" for v in sorted(listed - labelled)]
    problems += [f"video {v}: labelled, in no fold" for v in sorted(labelled - listed)]
    counts = labels[labels["label"] != "absent"].groupby("video").size()
    for row in folds[folds["video"].isin(labelled)].itertuples(index=False):
        expected = counts.get(row.video, 0)
        if row.frames != expected:
            problems.append(
                f"video {row.video}: {row.frames} frames, expected {expected} (other labels?)"
            )
    return problems
