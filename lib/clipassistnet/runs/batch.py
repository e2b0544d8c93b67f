"""A whole study: Snakemake, once at a time."""

import os
import sys
from pathlib import Path

from clipassistnet.runs import study as studies
from clipassistnet.runs.folders import root, runs_folder
from clipassistnet.runs.interruption import run_group
from clipassistnet.runs.process import only_one
from clipassistnet.runs.provenance import gpus
from clipassistnet.runs.study_data import keep_data


def run(study: str, data: str | None, cores: int | None, extra: list[str]) -> int:
    """Bring every run of a study up to date, after the runs of other studies that it needs.

    Returns Snakemake's exit status, or 128 and the number of the signal that ended it.

    Args:
        data: dataset folder, or a public set as unpacked (see `keep_data`), which is remembered;
            None for the remembered one, or for a study that simulates its videos.
        cores: processor cores to use; None: all.
        extra: further arguments for Snakemake, e.g. ["--executor", "slurm"]. The Snakefile names
            its files from the project's folder; absolute paths within it are made so.

    Raises:
        RunError: a wrong study file, missing data, or the study is running already.
    """
    wanted = studies.read(study)
    keep_data(wanted, data)
    wanted.check()
    for other, notebook, key in wanted.needs:
        print(f"first, from the study {other}: {notebook} {key}", flush=True)
        target = runs_folder() / other / notebook / key / ".done"
        if status := run(other, None, cores, [*extra, str(target)]):
            return status
    with only_one(runs_folder() / study / ".lock", f"study {study!r}"):
        return _snakemake(study, cores or len(os.sched_getaffinity(0)), extra)


def _snakemake(study: str, cores: int, extra: list[str]) -> int:
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(root() / "Snakefile")]
    # The file, not the name: Snakemake would take 2024 and 123_456 for numbers.
    command += ["--directory", str(root()), "--config", f"study=notebooks/studies/{study}.yaml"]
    command += ["--cores", str(cores)]
    if gpus():
        command += ["--resources", f"gpu={len(gpus())}"]
    # The lock is ours: Snakemake's stays after kill -9. Modification times only order what the
    # study itself made: notebooks and code are params, by content.
    command += ["--logger", "clipassistnet", "--rerun-triggers", "mtime", "params", "input"]
    # Last an option without values, or it would take a target in `extra` for one.
    command += ["--nolock", "--rerun-incomplete", "--keep-going"]
    # On a cluster Snakemake cancels its jobs one by one.
    grace = 60 if "--executor" in extra else 8
    return run_group([*command, *map(_in_project, extra)], root(), grace)


def _in_project(argument: str) -> str:
    """An absolute path within the project, from the project's folder; any other argument as is."""
    path = Path(argument)
    return str(path.relative_to(root())) if path.is_relative_to(root()) else argument
