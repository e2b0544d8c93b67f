"""One annotator's labels, merged into the annotations.csv of a dataset folder."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd

from clipassistnet import files
from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.importers import cholec80, cholect50
from clipassistnet.data.importers.source_files import listing

TOOL_LISTS = (cholec80.NAME, cholect50.NAME)
KEY = ["video", "frame"]
# From an export, the dataset folder and the rows of its videos.csv to a table with the columns
# video, frame, label, cause and confidence, and notes. It raises DatasetError with every problem.
Reader = Callable[[Path, Path, pd.DataFrame], tuple[pd.DataFrame, list[str]]]


def merge(
    folder: str | Path,
    exports: list[str | Path],
    annotator: str,
    read: Reader,
    *,
    video: str = "",
) -> tuple[Dataset, list[str]]:
    """Add one annotator's exports to the annotations.csv of a dataset folder.

    Annotators do not see the frames that a list of tools or boxes calls absent. These frames become
    absent for this annotator too, unless an export labels them. In the videos of the exports, this
    replaces the rows that the importer of the list has written.

    Args:
        folder: a dataset folder; annotations.csv may be missing in it.
        exports: files of a labelling tool.
        annotator: name of the annotator.
        read: reads one export.
        video: the video that the exports show, where their file names do not say it.

    Returns:
        The merged dataset, and notes.

    Raises:
        DatasetError: with every problem. The folder is then as it was before.
    """
    folder = Path(folder).resolve()
    videos = dataset.read_videos(folder)
    if video and video not in set(videos["video"]):
        raise DatasetError([f"{folder / 'videos.csv'}: no video {video!r}"])
    new, notes = _collected(folder, videos, exports, read)
    new["annotator"] = annotator
    path = folder / "annotations.csv"
    old = dataset.read_text(folder, "annotations") if path.exists() else new.iloc[:0]
    old = old.assign(**{column: "" for column in new if column not in old})
    old, absent = _by_list(old, new, annotator)
    if len(absent):
        notes.append(f"{len(absent)} frames absent, by the list of tools or boxes")
    _refuse_twice(path, old, new)
    return _replace(path, pd.concat([old, new, absent])), notes


def _collected(
    folder: Path, videos: pd.DataFrame, exports: list[str | Path], read: Reader
) -> tuple[pd.DataFrame, list[str]]:
    """The labels of all exports, and notes; DatasetError with the problems of all exports."""
    parts, problems = [], []
    for export in map(Path, exports):
        try:
            parts.append(read(export, folder, videos))
        except DatasetError as error:
            problems += error.problems
    if problems:
        raise DatasetError(problems)
    labels = pd.concat([rows for rows, _ in parts]).astype({"frame": "str"})
    return labels, [note for _, notes in parts for note in notes]


def _refuse_twice(path: Path, old: pd.DataFrame, new: pd.DataFrame) -> None:
    twice = new.merge(old, on=[*KEY, "annotator"])
    if len(twice):
        annotator = twice["annotator"].iloc[0]
        frames = listing([" ".join(row) for row in twice[KEY].itertuples(index=False)])
        advice = "remove the earlier labels from annotations.csv, or name another annotator"
        raise DatasetError([f"{path}: {annotator} has labelled {frames} already: {advice}"])


def _by_list(
    old: pd.DataFrame, new: pd.DataFrame, annotator: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The old labels that stay, and this annotator's "absent" of the frames of the list."""
    here = old["video"].isin(new["video"])
    # As the importers write it. A person's "absent" has another cause, or a confidence.
    listed = (old[["label", "cause", "confidence"]] == ["absent", "no_clipper", ""]).all(axis=1)
    done = pd.concat([new[KEY], old.loc[old["annotator"] == annotator, KEY]])
    frames = old.loc[here & listed, KEY].drop_duplicates()
    frames = frames.merge(done.drop_duplicates(), how="left", on=KEY, indicator=True)
    absent = frames.loc[frames["_merge"] == "left_only", KEY]
    absent = absent.assign(label="absent", cause="no_clipper", confidence="", annotator=annotator)
    return old[~(here & old["annotator"].isin(TOOL_LISTS))], absent


def _replace(path: Path, annotations: pd.DataFrame) -> Dataset:
    """Write annotations.csv and read the dataset; where that fails, the file is as before."""
    before = path.read_bytes() if path.exists() else None

    def order(column: pd.Series) -> pd.Series:
        return column.str.zfill(15) if column.name == "frame" else column

    annotations = annotations.sort_values([*KEY, "annotator"], key=order)
    dataset.write(path.parent, annotations=annotations)
    try:
        return dataset.read(path.parent)
    except DatasetError:
        if before is None:
            path.unlink()
        else:
            files.write(path, before)
        raise
