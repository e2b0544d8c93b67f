"""Recordings that can be played up to the last second, whatever happens."""

import builtins
import errno
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from clipassistnet.alarm import State
from clipassistnet.live.recorder import Recorder, RecordError, Writer, free_name, require_pyav
from test_live_loop import Room, on_a_machine_with_time
from tiny_videos import FPS, index_of, picture

av = pytest.importorskip("av")
SIZE = (64, 48)


def indices(path) -> list[int]:
    with av.open(str(path)) as container:
        return [index_of(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def times(path) -> list[float]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return [picture(index) for index in range(20)]


def test_every_picture_at_its_own_time(tmp_path):
    writer = Writer(str(tmp_path / "a.mkv"), SIZE)
    at = [0.0, 0.04, 0.1, 0.1, 0.9, 3.0]
    for index, seconds in enumerate(at):
        writer.write(picture(index), seconds)
    writer.close()
    assert indices(tmp_path / "a.mkv") == list(range(6))
    assert times(tmp_path / "a.mkv") == pytest.approx([0, 0.04, 0.1, 0.101, 0.9, 3.0])


KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from tiny_videos import picture
from clipassistnet.live.recorder import Recorder
recorder = Recorder(sys.argv[1])
begin = time.monotonic()
for index in range(250):
    recorder.put(picture(index), time.monotonic() - begin)
    print(index, time.monotonic() - begin, flush=True)
    time.sleep(0.02)
"""


def test_kill_leaves_a_recording_up_to_the_last_second(tmp_path):
    path = tmp_path / "overlay.mkv"
    program = KILLED.format(tests=os.path.dirname(__file__))
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            index, seconds = line.split()
            if index == "50":
                process.send_signal(signal.SIGKILL)
                break
    found = indices(path)
    assert found == sorted(set(found))
    assert len(found) > 10
    assert times(path)[-1] > float(seconds) - 1


def test_no_recording_is_overwritten(tmp_path):
    path = tmp_path / "overlay.mkv"
    assert free_name(str(path)) == str(path)
    path.write_bytes(b"the last operation")
    assert free_name(str(path)) == str(tmp_path / "overlay-2.mkv")
    recorder = Recorder(str(path))
    recorder.put(picture(0), 0.0)
    recorder.close()
    assert path.read_bytes() == b"the last operation"
    assert indices(tmp_path / "overlay-2.mkv") == [0]


def wait_until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_is_told_and_recording_goes_on_in_a_new_file(tmp_path):
    path = tmp_path / "overlay.mkv"
    path.symlink_to("/dev/full")
    recorder, index = Recorder(str(path)), 0
    recorder.put(picture(index), 0.0)
    wait_until(lambda: recorder.fault)
    assert recorder.fault == f"recording failed: {os.strerror(errno.ENOSPC)}"
    path.unlink()  # as if room had been made
    while recorder.fault:
        index += 1
        recorder.put(picture(index % 256), index / FPS)
        time.sleep(0.02)
    recorder.close()
    assert indices(path) == sorted(indices(path))
    assert indices(path)


@on_a_machine_with_time
def test_a_disk_that_fills_up_while_live_is_no_signal(frames, tmp_path):
    """The kernel's own limit of a file's size stands for the disk's: writes fail, for real."""
    resource = pytest.importorskip("resource")
    path, log = tmp_path / "overlay.mkv", tmp_path / "log.jsonl"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for old in tmp_path.iterdir():
        old.unlink()
    with Room(frames, log, recorder=Recorder(str(path))) as room:
        room.wait_for(State.VISIBLE, after=0)
        begin = time.monotonic()
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
            lost = room.lost(begin)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        room.wait_for(State.VISIBLE, after=lost)
    causes = [line["cause"] for line in room.events("state")]
    assert f"recording failed: {os.strerror(errno.EFBIG)}" in causes
    assert len(times(path)) > 5, "what was written before can be played"
    assert len(times(tmp_path / "overlay-2.mkv")) > 5


def test_pyav_missing_names_the_remedy(tmp_path, monkeypatch):
    whole = builtins.__import__

    def without_av(name, *rest):
        if name == "av":
            raise ModuleNotFoundError("No module named 'av'")
        return whole(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_av)
    with pytest.raises(RecordError, match="pip install av"):
        require_pyav()
    with pytest.raises(RecordError, match="pip install av"):
        Recorder(str(tmp_path / "overlay.mkv"))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RecordError, match="no folder"):
        Recorder(str(tmp_path / "missing" / "overlay.mkv"))


def test_what_comes_too_fast_is_counted_not_waited_for(tmp_path):
    recorder = Recorder(str(tmp_path / "overlay.mkv"))
    large = np.zeros((1080, 1920, 3), np.uint8)
    for index in range(60):
        recorder.put(large, index / 60)
    recorder.close()
    assert recorder.dropped > 0
    assert len(times(tmp_path / "overlay.mkv")) == 60 - recorder.dropped


# Threads against the clock: on a busy machine they starve, so only make test-all runs them.
pytestmark = pytest.mark.slow
