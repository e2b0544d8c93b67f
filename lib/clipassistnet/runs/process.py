"""Processes that end with their parent, a run or study that works once at a time, one GPU a run."""

import contextlib
import ctypes
import errno
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from clipassistnet import files
from clipassistnet.runs.folders import RunError
from clipassistnet.runs.provenance import gpus

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have Linux kill this process when its parent dies.

    After kill -9 of Snakemake or of the runner nothing may continue to compute. On other systems
    the Jupyter kernel's own parent poller does this, a second later.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request, and no signal will come
        os.kill(os.getpid(), signal.SIGKILL)


@contextlib.contextmanager
def only_one(path: Path, what: str) -> Iterator[None]:
    """Hold a lock file while a run or study works.

    Raises:
        RunError: another process holds it: `what` is running already.
        LockError: no lock can be taken in this folder; the message says why.
    """
    with contextlib.ExitStack() as held:
        if not _take(held, path):
            raise RunError(f"{what} is running already (its lock: {path})")
        yield


@contextlib.contextmanager
def one_gpu(poll_seconds: float = 1.0) -> Iterator[str | None]:
    """Hold one free GPU: yields the value for CUDA_VISIBLE_DEVICES, None where it is left alone.

    A scheduler that already chose the devices (Slurm sets the variable) is left alone.
    """
    count = 0 if "CUDA_VISIBLE_DEVICES" in os.environ else len(gpus())
    with contextlib.ExitStack() as held:
        yield _free_gpu(held, count, poll_seconds) if count else None


def _free_gpu(held: contextlib.ExitStack, count: int, poll_seconds: float) -> str:
    while True:
        for index in range(count):
            path = Path(tempfile.gettempdir()) / f"clipassistnet-gpu-{index}.lock"
            if _take(held, path):
                return str(index)
        time.sleep(poll_seconds)


def _take(held: contextlib.ExitStack, path: Path) -> bool:
    """Take a lock until `held` closes; False where another process holds it."""
    try:
        held.enter_context(files.lock(path))
    except files.LockError as error:
        if error.errno != errno.EWOULDBLOCK:
            raise
        return False
    return True
