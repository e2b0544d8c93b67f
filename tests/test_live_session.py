"""One decision for live and offline use, and for notebook 09, which takes in nothing else of live.

A simulated source gives the same pictures at the same times to the live loop and to the rendering
of a file: both must show the same states.
"""

import json
import math

import numpy as np
import pytest

from clipassistnet.alarm import LIMIT, Alarm, Assistant, State
from clipassistnet.live.arming import AutomaticArming
from clipassistnet.live.journal import Journal
from clipassistnet.live.loop import Live
from clipassistnet.live.offline import render
from clipassistnet.live.overlay import Overlay
from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.session import Picture, Score, Session
from clipassistnet.runs import notebooks
from conftest import ROOT
from tiny_videos import FPS, HEIGHT, WIDTH, index_of, picture

av = pytest.importorskip("av")

# The frames of the file by what they show: None is black, a repeated number a frozen picture.
FRAMES = [*range(50), *[49] * 20, *range(50, 90), *[None] * 15, *range(90, 140)]


def write_video(path) -> str:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in FRAMES:
            black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            shown = black if index is None else picture(index)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
        container.mux(stream.encode())
    return str(path)


def invisible(frames: np.ndarray) -> np.ndarray:
    """p(invisible): high for ten pictures of every thirty; of one of them there is no number."""
    indices = np.array([index_of(frame) for frame in frames])
    return np.where(indices == 75, math.nan, np.where(indices % 30 < 10, 0.9, 0.1))


def clip_applier(frames: np.ndarray) -> np.ndarray:
    """p(clip applier): it comes at picture 20 and is gone at 120; once there is no number."""
    present = np.array([float(20 <= index_of(frame) < 120) for frame in frames])
    return np.where([index_of(frame) == 60 for frame in frames], math.nan, present)


def parts() -> dict:
    return {
        "assistant": Assistant(Alarm(0.5, 0.1, 0.1)),
        "arming": AutomaticArming(clip_applier, Alarm(0.5, 0.1, 0.2)),
    }


def lines(path, *events: str) -> list[dict]:
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in found if line["event"] in events]


def offline_states(video: str, folder) -> list[tuple[str, str]]:
    log = folder / "offline.jsonl"
    render(video, invisible, out=str(folder / "o.mkv"), journal=Journal(str(log)), **parts())
    return [(line["state"], line["cause"]) for line in lines(log, "decision")]


def live_states(video: str, folder) -> list[tuple[str, str]]:
    """The same file through the live loop, whose threads and clock the test replaces."""
    loop = Live(None, invisible, journal=Journal(str(folder / "live.jsonl")), **parts())
    shown, check = [], PictureCheck()
    with av.open(video) as container:
        for number, frame in enumerate(container.decode(video=0)):
            pixels = frame.to_ndarray(format="bgr24")
            arrived = Picture(number + 1, frame.time, pixels, check.fault(pixels))
            scores = [] if arrived.fault else [loop._scorer._score(arrived)]
            loop.session.take(frame.time, arrived, scores)
            loop._decide(frame.time, arrived, scores)
            shown.append((loop.session.decision.state.value, loop.session.decision.cause))
    loop.journal.close()
    return shown


def test_live_and_offline_show_the_same_states_of_the_same_file(tmp_path):
    video = write_video(tmp_path / "video.mkv")
    live, offline = live_states(video, tmp_path), offline_states(video, tmp_path)
    assert len(live) == len(FRAMES)
    assert live == offline
    assert {state for state, _ in live} == {state.value for state in State}
    causes = {cause for _, cause in live}
    assert {"frozen picture", "black picture"} <= causes
    logs = [lines(tmp_path / f"{name}.jsonl", "armed", "disarmed") for name in ("live", "offline")]
    orders = [[(line["event"], line["by"], line["clock"]) for line in log] for log in logs]
    assert orders[0] == orders[1]
    assert [event for event, _, _ in orders[0]] == ["armed", "disarmed"]


def session(**more) -> Session:
    return Session(Assistant(Alarm(0.5, 0.1, 0.0), armed=True), **more)


def feed(who: Session, seconds: float, score: float = 0.1) -> None:
    for tick in range(round(seconds * FPS)):
        shown = Picture(tick, tick / FPS, picture(tick % 256))
        who.take(tick / FPS, shown, [Score(shown, score)])
        who.decide(tick / FPS)


def test_a_picture_that_is_not_current_is_darkened():
    who, overlay = session(), Overlay((WIDTH, HEIGHT))
    feed(who, 1.0)
    last = 1 - 1 / FPS
    assert overlay.place(who.canvas(who.decide(last), last)).max() > 150
    frozen = Picture(99, last + LIMIT + 0.01, picture(24), "frozen picture")
    who.take(frozen.arrival, frozen)
    decision = who.decide(frozen.arrival)
    assert decision.state is State.NO_SIGNAL
    assert overlay.place(who.canvas(decision, frozen.arrival)).max() <= 85


def test_what_is_not_recorded_is_not_shown():
    who = session()
    feed(who, 1.0)
    now = 1 - 1 / FPS
    assert who.decide(now).state is State.VISIBLE
    assert who.decide(now, record_fault="disk full").cause == "disk full"


class Pedal:
    name, fault = "pedal", "pedal lost"

    def __init__(self, *orders):
        self.orders = list(orders)

    def poll(self):
        return self.orders.pop(0) if self.orders else None


def test_each_change_of_arming_is_logged_once():
    log = []
    pedal = Pedal(False, False, True)
    who = session(switches=[pedal], log=lambda event, now, by: log.append((event, now, by)))
    for now in (0.0, 1.0, 2.0):
        who.take(now, None)
    assert log == [("disarmed", 0.0, "pedal"), ("armed", 2.0, "pedal")]
    who.arm(True, "key", 3.0)
    assert len(log) == 2


def test_a_fault_of_a_switch_is_on_the_overlay():
    with_fault, without = session(switches=[Pedal()]), session()
    canvases = [one.canvas(one.decide(0.0), 0.0) for one in (with_fault, without)]
    assert (canvases[0] != canvases[1]).any()


def test_notebook_09_depends_on_no_screen_sound_or_loop():
    """A change in those must not make its results stale: see notebooks.code."""
    found = notebooks.code(ROOT / "notebooks" / "09_jetson_deploy.ipynb")
    live = {name.rpartition(".")[2] for name in found if name.startswith("clipassistnet.live.")}
    assert {"profile", "session", "overlay"} <= live
    assert not live & {"screen", "sound", "loop", "recorder", "source", "threads", "cli"}
