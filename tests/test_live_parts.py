"""The parts of the live loop, each for itself: checks, buffer, switches, log, sources, screen."""

import errno
import json
import math
import os
import threading
import time
import wave

import av
import cv2
import numpy as np
import pytest

from clipassistnet.alarm import Alarm, Decision, State
from clipassistnet.data import decoding
from clipassistnet.live import source
from clipassistnet.live.arming import AutomaticArming, FileSwitch, SerialSwitch, SwitchError
from clipassistnet.live.errors import SourceError
from clipassistnet.live.journal import Journal
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.profile import Latencies
from clipassistnet.live.screen import NoScreen, ScreenError, Terminal, Window, choose
from clipassistnet.live.session import Picture, Score
from clipassistnet.live.sound import Sound, SoundError
from clipassistnet.live.source import opener, without_password
from clipassistnet.live.threads import Capture, NewestItem, Scorer
from tiny_videos import FPS, FRAMES, HEIGHT, WIDTH, encode, index_of, picture

NOISE = np.random.default_rng(0).integers(0, 4, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize(
    ("frame", "fault"),
    [
        (picture(1), ""),
        (None, "wrong format: NoneType, expected uint8"),
        (picture(1).astype(np.float32), "wrong format: float32, expected uint8"),
        (picture(1)[..., 0], "wrong format: shape (48, 64), expected (height, width, 3)"),
        (picture(1)[::2], "wrong size: 64x24, expected 64x48"),
        (np.zeros((HEIGHT, WIDTH, 3), np.uint8), "black picture"),
        (16 + NOISE, "black picture"),
        (picture(0), "frozen picture"),
    ],
)
def test_check_names_what_is_wrong(frame, fault):
    check = PictureCheck()
    assert check.fault(picture(0)) == ""
    assert check.fault(frame) == fault


def test_a_picture_that_froze_before_its_encoder_is_frozen_all_the_same():
    check, still = PictureCheck(), picture(0)
    assert check.fault(still) == ""
    for seed in range(3):  # what encoding adds each time
        noise = np.random.default_rng(seed).integers(-4, 5, still.shape)
        assert check.fault((still + noise).clip(0, 255).astype(np.uint8)) == "frozen picture"
    moved = still.copy()
    moved[12:36:8, 10:60:10] ^= 64  # fifteen highlights of a pixel of 3,072
    assert check.fault(moved) == ""
    assert check.fault(still) == "frozen picture", "as three before"


@pytest.mark.parametrize("turn", [2, 4])
def test_pictures_shown_in_turn_are_frozen(turn):
    check = PictureCheck()
    first = [check.fault(picture(index)) for index in range(turn)]
    again = [check.fault(picture(index % turn)) for index in range(3 * turn)]
    assert (first, again) == ([""] * turn, ["frozen picture"] * 3 * turn)
    assert check.fault(picture(turn)) == ""


def test_a_source_that_draws_into_the_same_memory_is_not_frozen():
    check, memory = PictureCheck(), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for index in range(3):
        memory[:] = picture(index)
        assert check.fault(memory) == ""


def test_check_takes_dark_but_lit_pictures():
    lit = NOISE.copy()
    lit[:16, :16] = 60  # the light's spot on tissue far away, 8 % of the picture
    assert PictureCheck().fault(lit) == ""


def test_check_recovers_and_takes_the_size_it_was_told():
    check = PictureCheck((WIDTH, HEIGHT))
    assert check.fault(picture(1)[::2]).startswith("wrong size")
    assert check.fault(picture(1)) == ""
    assert check.fault(picture(1)) == "frozen picture"
    assert check.fault(picture(2)) == ""


def test_newest_keeps_one_and_counts_the_others():
    wake = threading.Event()
    newest = NewestItem(wake)
    assert newest.take() is None
    for item in "abc":
        newest.put(item)
    assert wake.is_set()
    assert (newest.take(), newest.dropped, newest.take()) == ("c", 2, None)
    newest.put("d")
    assert newest.dropped == 2, "an item that was taken was not dropped"


def test_newest_wakes_a_waiting_reader():
    newest = NewestItem()
    threading.Timer(0.05, newest.put, ["item"]).start()
    begin = time.monotonic()
    assert newest.take(timeout=10) == "item"
    assert time.monotonic() - begin < 5


def test_file_switch(tmp_path):
    path = tmp_path / "pedal"
    switch = FileSwitch(str(path))
    assert switch.poll() is None, "no file at the start disarms nobody"
    orders = []
    for content in ["1", "1\n", "", "1", "?", "0", "1", None]:
        path.unlink() if content is None else path.write_text(content)
        orders.append(switch.poll())
    assert orders == [True, None, None, None, None, False, True, False]


def test_a_clip_applier_that_appears_arms_once_and_disarms_when_it_is_gone():
    switch = AutomaticArming(predict=None, alarm=Alarm(0.5, 0.2, 1.0))
    orders = []
    for second, presence in enumerate([0.1, 0.9, 0.9, 0.9, 0.6, 0.1, math.nan, 0.1, 0.9]):
        switch.scored(float(second), presence)
        orders.append((switch.poll(), switch.fault))
    gone = [(None, ""), (None, "arming failed"), (False, ""), (None, "")]
    assert orders == [(None, ""), (None, ""), (True, ""), (None, ""), (None, ""), *gone]


def samples(path) -> int:
    with wave.open(str(path)) as file:
        return file.getnframes()


def test_a_sound_is_played_by_a_player_of_its_own(tmp_path, monkeypatch):
    player = tmp_path / "aplay"
    player.write_text(f"#!/bin/sh\ncat > {tmp_path}/part && mv {tmp_path}/part {tmp_path}/$$.wav\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sound = Sound()
    lengths = []
    for state in State:
        sound.play(state)
        if sound._playing:
            sound._playing.wait(10)
        lengths.append(sorted(map(samples, tmp_path.glob("*.wav"))))
    one, two = int(0.15 * 22050), 2 * int(0.15 * 22050)
    assert lengths == [[], [], [two], [one, two]], "standby and visible are silent"


def test_a_sound_without_a_player_names_the_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SoundError, match="alsa-utils"):
        Sound()


def test_a_player_that_ends_at_once_holds_up_nothing(monkeypatch, tmp_path):
    (tmp_path / "aplay").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "aplay").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    sound = Sound()
    for _ in range(3):
        sound.play(State.NOT_VISIBLE)
        sound._playing.wait(10)


def test_serial_switch_by_a_real_terminal():
    pedal, line = os.openpty()
    switch = SerialSwitch(os.ttyname(line))
    assert switch.poll() is None
    for sent, order in [(b"1", True), (b"0", False), (b"x\r\n", None), (b"01", True)]:
        os.write(pedal, sent)
        assert poll_soon(switch, wanted=order) is order
    os.close(pedal)
    os.close(line)
    switch.poll()
    assert switch.fault == "pedal lost"
    assert switch.poll() is None


def poll_soon(switch, wanted):
    """A terminal passes characters on in its own time; None cannot be waited for but a moment."""
    end = time.monotonic() + (0.05 if wanted is None else 5)
    while time.monotonic() < end:
        order = switch.poll()
        if order is not None:
            return order
        time.sleep(0.005)
    return None


def test_serial_switch_refuses_what_is_no_line(tmp_path):
    (tmp_path / "plain").write_text("1")
    for name in ("plain", "missing"):
        with pytest.raises(SwitchError, match="serial line"):
            SerialSwitch(str(tmp_path / name))


def test_journal_is_valid_json_whatever_the_number(tmp_path):
    path = tmp_path / "log.jsonl"
    Journal(str(path)).write("decision", 1.23456, score=math.nan, picture=3)
    Journal(str(path)).write("state", 2.0, state="standby")
    first, second = map(json.loads, path.read_text().splitlines())
    assert (first["event"], first["clock"], first["score"], first["picture"]) == (
        *("decision", 1.2346),
        *(None, 3),
    )
    assert second["state"] == "standby"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_journal_on_a_full_disk_is_a_fault_and_no_exception():
    journal = Journal("/dev/full")
    journal.write("state", 0.0)
    assert journal.fault == f"log failed: {os.strerror(errno.ENOSPC)}"


def test_journal_leaves_whole_lines_where_a_disk_was_full(tmp_path):
    resource = pytest.importorskip("resource")
    path = tmp_path / "log.jsonl"
    journal = Journal(str(path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        for number in range(20):
            journal.write("state", float(number))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert journal.fault.startswith("log failed")
    journal.write("state", 20.0)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert lines[-1]["clock"] == 20
    assert lines[-1]["lost_lines"] == 21 - len(lines) > 0
    assert journal.fault == ""


def score_of(predict, clip_applier=None) -> Score:
    """What a scorer posts for one picture."""
    posted, pictures = [], NewestItem()
    scorer = Scorer(predict, pictures, posted.append, clip_applier)
    scorer.start()
    pictures.put(Picture(1, 0.0, picture(1)))
    while not posted:
        time.sleep(0.005)
    scorer.stop()
    return posted[0]


def test_a_failing_network_for_arming_costs_no_score():
    score = score_of(lambda frames: np.array([0.25]), clip_applier=lambda frames: 1 / 0)
    assert (score.value, score.fault) == (0.25, "")
    assert math.isnan(score.clip_applier)
    score = score_of(lambda frames: 1 / 0, clip_applier=lambda frames: np.array([0.75]))
    assert math.isnan(score.value)
    assert score.clip_applier == 0.75


def test_scorer_gives_the_network_rgb():
    seen = []
    score = score_of(lambda frames: seen.append(frames) or np.array([0.25], np.float32))
    assert np.array_equal(seen[0], picture(1)[None, ..., ::-1])
    assert (score.value, score.fault) == (0.25, "")


@pytest.mark.parametrize(
    ("predict", "fault"),
    [
        (lambda frames: np.array([0.1, 0.1]), "ValueError: scores of shape (2,) for 1 picture"),
        (lambda frames: frames[5], "IndexError: index 5 is out of bounds"),
    ],
)
def test_scorer_survives_a_network_that_fails(predict, fault):
    score = score_of(predict)
    assert math.isnan(score.value)
    assert score.fault.startswith("the model failed: " + fault)


class FailingSource:
    finite, fault = False, ""

    def read(self):
        return cv2.resize(picture(0), (0, 0))

    def close(self):
        pass


def test_capture_survives_a_driver_that_raises():
    to_show = NewestItem()
    capture = Capture(FailingSource, PictureCheck(), NewestItem(), to_show)
    capture.start()
    lost = to_show.take(timeout=10)
    assert capture.is_alive()
    capture.stop()
    assert lost.frame is None
    assert lost.fault.startswith("source lost: OpenCV")


def test_latencies_are_percentiles():
    latencies = Latencies("a", "b")
    for milliseconds in range(101):
        latencies.add("a", milliseconds / 1000)
    row = latencies.summary()["a"]
    assert row == {"count": 101, "p50_ms": 50, "p95_ms": 95, "p99_ms": 99, "max_ms": 100}
    assert (
        latencies.report()
        == "a: 101 times  p50 50.0 ms  p95 95.0 ms  p99 99.0 ms  max 100.0 ms\nb: 0 times"
    )


def test_file_source_gives_every_frame_at_its_own_pace(tmp_path):
    source = opener(str(encode(tmp_path / "video.mp4", count=10)))()
    begin = time.monotonic()
    frames = []
    while (frame := source.read()) is not None:
        frames.append(frame)
    assert time.monotonic() - begin >= 9 / FPS
    assert [index_of(frame) for frame in frames] == list(range(10))
    assert source.finite
    source.close()


def test_file_source_survives_a_cut_file(tmp_path):
    path = encode(tmp_path / "video.mkv")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    source, count = opener(str(path))(), 0
    while source.read() is not None:
        count += 1
    assert 0 < count < FRAMES


def test_live_sees_the_pixels_of_the_frame_cache(tmp_path):
    """Of a file whose colours OpenCV does not convert: BT.2020 HLG, 10 bits."""
    path = tmp_path / "hlg.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=FPS, options={"x265-params": "log-level=0"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p10le"
        codec = stream.codec_context
        codec.color_primaries, codec.color_trc, codec.colorspace = 9, 18, 9
        for index in range(3):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        container.mux(stream.encode())
    one = opener(str(path))()
    with decoding.open_video(str(path)) as container:
        for frame in container.decode(video=0):
            expected, _ = decoding.picture(frame, "")
            assert np.array_equal(one.read()[..., ::-1], expected)
            plain = frame.to_ndarray(format="rgb24")
    assert one.read() is None
    assert np.abs(expected.astype(int) - plain).max() > 20, "a conversion was needed"


def test_sources_that_can_never_work_say_what_would_help(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    for name, remedy in [
        (str(tmp_path / "missing.mp4"), "no such file"),
        (str(tmp_path / "text.mp4"), "cannot be opened as video"),
    ]:
        with pytest.raises(SourceError, match=remedy):
            opener(name)


def test_gstreamer_is_probed():
    pipeline = "videotestsrc ! videoconvert ! appsink"
    if any(
        "GStreamer:" in line and "YES" in line for line in cv2.getBuildInformation().split("\n")
    ):
        assert callable(opener(pipeline))
    else:
        with pytest.raises(SourceError, match=r"no GStreamer.*JetPack"):
            opener(pipeline)


def test_a_camera_that_is_not_there_may_come_back():
    open_camera = opener("73")
    for _ in range(2):
        with pytest.raises(SourceError, match="camera 73"):
            open_camera()


def test_a_password_is_neither_shown_nor_logged():
    open_camera = opener("tcp://surgeon:secret@127.0.0.1:1/stream")
    with pytest.raises(SourceError) as caught:
        open_camera()
    assert "secret" not in str(caught.value)
    assert "tcp://127.0.0.1:1/stream" in str(caught.value)
    assert without_password("rtsp://10.0.0.5/a@b") == "rtsp://10.0.0.5/a@b"


@pytest.mark.parametrize(
    "location",
    [
        "location=rtsp://surgeon:se@secret@127.0.0.1/a",
        "user-id=surgeon user-pw=secret location=rtsp://127.0.0.1/a",
        "location=rtsp://127.0.0.1/user=surgeon&password=secret&channel=1",
    ],
)
def test_nor_is_that_of_a_pipeline(monkeypatch, location):
    monkeypatch.setattr(source, "_built_with", lambda feature: True)
    open_pipeline = opener(f"rtspsrc {location} ! decodebin ! appsink")
    with pytest.raises(SourceError) as caught:
        open_pipeline()
    assert "secret" not in str(caught.value)
    assert "! decodebin ! appsink: cannot be opened" in str(caught.value)


def test_window_is_probed(monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ScreenError, match="--display terminal"):
        Window()
    with pytest.raises(ScreenError):
        choose("window")
    screen = NoScreen()
    screen.show(picture(0))
    assert screen.key() == ""


def test_without_a_window_the_states_are_lines_in_the_terminal(monkeypatch, capsys):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    terminal = choose("auto")
    assert isinstance(terminal, Terminal)
    terminal.show_state(Decision(State.NO_SIGNAL, "black picture"))
    terminal.show_state(Decision(State.NOT_VISIBLE))
    terminal.close()
    why, lost, warned, end = capsys.readouterr().out.splitlines()
    assert why.startswith("no window, so the states are printed here: ")
    assert lost.endswith("s  NO SIGNAL: black picture")
    assert warned.endswith("s  TIP NOT VISIBLE")
    assert end.endswith("s  ended")
