"""Read a dataset folder and list every problem, with file, line, value and what was expected.

The folder needs videos.csv and annotations.csv; docs/own_data.md describes their columns.
"""

from __future__ import annotations

from pathlib import Path

from clipassistnet.commands.parsing import command_parser
from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset
from clipassistnet.runs.folders import data_folder


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; problems are raised as one DatasetError."""
    parser = command_parser("check", __doc__, "check --data /data/cholecystectomies")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--data", type=Path, metavar="FOLDER", help="the dataset folder")
    which.add_argument("--study", help="the dataset folder of this study")
    options = parser.parse_args(arguments)
    print(describe(dataset.read(options.data or data_folder(options.study))))
    return 0


def describe(data: Dataset) -> str:
    """How many videos, patients, frames and labels a dataset has, in one line."""
    frames = data.annotations.drop_duplicates(["video", "frame"])
    labels = data.annotations["label"].value_counts()
    counts = ", ".join(f"{count} {label}" for label, count in labels.items())
    videos = f"{len(data.videos)} videos of {data.videos['patient'].nunique()} patients"
    return f"{data.folder}: {videos}, {len(frames)} labelled frames, labels: {counts}"
