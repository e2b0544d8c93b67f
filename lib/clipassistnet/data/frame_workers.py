"""Work on many videos: one builder a folder, several processes, progress for person or log."""

import fcntl
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from clipassistnet.workers import pool


class Outcome(NamedTuple):
    """What became of one video."""

    video: str
    note: str
    failed: bool = False


@contextmanager
def only_builder(folder: Path) -> Iterator[None]:
    """Wait until no other process builds in this folder; the lock dies with its holder."""
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"{folder}: waiting for the process that builds it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def each(work: Callable[..., Outcome], jobs: list, processes: int) -> list[Outcome]:
    """Outcomes of `work(job)` for all jobs, in order: a bar on a terminal, else a line a video."""
    if processes == 1:
        return _shown(map(work, jobs), len(jobs))
    with pool(processes) as workers:
        try:
            return _shown(workers.map(work, jobs), len(jobs))
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise


def _shown(outcomes: Iterator[Outcome], count: int) -> list[Outcome]:
    if sys.stderr.isatty():
        return list(tqdm(outcomes, total=count, unit="video"))
    done = []
    for outcome in outcomes:
        done.append(outcome)
        print(f"[{len(done)}/{count}] {outcome.video}: {outcome.note}", flush=True)
    return done
