"""A dataset folder: tidy CSV files which the simulator, every importer and every user write."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from clipassistnet import files
from clipassistnet.data import validation
from clipassistnet.data.csv_tables import Problems, read_cells, required_columns
from clipassistnet.data.file_names import existing
from clipassistnet.data.schema import CAUSES, CLASSES, LABELS, TABLES
from clipassistnet.errors import ExplainedError

__all__ = ["CAUSES", "CLASSES", "LABELS", "Dataset", "DatasetError", "DatasetWarning"]
__all__ += ["read", "read_text", "read_videos", "write"]

IMAGE_FPS = 25.0  # of sets of image files for which videos.csv states no rate


class DatasetError(ExplainedError, ValueError):
    """A dataset folder that breaks the contract; `problems` lists every problem, one line each."""

    def __init__(self, problems: list[str]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"{count} in the dataset:", *self.problems])


class DatasetWarning(UserWarning):
    """Something in a dataset folder that is allowed but may be a mistake."""


@dataclass(frozen=True)
class Dataset:
    """The tables of a dataset folder; an optional table that does not exist is None."""

    folder: Path
    videos: pd.DataFrame
    annotations: pd.DataFrame
    adjudications: pd.DataFrame | None = None
    passes: pd.DataFrame | None = None
    phases: pd.DataFrame | None = None
    actions: pd.DataFrame | None = None
    boxes: pd.DataFrame | None = None
    tips: pd.DataFrame | None = None
    truth: pd.DataFrame | None = None

    def path(self, video: str) -> str:
        """Absolute path of a video file, or absolute pattern (with `{frame...}`) of its images."""
        row = self.videos.loc[self.videos["video"] == video, "path"]
        if row.empty:
            raise KeyError(f"no video {video!r} in {self.folder / 'videos.csv'}")
        return str(existing(self.folder / row.iloc[0]))


def read(folder: str | Path) -> Dataset:
    """Read and validate a dataset folder.

    Args:
        folder: holds videos.csv, annotations.csv and any of the optional tables (`schema.TABLES`).

    Raises:
        DatasetError: with every problem of every file, each with file, line, value and what was
            expected.

    Warns:
        DatasetWarning: for videos without annotations, for sets of image files without a rate, and
            for CSV files that are not read.
    """
    folder = Path(folder).resolve()
    tables, problems = validation.validate(folder)
    if problems:
        raise DatasetError(problems)
    unknown = sorted(path.name for path in folder.glob("[!.]*.csv") if path.stem not in TABLES)
    if unknown:
        _warn(f"{folder}: not part of a dataset, not read: {', '.join(unknown)}")
    tables["videos"] = _with_rates(tables["videos"], folder)
    bare = sorted(set(tables["videos"]["video"]) - set(tables["annotations"]["video"]))
    if bare:
        _warn(f"{folder / 'annotations.csv'}: no annotation of the videos {', '.join(bare)}")
    return Dataset(folder, **tables)


def read_videos(folder: str | Path) -> pd.DataFrame:
    """Read and validate videos.csv alone, of a folder that has no annotations yet.

    Raises:
        DatasetError: with every problem of that file.

    Warns:
        DatasetWarning: for sets of image files without a rate.
    """
    folder = Path(folder).resolve()
    tables, problems = validation.validate(folder, ["videos"])
    if problems:
        raise DatasetError(problems)
    return _with_rates(tables["videos"], folder)


def read_text(folder: str | Path, name: str) -> pd.DataFrame:
    """The cells of one table as text, such as sources and licences of videos.csv.

    Neither cells nor videos are checked, so this is fast and works without the videos. A column
    that the file does not have is empty.

    Args:
        folder: the dataset folder.
        name: of the table (`schema.TABLES`).

    Raises:
        DatasetError: where the file is no CSV file, or lacks a required column.
    """
    path, table = Path(folder) / f"{name}.csv", TABLES[name]
    problems = Problems(path)
    needed = required_columns(table)
    rows = read_cells(path, problems, ",".join(needed))
    if rows is not None and not problems.found:
        for column in [column for column in needed if column not in rows]:
            problems.add(1, f"no column {column!r}", f"the columns {','.join(needed)}")
    if rows is None or problems.found:
        raise DatasetError(problems.sorted())
    columns = [*table.columns, *rows.columns.difference([*table.columns])]
    return rows.reindex(columns=columns, fill_value="").reset_index(drop=True)


def write(folder: str | Path, **tables: pd.DataFrame | None) -> None:
    """Write CSV files of a dataset folder, each one whole or not at all.

    The columns come in the order of the contract. Nothing is validated: `read` does that.

    Args:
        folder: created where it does not exist.
        tables: by name (`schema.TABLES`). Those that are None, or not given, are not written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        if name not in TABLES:
            raise TypeError(f"no table {name!r} in a dataset (expected one of: {[*TABLES]})")
        if table is None:
            continue
        known = TABLES[name].columns
        order = sorted(table.columns, key=lambda column: [*known, column].index(column))
        # A count with gaps is float in pandas: 40 frames must not be written as 40.0.
        floats = table[order].select_dtypes("float")
        whole = {column: "Int64" for column in floats if column in known and known[column].whole}
        text = table[order].astype(whole).to_csv(index=False, lineterminator="\n")
        files.write(folder / f"{name}.csv", text)


def _with_rates(videos: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """A rate for every video; only sets of image files can be without one here."""
    unknown = videos.loc[videos["fps"].isna(), "video"]
    if unknown.empty:
        return videos
    what = f"image files without fps: {', '.join(unknown)}"
    _warn(f"{folder / 'videos.csv'}: {what}: {IMAGE_FPS:g} assumed; durations depend on it")
    return videos.fillna({"fps": IMAGE_FPS})


def _warn(message: str) -> None:
    warnings.warn(message, DatasetWarning, stacklevel=3)
