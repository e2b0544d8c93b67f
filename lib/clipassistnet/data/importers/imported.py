"""What every importer returns, and how it becomes a dataset folder."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from clipassistnet import files
from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.schema import TABLES


@dataclass(frozen=True)
class Imported:
    """Tables of a dataset folder, and notes on how they were made.

    `to_annotate` has the columns video, frame and listed: frames without a tip label that show a
    clip applier (listed 1) or may show one (listed 0).
    """

    videos: pd.DataFrame
    annotations: pd.DataFrame
    to_annotate: pd.DataFrame
    notes: list[str]
    boxes: pd.DataFrame | None = None
    phases: pd.DataFrame | None = None


def save(imported: Imported, folder: str | Path) -> Dataset:
    """Write a new dataset folder and read it back, which validates it.

    The frames to annotate go to `to_annotate/clipper_frames.csv` in it.

    Raises:
        DatasetError: where the folder already holds a dataset, or where reading it back finds a
            problem. No table is left behind then.
    """
    folder = Path(folder)
    found = [f"{name}.csv" for name in TABLES if (folder / f"{name}.csv").exists()]
    if found:
        what = f"{folder}: holds {', '.join(found)} already"
        raise DatasetError([f"{what} (expected a new folder: labels are never overwritten)"])
    names = ("videos", "annotations", "boxes", "phases")
    dataset.write(folder, **{name: getattr(imported, name) for name in names})
    try:
        result = dataset.read(folder)
    except DatasetError:
        for name in names:
            (folder / f"{name}.csv").unlink(missing_ok=True)
        raise
    if len(imported.to_annotate):
        (folder / "to_annotate").mkdir(exist_ok=True)
        path = folder / "to_annotate" / "clipper_frames.csv"
        files.write(path, imported.to_annotate.to_csv(index=False, lineterminator="\n"))
    return result
