"""Faults that would end the live loop, or leave its screen as it was; no thread is raced."""

import math
import os
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from clipassistnet.alarm import Alarm, Assistant, State
from clipassistnet.commands import live_options as options
from clipassistnet.live.arming import AutomaticArming, FileSwitch, SwitchError
from clipassistnet.live.history import History
from clipassistnet.live.journal import Journal
from clipassistnet.live.loop import Live
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.recorder import Writer
from clipassistnet.live.screen import NoScreen
from clipassistnet.live.session import Picture
from clipassistnet.live.sound import Sound
from clipassistnet.live.threads import Capture, NewestItem, Scorer
from tiny_videos import picture


class NoSource:
    finite, fault = False, ""

    def read(self):
        return None

    def close(self):
        raise RuntimeError("the driver lost its handle")


def live(**parts) -> Live:
    """A loop that is not running: a test takes its steps."""
    assistant = Assistant(Alarm(0.5, 0.1, 0.1), armed=True)
    return Live(NoSource, lambda frames: np.array([0.1]), assistant, **parts)


def within(seconds: float, work) -> bool:
    """Whether this came to an end in time."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    return not thread.is_alive()


@pytest.fixture
def hung(tmp_path):
    """A log on a disk that takes nothing any more: a full pipe. Yields it and its other end."""
    path = tmp_path / "log.jsonl"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    journal = Journal(str(path))
    os.set_blocking(journal._file.fileno(), False)
    while journal._file.write(b" " * 4096):
        pass
    os.set_blocking(journal._file.fileno(), True)
    yield journal, reader
    os.close(reader)  # whoever still writes gets a broken pipe


def test_a_log_that_hangs_holds_up_no_step(hung):
    journal, reader = hung
    loop = live(journal=journal)
    assert within(10, lambda: [loop._step() for _ in range(3)])
    time.sleep(2.1)
    loop._step()
    assert loop.session.decision.state is State.NO_SIGNAL
    assert loop.session.decision.cause == "log stalled: the disk is too slow"
    while loop.journal.fault:
        os.read(reader, 1 << 16)
        time.sleep(0.01)


class LostDisk:
    """What is left of a log's file when its disk is pulled out."""

    name = __file__

    def seekable(self):
        return True

    def seek(self, *_):
        raise OSError(5, "Input/output error")

    write = truncate = seek


def test_a_disk_that_is_pulled_out_is_a_fault_and_no_exception(tmp_path):
    journal = Journal(str(tmp_path / "log.jsonl"))
    journal._file = LostDisk()
    journal.write("state", 0.0)
    assert journal.fault == "log failed: Input/output error"


def test_a_source_that_fails_to_close_is_opened_again():
    to_show = NewestItem()
    capture = Capture(NoSource, PictureCheck(), NewestItem(), to_show)
    capture.start()
    for _ in range(2):
        assert to_show.take(timeout=10).fault.startswith("source lost: ")
    assert capture.is_alive()
    capture.stop()


def test_a_picture_that_cannot_be_converted_costs_one_score(monkeypatch):
    def no_memory(*_):
        raise cv2.error("Insufficient memory")

    scorer = Scorer(lambda frames: np.array([0.25]), NewestItem(), post=None)
    monkeypatch.setattr(cv2, "cvtColor", no_memory)
    assert scorer._score(Picture(1, 0.0, picture(1))).fault.endswith("Insufficient memory")
    monkeypatch.undo()
    assert scorer._score(Picture(2, 0.1, picture(2))).value == 0.25


def test_the_last_state_does_not_stay_on_the_screen_while_it_ends():
    order = []

    class Screen(NoScreen):
        def close(self):
            order.append("screen")

    loop = live(screen=Screen())
    loop._capture.stop = lambda: order.append("capture")
    loop._scorer.stop = lambda: order.append("scorer")
    loop._close()
    assert order == ["screen", "capture", "scorer"]


class Tones:
    def __init__(self):
        self.played = []

    def play(self, state):
        self.played.append(state)


def test_a_tone_is_for_a_state_that_is_entered_not_for_another_cause():
    loop = live(sound=Tones())
    causes = set()
    for fault in ("black picture", "frozen picture", "black picture"):
        loop._to_show.put(Picture(1, time.monotonic(), None, fault))
        loop._step()
        causes.add(loop.session.decision.cause)
    assert causes == {"black picture", "frozen picture"}
    assert loop.sound.played == [State.NO_SIGNAL]


def test_a_player_that_cannot_be_started_holds_up_nothing(monkeypatch, tmp_path):
    (tmp_path / "aplay").write_text("#!/bin/sh\n")
    (tmp_path / "aplay").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    sound = Sound()
    (tmp_path / "aplay").unlink()
    sound.play(State.NOT_VISIBLE)


def test_a_wish_for_a_report_never_stops_the_loop():
    """A signal's handler runs in the loop's own thread, between any two calls of its own."""
    loop = live()
    loop._report = lambda event: None

    def interrupted():
        loop.request_report()
        sys.setprofile(lambda *_: loop.request_report())
        loop._step()

    assert within(10, interrupted)


def test_file_switch_refuses_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(SwitchError, match="expected a plain file that holds 1 or 0"):
            FileSwitch(str(path))


def test_a_pedal_file_that_cannot_be_read_changes_nothing_and_is_a_fault(tmp_path):
    path = tmp_path / "pedal"
    path.write_text("1")
    switch = FileSwitch(str(path))
    assert (switch.poll(), switch.fault) == (True, "")
    path.unlink()
    path.mkdir()
    assert (switch.poll(), switch.fault) == (None, "pedal file unreadable")
    path.rmdir()
    assert (switch.poll(), switch.fault) == (False, "")


@pytest.mark.parametrize("presence", [3.2, -3.2])
def test_a_presence_that_is_no_probability_arms_nothing(presence):
    switch = AutomaticArming(predict=None, alarm=Alarm(0.5, 0.1, 0.0))
    switch.scored(0.0, presence)
    assert (switch.poll(), switch.fault) == (None, "arming failed")


@pytest.mark.parametrize("size", ["640", "0x0", "1920x-1", "axb"])
def test_a_size_that_is_none_is_refused(size, capsys):
    with pytest.raises(SystemExit):
        options.parse(["--model", "m", "--source", "0", "--size", size])
    said = f"--size: {size}: expected width x height in pixels, such as 1920x1080"
    assert said in capsys.readouterr().err


def test_a_recording_that_cannot_even_be_closed_is_given_up(tmp_path):
    pytest.importorskip("av")
    writer = Writer(str(tmp_path / "a.mkv"), (64, 48))
    writer._file.close()
    writer._file = LostDisk()
    writer._file.close = LostDisk().seek
    writer.abandon()


@pytest.mark.parametrize("score", [1e30, math.inf, -math.inf])
def test_a_score_that_is_none_can_be_drawn(score):
    history = History()
    for time_, shown in enumerate([0.5, score, 0.5]):
        history.add(float(time_), shown, State.NO_SIGNAL)
    with np.errstate(invalid="raise"):
        history.draw(np.zeros((60, 300, 3), np.uint8), 2.0, 0.5)
