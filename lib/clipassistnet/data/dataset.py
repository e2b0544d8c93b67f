"""A dataset folder: tidy CSV files which the simulator, every importer and every user write."""

import hashlib
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from clipassistnet.data import validation
from clipassistnet.data.schema import CAUSES, CLASSES, LABELS, TABLES

__all__ = ["CAUSES", "CLASSES", "LABELS", "Dataset", "DatasetError", "DatasetWarning"]
__all__ += ["read", "read_videos", "write"]


class DatasetError(ValueError):
    """A dataset folder that breaks the contract; `problems` lists everything found, a line each."""

    def __init__(self, problems: list[str]):
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        count = len(self.problems)
        return "\n".join([f"{count} problem{'s' * (count > 1)} in the dataset:", *self.problems])


class DatasetWarning(UserWarning):
    """Something in a dataset folder that is allowed, yet may not be meant."""


@dataclass(frozen=True)
class Dataset:
    """The tables of a dataset folder; an optional table that is not there is None."""

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
        return str(self.folder / row.iloc[0])

    def digest(self) -> str:
        """SHA-256 over names and bytes of the folder's CSV files, sorted by name."""
        sha = hashlib.sha256()
        for name in sorted(TABLES):
            path = self.folder / f"{name}.csv"
            if path.exists():
                content = path.read_bytes()
                sha.update(f"{path.name} {len(content)}\n".encode() + content)
        return sha.hexdigest()


def read(folder: str | Path) -> Dataset:
    """Read and validate a dataset folder.

    Args:
        folder: holds videos.csv, annotations.csv and any of the optional tables (`schema.TABLES`).

    Raises:
        DatasetError: with every problem of every file, each with file, line, value and what was
            expected.

    Warns:
        DatasetWarning: for videos without annotations, and for CSV files that are not read.
    """
    folder = Path(folder).resolve()
    tables, problems = validation.validate(folder)
    if problems:
        raise DatasetError(problems)
    unknown = sorted(path.name for path in folder.glob("*.csv") if path.stem not in TABLES)
    if unknown:
        _warn(f"{folder}: not part of a dataset, not read: {', '.join(unknown)}")
    bare = sorted(set(tables["videos"]["video"]) - set(tables["annotations"]["video"]))
    if bare:
        _warn(f"{folder / 'annotations.csv'}: no annotation of the videos {', '.join(bare)}")
    return Dataset(folder, **tables)


def read_videos(folder: str | Path) -> pd.DataFrame:
    """Read and validate videos.csv alone, of a folder that has no annotations yet.

    Raises:
        DatasetError: with every problem of that file.
    """
    tables, problems = validation.validate(Path(folder).resolve(), ["videos"])
    if problems:
        raise DatasetError(problems)
    return tables["videos"]


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
        temporary = folder / f".{name}.csv.part"
        temporary.write_bytes(text.encode())
        os.replace(temporary, folder / f"{name}.csv")


def _warn(message: str) -> None:
    warnings.warn(message, DatasetWarning, stacklevel=3)
