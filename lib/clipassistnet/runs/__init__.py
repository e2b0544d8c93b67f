"""Runs of notebooks: what a notebook sees of its run; how runs and studies are executed.

Every notebook imports this, so that only `run` and `folders` are offered here: a change in them
reruns everything.
"""

from clipassistnet.runs.folders import (
    ONCE,
    RunError,
    data_folder,
    frames_folder,
    is_simulated,
    name_key,
    root,
    runs_folder,
)
from clipassistnet.runs.run import Run, start

__all__ = [
    "ONCE",
    "Run",
    "RunError",
    "data_folder",
    "frames_folder",
    "is_simulated",
    "name_key",
    "root",
    "runs_folder",
    "start",
]
