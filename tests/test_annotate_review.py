"""The review says of every frame what live --offline says."""

import json

import numpy as np
import pandas as pd
import pytest

from clipassistnet.alarm import Alarm, Assistant, State
from clipassistnet.annotate.judged_video import STATES, judge, setting_of
from clipassistnet.annotate.review_figure import review_figure
from clipassistnet.evaluation.events import Setting
from clipassistnet.live.journal import Journal
from clipassistnet.live.offline import render
from tiny_videos import FPS, FRAMES, encode, index_of

SETTING = Setting(0.5, 0.1, 0.2)


def scores(seed: int = 0) -> np.ndarray:
    """Low for frames 10 to 29, high else, with noise that crosses the threshold."""
    base = np.where((np.arange(FRAMES) >= 10) & (np.arange(FRAMES) < 30), 0.3, 0.75)
    return (base + np.random.default_rng(seed).normal(0, 0.15, FRAMES)).clip(0, 1)


@pytest.mark.parametrize("seed", range(3))
def test_states_equal_those_of_live_offline_frame_by_frame(tmp_path, seed):
    wanted = scores(seed)

    def predict(frames):
        return np.array([wanted[index_of(frame)] for frame in frames])

    assistant = Assistant(Alarm(*SETTING), armed=True)
    log = tmp_path / "log.jsonl"
    video = str(encode(tmp_path / "v.mp4"))
    render(video, predict, assistant, str(tmp_path / "o.mkv"), Journal(str(log)))
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    live = [line["state"] for line in lines if line["event"] == "decision"]
    table = pd.DataFrame({"frame": range(FRAMES), "score": wanted})
    judged = judge(table, FPS, SETTING)
    assert [STATES[state].value for state in judged.states] == live


def test_moments_and_rates():
    table = pd.DataFrame({"frame": range(100), "score": [0.9] * 40 + [0.1] * 30 + [0.9] * 30})
    table["label"] = ["visible"] * 50 + ["invisible"] * 50
    judged = judge(table, FPS, Setting(0.5))
    found = judged.moments()
    assert found["alarm"] == [13, 70]
    assert found["miss"] == [50]
    assert found["false alarm"] == [13]
    assert found["label change"] == [50]
    assert judged.rates().startswith("1 of 1 events found")


@pytest.mark.parametrize(
    ("table", "what"),
    [({"frame": [1]}, "no column score"), ({"frame": [1, 1], "score": [0, 0]}, "a frame twice"),
     ({"frame": [1], "score": [0], "label": ["seen"]}, "label 'seen'")],
)  # fmt: skip
def test_wrong_predictions_are_refused(table, what):
    with pytest.raises(ValueError, match=what):
        judge(pd.DataFrame(table), FPS, SETTING)


def test_the_alarm_of_notebook_08_is_taken(tmp_path):
    path = tmp_path / "alarm.json"
    path.write_text('{"threshold": 0.4, "hysteresis": 0.1, "minimum_duration": 0.6}')
    assert setting_of(path) == (Setting(0.4, 0.1, 0.6), "frozen: alarm.json")
    path.write_text('{"threshold": 0.4}')
    with pytest.raises(ValueError, match="expected the numbers threshold, hysteresis"):
        setting_of(path)


def test_the_figure_shows_every_strip(tmp_path):
    video = encode(tmp_path / "v.mp4")
    table = pd.DataFrame({"frame": range(FRAMES), "score": scores(), "label": "visible"})
    phases = pd.DataFrame({"start": [0, 20], "end": [20, 40], "phase": ["a", "b"]})
    figure = review_figure(video, table, alarm=SETTING, phases=phases, thumbnails=4)
    names = [axes.get_ylabel() for axes in figure.axes]
    times = [axes.get_title() for axes in figure.axes[:4]]
    assert times == ["0.0 s", "0.5 s", "1.0 s", "1.6 s"]
    some = table.assign(label=["absent"] * 20 + ["visible"] * (FRAMES - 20))
    shown = review_figure(video, some, alarm=SETTING, thumbnails=2).axes[:2]
    assert [axes.get_title() for axes in shown] == ["0.8 s", "1.6 s"], "with a clip applier alone"
    assert names[4:] == ["p(invisible)", "label", "alarm", "phase"]
    assert State.VISIBLE.value in str(figure.axes[6].get_legend().texts)
