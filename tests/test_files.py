"""Files are whole or as before, and locks end with their process."""

import errno
import fcntl
import hashlib
import subprocess
import sys
import threading

import pytest

from clipassistnet import files


def test_a_file_is_whole_or_as_before(tmp_path):
    path = tmp_path / "table.csv"
    with files.whole(path) as part:
        assert part.suffix == ".csv"
        part.write_bytes(b"before")

    def fails_half_way() -> None:
        with files.whole(path) as part:
            part.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails_half_way()
    assert path.read_bytes() == b"before"
    files.write(path, "a\r\nb\n")
    assert path.read_bytes() == b"a\r\nb\n"
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"]


def test_the_digest_is_sha_256(tmp_path):
    body = bytes(range(256)) * 10_000
    (tmp_path / "x").write_bytes(body)
    assert files.digest(tmp_path / "x") == hashlib.sha256(body).hexdigest()


def test_a_folder_is_replaced(tmp_path):
    for name in ("run", "new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    (tmp_path / ".run.old").mkdir()  # of a call that was killed
    files.replace_folder(tmp_path / "run", tmp_path / "new")
    assert (tmp_path / "run" / "file").read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


HOLDER = """
import fcntl, os, sys, warnings
from clipassistnet import files
warnings.simplefilter("ignore")
if sys.argv[2] == "without":
    def flock(*_):
        raise OSError(38, "Function not implemented")
    fcntl.flock = flock
with files.lock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("locks", ["with", "without"])
@pytest.mark.filterwarnings("ignore::clipassistnet.files.LockWarning")
def test_a_lock_is_held_once_and_ends_with_its_process(tmp_path, monkeypatch, locks):
    if locks == "without":
        monkeypatch.setattr(fcntl, "flock", missing_flock)
    path = tmp_path / "folder" / ".lock"
    command = [sys.executable, "-c", HOLDER, str(path), locks]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(files.LockError, match="another process holds") as caught, files.lock(path):
        pass
    assert caught.value.errno == errno.EWOULDBLOCK
    holder.kill()
    holder.wait()
    with files.lock(path):
        pass
    with files.lock(path, wait=True):
        pass


def test_a_file_system_without_locks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", missing_flock)
    warned = pytest.warns(files.LockWarning, match="has no OS locks")
    with warned, files.lock(tmp_path / ".lock"):
        pass


def test_a_lock_that_cannot_be_taken_is_not_called_held(tmp_path, monkeypatch):
    def no_more(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_more)
    refused = pytest.raises(files.LockError, match="no lock can be taken here")
    with refused as caught, files.lock(tmp_path / ".lock"):
        pass
    assert caught.value.errno == errno.ENOTSUP


def missing_flock(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")


def test_processes_share_the_files_that_are_to_be_made(tmp_path):
    """What another process is making is left to the end; nothing is made twice."""
    paths = [tmp_path / name for name in "abc"]
    made, others_made = [], threading.Event()

    def make(path):
        made.append(path.name.split(".")[1])
        path.write_text("made here")
        if len(made) == 2:
            others_made.set()

    with files.lock(tmp_path / "a.lock"):
        other = threading.Thread(
            target=lambda: files.make_missing(dict.fromkeys(paths, make)), daemon=True
        )
        other.start()
        assert others_made.wait(30)
        paths[0].write_text("made elsewhere")
    other.join(30)
    assert made == ["b", "c"]
    assert paths[0].read_text() == "made elsewhere"


def test_a_file_that_cannot_be_made_is_not_left_half(tmp_path):
    def fail(path):
        path.write_text("half")
        raise ValueError("no disk")

    with pytest.raises(ValueError, match="no disk"):
        files.make_missing({tmp_path / "a": fail})
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]
    files.make_missing({tmp_path / "a": lambda path: path.write_text("whole")})
    assert (tmp_path / "a").read_text() == "whole"
