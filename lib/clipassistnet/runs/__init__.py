"""Runs of notebooks: what a notebook sees of its run; how runs and studies are executed.

Every notebook imports this, so that only `run` is offered here: a change in it reruns everything.
"""

from clipassistnet.runs.run import (
    ONCE,
    Run,
    RunError,
    data_folder,
    frames_folder,
    is_simulated,
    name_key,
    root,
    runs_folder,
    start,
)

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
