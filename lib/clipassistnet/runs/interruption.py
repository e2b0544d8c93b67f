"""A child process that ends, with all of its own, when this process is asked to end."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from clipassistnet.runs.process import die_with_parent

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class AskedToEnd(BaseException):
    """A signal that asks this process to end; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def run_group(command: list[str], folder: Path, grace: float) -> int:
    """Run a command as a process group of its own and return its exit status.

    SIGINT, SIGTERM and SIGHUP of this process end the group, whether a terminal sent them to all
    or somebody to this process alone. First the group is interrupted, so that runs end in order.
    What remains after `grace` seconds, or at a second signal, is killed. The exit status is then
    128 and the signal's number.
    """
    process = None
    try:
        with _asked():
            # A signal between the start of the child and the assignment would be lost.
            signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    preexec_fn=_begin_child,
                )
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
            return process.wait()
    except AskedToEnd as asked:
        print(f"{signal.Signals(asked.number).name}: ending the runs", flush=True)
        if process is not None:
            _end(process, grace)
        print("all runs have ended; the same command continues from here", flush=True)
        return 128 + asked.number


def _begin_child() -> None:
    """Let the child end by signals, where a shell's `&` or nohup has this process ignore them too.

    A child inherits ignored and blocked signals. It lies in a session of its own, so that no
    terminal reaches it, and this process sends it SIGINT.
    """
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    die_with_parent()


@contextlib.contextmanager
def _asked() -> Iterator[None]:
    """Raise AskedToEnd at a signal, unless it is ignored (as nohup makes it)."""

    def raise_it(number: int, frame: FrameType | None) -> None:
        raise AskedToEnd(number)

    before = {number: signal.getsignal(number) for number in SIGNALS}
    heard = [number for number in SIGNALS if before[number] is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, raise_it)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _end(process: subprocess.Popen, grace: float) -> None:
    """Interrupt the group of a process; kill what is left of it after `grace` seconds."""
    try:
        with _asked():
            _signal(process, signal.SIGINT)
            _wait(process, grace)
    except AskedToEnd:
        pass
    _signal(process, signal.SIGKILL)
    _wait(process, 10)


def _signal(process: subprocess.Popen, number: int) -> bool:
    """Send a signal to the group; False where it has no process left."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _wait(process: subprocess.Popen, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        process.poll()  # collects the leader, which would else stay in the group
        if not _signal(process, 0):
            return
        time.sleep(0.05)
