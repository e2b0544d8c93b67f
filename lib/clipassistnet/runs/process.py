"""Processes that end with their parent, locks that end with their process, one GPU a run."""

import contextlib
import ctypes
import fcntl
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from clipassistnet.runs.provenance import gpus

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Have the kernel (Linux) kill this process when its parent dies, however that dies.

    After kill -9 of Snakemake or of the runner nothing may keep computing. Elsewhere than on
    Linux the Jupyter kernel's own parent poller does this, a second later.
    """
    if not sys.platform.startswith("linux"):
        return
    parent = os.getppid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died in between, and no signal will come
        os.kill(os.getpid(), signal.SIGKILL)


def try_lock(path: Path) -> IO[str] | None:
    """Take an OS lock on a file, which ends with this process; None where another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = open(path, "a")  # noqa: SIM115 the lock lives as long as the open file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


@contextlib.contextmanager
def one_gpu(poll_seconds: float = 1.0) -> Iterator[str | None]:
    """Hold one free GPU: yields what CUDA_VISIBLE_DEVICES shall be, None where nothing is to set.

    A scheduler that already chose the devices (Slurm sets the variable) is left alone.
    """
    count = 0 if "CUDA_VISIBLE_DEVICES" in os.environ else len(gpus())
    if not count:
        yield None
        return
    while True:
        for index in range(count):
            lock = try_lock(Path(tempfile.gettempdir()) / f"clipassistnet-gpu-{index}.lock")
            if lock:
                with lock:
                    yield str(index)
                return
        time.sleep(poll_seconds)
