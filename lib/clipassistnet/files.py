"""Files and folders that are written whole or not at all, their hashes, and locks.

Runs on Python 3.8 with the standard library alone; `lock` needs filelock, of the study extra.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Callable, Union

ENGINE_SIDECAR = "engine.json"  # of a saved engine; deploy writes it, live looks for it
BATCH = "CLIPASSISTNET_RUN"  # environment variable of a batch run: the folder that it writes to

PathLike = Union[str, "os.PathLike[str]"]


class LockError(OSError):
    """A lock that cannot be taken: another process holds it, or the file system has no locks."""


class LockWarning(UserWarning):
    """A file system without OS locks."""


@contextlib.contextmanager
def whole(path: PathLike) -> Iterator[Path]:
    """Yield a path to write to; at the end of the block the file is renamed to `path`.

    A reader sees the former file or the new one, never a half. The yielded path lies in the same
    folder and keeps the ending, for writers that tell the format by it. After an error it is
    removed and `path` is as before. The bytes are on the disk before the renaming.
    """
    path = Path(path)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def make_missing(makers: Mapping[Path, Callable[[Path], None]]) -> None:
    """Make each of these files that is missing, whole or not at all; processes share the work.

    A maker writes the path that it is given. A file that another process is making is left to the
    end, and then waited for. Errors as of `lock`.
    """
    for wait in (False, True):
        for path, make in makers.items():
            if path.exists():
                continue
            try:
                with lock(path.with_suffix(".lock"), wait=wait):
                    if not path.exists():
                        with whole(path) as part:
                            make(part)
            except LockError as error:
                if error.errno != errno.EWOULDBLOCK:
                    raise


def write(path: PathLike, content: str | bytes) -> None:
    """Write text (UTF-8, line ends as they are) or bytes to a file, whole or not at all."""
    body = content.encode("utf-8") if isinstance(content, str) else content
    with whole(path) as part:
        part.write_bytes(body)


def replace_folder(folder: PathLike, new: PathLike) -> None:
    """Replace `folder`, which may be missing, by the folder `new`.

    Both lie on one file system. Killed between the two renamings, neither is lost: the former one
    is then called .<name>.old, and the next call removes it.
    """
    folder, new = Path(folder), Path(new)
    old = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def digest(path: PathLike) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits."""
    sha = hashlib.sha256()
    with open(path, "rb") as file:
        for part in iter(lambda: file.read(1 << 20), b""):
            sha.update(part)
    return sha.hexdigest()


@contextlib.contextmanager
def lock(path: PathLike, *, wait: bool = False) -> Iterator[None]:
    """Hold an OS lock on a file while the block runs; it ends with this process, however that ends.

    On a file system whose locks are switched off (ENOSYS, as on some clusters) a file with the
    holder's process id takes their part: one that a killed process of this machine left is removed.

    Args:
        path: of the lock's own file; its folder is made where it is missing.
        wait: wait for another holder instead of raising, and print one line that says so.

    Raises:
        LockError: another process holds the lock (errno EWOULDBLOCK), or none can be taken here
            (errno ENOTSUP); the message says which.

    Warns:
        LockWarning: where a file takes the part of the OS lock.
    """
    import filelock

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    held = filelock.FileLock(path, timeout=0)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*falling back to SoftFileLock")
            try:
                held.acquire()
            except filelock.Timeout:
                if not wait:
                    raise
                # The name alone: an executed notebook that names a folder could not be recorded.
                name = os.path.basename(path)
                print(f"{name}: waiting for the process that holds this lock", flush=True)
                held.acquire(timeout=-1)
    except filelock.Timeout:
        raise LockError(errno.EWOULDBLOCK, "another process holds this lock", str(path)) from None
    except (NotImplementedError, OSError) as error:
        reason = f"no lock can be taken here ({error}): use a folder on a local disk"
        raise LockError(errno.ENOTSUP, reason, str(path)) from error
    if type(held) is filelock.SoftFileLock:
        text = "this file system has no OS locks; a file with the process id is used instead"
        warnings.warn(f"{path}: {text}", LockWarning, stacklevel=3)
    try:
        yield
    finally:
        held.release()
