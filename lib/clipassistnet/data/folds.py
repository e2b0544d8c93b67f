"""Partition of the videos into folds, which is made once, checked for leakage and kept in a file.

A table of folds has one row a video: video, patient, frames, subset ("0" to "k-1", or "test").
A table of labels is that of `annotation.consensus`, one row a frame.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.data.csv_tables import Problems, read_cells
from clipassistnet.data.leakage import COLUMNS, LeakageError, check, structure
from clipassistnet.data.schema import COUNT
from clipassistnet.errors import ExplainedError

PROTOCOLS = "clipper", "all"  # which frames train and validate: those with a clipper, or all
FEW = "too few to train and judge on different patients; notebook 01 is as far as one gets"


class FoldError(ExplainedError, ValueError):
    """Folds that cannot be made, or that do not exist."""


def partition(videos: pd.DataFrame, k: int) -> pd.Series:
    """The paper's deterministic greedy: subset (0 to k-1) of every video, index video.

    Patients are taken in decreasing order of their summed frames. Each one is put into the subset
    with the fewest frames so far. Ties go to the first video id and to the first subset. Where
    every patient has one video, this is the partition of Aspart et al. (2022).

    Args:
        videos: video, patient, frames.
        k: number of subsets.

    Raises:
        FoldError: with fewer patients than subsets.
    """
    patients = _patients(videos, k).sort_values(["frames", "first"], ascending=[False, True])
    filled = [0] * k
    subset = {}
    for patient, frames in patients["frames"].items():
        subset[patient] = filled.index(min(filled))
        filled[subset[patient]] += frames
    return _of_videos(videos, subset)


def random_partition(videos: pd.DataFrame, k: int, seed: int) -> pd.Series:
    """As `partition`, but at random: the subsets' numbers of patients differ by one at most."""
    patients = _patients(videos, k).index
    shuffled = np.random.default_rng(seed).permutation(len(patients))
    return _of_videos(videos, {patients[row]: rank % k for rank, row in enumerate(shuffled)})


def hold_out(videos: pd.DataFrame, share: float, seed: int) -> set[str]:
    """Ids of the videos of a random share of the patients: of at least one, and never of all."""
    patients = sorted(videos["patient"].unique())
    if len(patients) < 2:
        raise FoldError(f"{len(patients)} patient: {FEW} (expected two patients or more)")
    if not 0 < share < 1:
        raise FoldError(f"share {share} of the patients: expected more than 0, less than 1")
    count = min(max(round(share * len(patients)), 1), len(patients) - 1)
    drawn = np.random.default_rng(seed).choice(patients, size=count, replace=False)
    return set(videos.loc[videos["patient"].isin(drawn), "video"])


def make(
    labels: pd.DataFrame, videos: pd.DataFrame, k: int, *, test_share: float, seed: int
) -> pd.DataFrame:
    """Folds of all annotated videos: video, patient, frames, subset.

    Videos of the split "test" are held out; those of "train" are partitioned. Where the split is
    empty, it is that of the patient's other videos. Of the patients that remain, `test_share` is
    drawn at random for the test set (none where it is 0). `frames` counts the frames with a clip
    applier, which are those that are judged.

    Raises:
        LeakageError: where a patient is in both splits, or `check` finds a problem.
    """
    videos = videos[videos["video"].isin(labels["video"])]
    counts = labels[labels["label"] != "absent"].groupby("video").size()
    folds = videos[["video", "patient"]].copy()
    folds["frames"] = folds["video"].map(counts).fillna(0).astype("int64")
    train, test = (set(videos.loc[videos["split"] == s, "patient"]) for s in ("train", "test"))
    if both := sorted(train & test):
        raise LeakageError([f"patient {name}: videos in train and in test" for name in both])
    held = set(folds.loc[folds["patient"].isin(test), "video"])
    undecided = folds[~folds["patient"].isin(train | test)]
    if test_share and len(undecided):
        held |= hold_out(undecided, test_share, seed)
    folds["subset"] = "test"
    rest = ~folds["video"].isin(held)
    folds.loc[rest, "subset"] = partition(folds[rest], k).astype(str).to_numpy()
    folds = folds.sort_values("video").reset_index(drop=True)
    check(folds, labels, k)
    return folds


def write(folds: pd.DataFrame, path: str | Path) -> None:
    """Write folds.csv, whole or not at all."""
    files.write(path, folds[COLUMNS].to_csv(index=False, lineterminator="\n"))


def read(path: str | Path, k: int) -> pd.DataFrame:
    """Read folds.csv of k folds; LeakageError with every problem, by file and line."""
    problems = Problems(Path(path))
    folds = read_cells(Path(path), problems, ",".join(COLUMNS))
    if folds is None:
        raise LeakageError(problems.sorted())
    if list(folds.columns) != COLUMNS:
        what = f"the columns {', '.join(folds.columns)}"
        raise LeakageError([f"{path}:1: {what} (expected {', '.join(COLUMNS)})"])
    counts = folds["frames"].str.fullmatch(COUNT)
    problems.add_rows(folds[~counts], ["frames"], "a whole number")
    if problems.found:
        raise LeakageError(problems.sorted())
    folds = folds.reset_index(drop=True).astype({"frames": "int64"})
    found = structure(folds, k, str(path))
    if found:
        raise LeakageError(found)
    return folds


def split(
    folds: pd.DataFrame,
    labels: pd.DataFrame,
    fold: int | str,
    held_out: int | str = "test",
    protocol: str = "clipper",
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Frames of one training, with patient, subset and target (1 = tip invisible).

    The target of a training frame comes from its training_label, that of other frames from their
    label. A training frame with several labels has a row for each. Frames without a clip applier
    count as invisible.

    Args:
        folds, labels: the tables of this module.
        fold: the fold that validates.
        held_out: the subset that is judged: "test", or a fold in nested cross-validation. All other
            folds train.
        protocol: "clipper" leaves frames without a clip applier out of training and validation;
            "all" keeps them.

    Returns:
        The training, the validation and the judged frames. The judged frames always include those
        without a clip applier.

    Raises:
        FoldError: where there is no such fold or protocol.
        LeakageError: where `check` finds a problem.
    """
    check(folds, labels)
    fold, held_out = _known(folds, str(fold), str(held_out))
    if protocol not in PROTOCOLS:
        raise FoldError(f"protocol {protocol!r}: expected one of {', '.join(PROTOCOLS)}")
    frames = labels.merge(folds[["video", "patient", "subset"]], on="video", validate="many_to_one")
    subset = frames["subset"]
    train, validation, judged = (
        frames[~subset.isin([fold, held_out, "test"])],
        frames[subset == fold],
        frames[subset == held_out],
    )
    train = _labels_apart(train, protocol)
    if protocol == "clipper":
        validation = validation[validation["label"] != "absent"]
    return (
        _with_target(train, "training_label"),
        _with_target(validation, "label"),
        _with_target(judged, "label"),
    )


def training_frames(
    folds: pd.DataFrame, labels: pd.DataFrame, protocol: str = "clipper"
) -> pd.DataFrame:
    """The frames of all folds as training frames, as of `split`: no test video is among them.

    For a network that validation no longer chooses. Arguments and errors as of `split`.
    """
    check(folds, labels)
    frames = labels.merge(folds[["video", "patient", "subset"]], on="video", validate="many_to_one")
    return _with_target(
        _labels_apart(frames[frames["subset"] != "test"], protocol), "training_label"
    )


def _labels_apart(frames: pd.DataFrame, protocol: str) -> pd.DataFrame:
    """A row for each training label of the frames that train by this protocol."""
    rows = frames.assign(training_label=frames["training_label"].str.split("+"))
    rows = rows.explode("training_label", ignore_index=True)
    return rows[rows["training_label"] != "absent"] if protocol == "clipper" else rows


def judged(
    folds: pd.DataFrame, labels: pd.DataFrame, ensembles: Mapping[str, Sequence[int]]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Training frames by held-out subset, and all judged frames with a clip applier.

    Args:
        folds, labels: the tables of this module.
        ensembles: from `cross_validation.ensembles`; the training frames are those of the first
            network of each ensemble.

    Returns:
        The training frames by held-out subset, and the judged frames with a column held_out.

    Raises:
        FoldError, LeakageError: as `split`.
    """
    train, parts = {}, []
    for held_out, (fold, *_) in ensembles.items():
        labelled, _, frames = split(folds, labels, fold, held_out)
        train[held_out] = labelled.drop_duplicates(["video", "frame"], ignore_index=True)
        parts.append(frames[frames["label"] != "absent"].assign(held_out=held_out))
    return train, pd.concat(parts, ignore_index=True)


def _known(folds: pd.DataFrame, fold: str, held_out: str) -> tuple[str, str]:
    """Fold and held-out subset; FoldError for ones that do not exist or are the same."""
    numbers = sorted(set(folds["subset"]) - {"test"}, key=int)
    tested = "test" in set(folds["subset"])
    if held_out not in (["test"] if tested else numbers):
        expected = "test" if tested else f"one of {', '.join(numbers)} (there are no test videos)"
        raise FoldError(f"held_out {held_out!r}: expected {expected}")
    if fold not in numbers or fold == held_out:
        expected = ", ".join(number for number in numbers if number != held_out)
        raise FoldError(f"fold {fold!r}: expected one of {expected}")
    return fold, held_out


def _with_target(frames: pd.DataFrame, column: str) -> pd.DataFrame:
    target = (frames[column] != "visible").astype("int64")
    return frames.assign(target=target).reset_index(drop=True)


def _patients(videos: pd.DataFrame, k: int) -> pd.DataFrame:
    """One row a patient: frames (sum) and first (video id)."""
    patients = videos.groupby("patient").agg(frames=("frames", "sum"), first=("video", "min"))
    if k < 2 or len(patients) < k:
        expected = f"expected at least {max(k, 2)}, besides those of test videos"
        count = "1 patient" if len(patients) == 1 else f"{len(patients)} patients"
        raise FoldError(f"{count} for {k} folds: {FEW} ({expected})")
    return patients


def _of_videos(videos: pd.DataFrame, subset: dict[str, int]) -> pd.Series:
    index = pd.Index(videos["video"], name="video")
    return pd.Series(videos["patient"].map(subset).to_numpy(), index=index, name="subset")
