"""Work on many items in several processes, which end with the process that started them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Any, NamedTuple

import cv2


class Outcome(NamedTuple):
    """What became of one item of work."""

    name: str
    note: str
    failed: bool = False


def pool(processes: int) -> ProcessPoolExecutor:
    """A pool of new processes, each with one OpenCV thread."""
    return ProcessPoolExecutor(processes, get_context("spawn"), _start)


def run_all(
    work: Callable[[Any], Outcome], items: Sequence[Any], processes: int, unit: str
) -> list[Outcome]:
    """Run `work(item)` for all items and show the progress.

    A terminal gets a progress bar, a log one line an item.

    Args:
        work: can be pickled where there is more than one process.
        processes: items worked on at a time.
        unit: what one item is, for the progress bar.

    Returns:
        The outcomes, in the order of the items.
    """
    if processes == 1:
        return _shown(map(work, items), len(items), unit)
    with pool(processes) as workers:
        try:
            return _shown(workers.map(work, items), len(items), unit)
        except BaseException:
            workers.shutdown(cancel_futures=True)
            raise


def _shown(outcomes: Iterable[Outcome], count: int, unit: str) -> list[Outcome]:
    if sys.stderr.isatty():
        return list(_bar(outcomes, count, unit))
    done = []
    for outcome in outcomes:
        done.append(outcome)
        print(f"[{len(done)}/{count}] {outcome.name}: {outcome.note}", flush=True)
    return done


def _bar(outcomes: Iterable[Outcome], count: int, unit: str) -> Iterator[Outcome]:
    from tqdm import tqdm  # of the study extra

    yield from tqdm(outcomes, total=count, unit=unit)


def _start() -> None:
    cv2.setNumThreads(1)  # processes are the unit of parallel work
    # After kill -9 of the parent, a worker must neither go on computing nor wait for work forever.
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
