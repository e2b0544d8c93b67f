"""Events of invisibility, worked out by hand, and the choice of an alarm."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.alarm import Alarm
from clipassistnet.evaluation import alarm_choice, events

FPS = pd.Series({"a": 25.0, "b": 10.0})


def frames(targets: str, scores: list[float], video: str = "a", step: int = 5) -> pd.DataFrame:
    """Frames every 0.2 s (video a) by their targets: one character each, 1 for invisible."""
    return pd.DataFrame(
        {
            "video": video,
            "frame": np.arange(len(targets)) * step,
            "target": [int(t) for t in targets],
            "score": scores,
        }
    )


#                            event 1        event 2
TARGETS = "0 0 1 1 1 0 0 1 1 0".replace(" ", "")
SCORES = [0.1, 0.9, 0.2, 0.8, 0.3, 0.9, 0.1, 0.2, 0.1, 0.7]
TIMED = events.timed(frames(TARGETS, SCORES), FPS)


def test_time_comes_from_the_frame_index_and_gaps_end_clips():
    table = pd.concat(
        [
            frames("000", [0.1] * 3),
            frames("00", [0.1] * 2).assign(frame=[40, 45]),
            frames("00", [0.1] * 2, "b").assign(frame=[5, 7]),
        ]
    )
    found = events.timed(table.sample(frac=1, random_state=0), FPS)
    assert found["time"].tolist() == [0, 0.2, 0.4, 1.6, 1.8, 0.5, 0.7]
    assert found["clip"].tolist() == [1, 1, 1, 2, 2, 3, 3]
    # The last frame of a clip stands for the usual step of its video.
    assert found["seconds"].tolist() == pytest.approx([0.2] * 7)
    assert events.timed(table, FPS, gap=1.2)["clip"].tolist() == [1, 1, 1, 1, 1, 2, 2]
    with pytest.raises(ValueError, match=r"no frames per second for the videos \['b'\]"):
        events.timed(table, FPS[["a"]])
    with pytest.raises(ValueError, match="twice"):
        events.timed(pd.concat([table, table]), FPS)


def test_a_single_frame_has_no_duration():
    assert events.timed(frames("1", [0.5]), FPS)["seconds"].tolist() == [0]


def test_events_by_hand():
    on = events.raw(TIMED, 0.5)  # frames 1, 3, 5, 9
    found = events.events(TIMED, on)
    assert found["start"].tolist() == pytest.approx([0.4, 1.4])
    assert found["seconds"].tolist() == pytest.approx([0.6, 0.4])
    assert found["found"].tolist() == [True, False]
    assert found["delay"].tolist()[0] == pytest.approx(0.2)  # its second frame
    assert np.isnan(found["delay"].tolist()[1])


def test_measures_by_hand():
    on = events.raw(TIMED, 0.5)
    video = events.per_video_events(TIMED, on).iloc[0]
    assert video["minutes"] == pytest.approx(2 / 60)
    assert (video["events"], video["found"]) == (2, 1)
    # Frames 1, 5 and 9 warn of a visible tip, 0.2 s each and next to an event: within the grace.
    assert video["false_alarms"] == 0
    assert video["changes"] == 7  # of nine neighbours only 6-7 and 7-8 agree
    assert video["false_minutes"] == pytest.approx(0.6 / 60)
    measures = events.rates_of_events(events.per_video_events(TIMED, on))
    assert measures["event sensitivity"] == 0.5
    assert measures["mean seconds to alarm"] == pytest.approx(0.2)
    assert measures["share of time under a false alarm"] == pytest.approx(0.3)
    assert measures["changes a minute"] == pytest.approx(210)


@pytest.mark.parametrize(
    ("targets", "alarm", "false_alarms"),
    [
        ("000000", "010110", 2),  # nothing to warn of: each run is one
        ("000111", "001111", 0),  # early by 0.2 s
        ("000111", "111111", 1),  # early by 0.6 s
        ("110000", "111100", 0),  # late by 0.4 s
        ("110000", "111110", 1),  # late by 0.6 s
        ("110000", "110010", 1),  # next to no event
        ("100000100000", "111111111111", 2),  # always on: once each time the tip is seen
        ("1111", "0000", 0),
    ],
)
def test_false_alarms_by_hand(targets, alarm, false_alarms):
    table = events.timed(frames(targets, [0.5] * len(targets)), FPS)
    on = np.array([c == "1" for c in alarm])
    found = events.per_video_events(table, on)
    assert found["false_alarms"].tolist() == [false_alarms]
    wrong = sum(t == "0" and a == "1" for t, a in zip(targets, alarm, strict=True))
    assert found["false_minutes"].tolist() == pytest.approx([wrong * 0.2 / 60])
    measures = events.rates_of_events(found)
    expected = false_alarms / (len(targets) * 0.2 / 60)
    assert measures["false alarms a minute"] == pytest.approx(expected)


def test_a_gap_parts_a_false_alarm_from_an_event():
    table = frames("0011", [0.9] * 4).assign(frame=[0, 5, 100, 105])
    timed = events.timed(table, FPS)
    assert events.per_video_events(timed, events.raw(timed, 0.5))["false_alarms"].tolist() == [1]


def test_the_alarm_of_live_bridges_short_contradictions():
    # On at first; two frames below .5 (0.2 s) end it, two at .5 or more raise it again.
    table = events.timed(
        frames("0000000000", [0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]), FPS
    )
    found = events.alarms(table, events.Setting(0.5, 0.0, 0.2))
    assert found.tolist() == [True, False, False, False, False, True, True, True, False, False]
    # Hysteresis: .45 does not end an alarm raised at .5 with .1 below it.
    close = events.timed(frames("000", [0.45, 0.45, 0.39]), FPS)
    assert events.alarms(close, events.Setting(0.5, 0.1)).tolist() == [True, True, False]


def test_each_clip_begins_with_the_alarm_on():
    table = frames("0000", [0.1] * 4).assign(frame=[0, 5, 100, 105])
    found = events.alarms(events.timed(table, FPS), events.Setting(0.5, 0.0, 0.2))
    assert found.tolist() == [True, False, True, False]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 10)), min_size=2, max_size=40))
def test_events_and_false_alarms_add_up(pairs):
    targets = "".join("1" if t else "0" for t, _ in pairs)
    table = events.timed(frames(targets, [s / 10 for _, s in pairs]), FPS)
    runs = [run for run in targets.split("0") if run]
    for threshold in (0.3, 0.7):
        on = events.raw(table, threshold)
        found = events.per_video_events(table, on).iloc[0]
        assert found["events"] == len(runs)
        assert found["found"] <= found["events"]
        wrong = "".join("1" if a and t == "0" else "0" for a, t in zip(on, targets, strict=True))
        assert found["false_alarms"] <= len([run for run in wrong.split("0") if run])
        assert found["changes"] == np.sum(on[1:] != on[:-1])
    everything = events.per_video_events(table, np.ones(len(table), bool)).iloc[0]
    assert everything["found"] == len(runs)
    assert everything["delay"] == 0
    assert everything["false_minutes"] == pytest.approx(targets.count("0") * 0.2 / 60)
    nothing = events.per_video_events(table, np.zeros(len(table), bool)).iloc[0]
    assert (nothing["found"], nothing["false_alarms"], nothing["changes"]) == (0, 0, 0)


def noise_and_an_event() -> pd.DataFrame:
    """A single high frame is noise, three in a row are an event: a duration separates them."""
    targets = "000000" + "111" + "000000"
    scores = [0.1, 0.1, 0.9, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.1, 0.1]
    return events.timed(frames(targets, scores), FPS)


ALWAYS_ON = events.Setting(0.05)
OPTIONS = [ALWAYS_ON, events.Setting(0.5), events.Setting(0.5, 0.0, 0.2), events.Setting(0.95)]


def test_choose_takes_the_quietest_setting_that_finds_the_events():
    aims = alarm_choice.Aims(sensitivity=1.0, delay=0.3)
    ranked = alarm_choice.choose(noise_and_an_event(), OPTIONS, aims)
    # The bare threshold flickers (six changes, the labels make two); always on is no alarm.
    assert alarm_choice.best(ranked) == (0.5, 0.0, 0.2)
    assert events.Setting(*ranked.loc[2, list(events.Setting._fields)]) == ALWAYS_ON
    assert ranked["meets"].tolist() == [True, False, False, False]
    assert ranked["event sensitivity"].tolist() == [1, 1, 1, 0]
    # Where none meets the aims, the quietest of those that find enough comes first.
    hopeless = alarm_choice.choose(noise_and_an_event(), OPTIONS, aims._replace(delay=-1))
    assert alarm_choice.best(hopeless) == (0.5, 0.0, 0.0)
    assert not hopeless["meets"].any()


def test_an_alarm_must_be_silent_while_the_tip_is_visible(tmp_path):
    # In each clip the tip is visible for 2 s and invisible for 1 s. The alarm ends only at the last
    # visible frame of the first clip: on for 19 of 20 visible frames.
    scores = [*[0.9] * 9, 0.1, *[0.9] * 5, *[0.9] * 10, *[0.9] * 5]
    targets = ("0" * 10 + "1" * 5) * 2
    table = frames(targets, scores)
    table.loc[15:, "frame"] += 1000
    timed = events.timed(table, FPS)
    ranked = alarm_choice.choose(timed, [events.Setting(0.5), ALWAYS_ON])
    assert ranked[alarm_choice.SILENT].tolist() == pytest.approx([1 / 20, 0])
    assert ranked["event sensitivity"].tolist() == [1, 1]
    assert not ranked["meets"].any()
    path = tmp_path / "alarm.json"
    path.write_text("{}")  # of an earlier run
    reason = alarm_choice.write_best(ranked, path, study="tiny")
    assert "silent for 5% of the time with a visible tip (at least 50%)" in reason
    assert not path.exists()


def test_the_alarm_that_meets_the_aims_is_written(tmp_path):
    ranked = alarm_choice.choose(noise_and_an_event(), OPTIONS)
    path = tmp_path / "alarm.json"
    assert "0.5" in alarm_choice.write_best(ranked, path, study="tiny")
    assert json.loads(path.read_text()) == {
        "threshold": 0.5,
        "hysteresis": 0.0,
        "minimum_duration": 0.2,
        "about": {"meets": True, "study": "tiny"},
    }


def test_without_visible_frames_no_alarm_is_written(tmp_path):
    table = events.timed(frames("1111", [0.9] * 4), FPS)
    ranked = alarm_choice.choose(table, [events.Setting(0.5)])
    assert not ranked["meets"].any()
    assert "silent for nan%" in alarm_choice.write_best(ranked, tmp_path / "alarm.json")


def test_the_grid_holds_settings_that_live_takes():
    for setting in alarm_choice.grid(TIMED):
        Alarm(*setting)
    assert len(set(alarm_choice.grid(TIMED))) == len(alarm_choice.grid(TIMED))


def test_event_table_has_intervals_over_videos():
    rng = np.random.default_rng(0)
    tables = [frames("0011100110", rng.random(10).round(2).tolist(), f"v{i}") for i in range(8)]
    fps = pd.Series({f"v{i}": 25.0 for i in range(8)})
    table = events.timed(pd.concat(tables).assign(patient=lambda t: t["video"]), fps)
    shown = {"raw": events.raw(table, 0.5), "live": events.alarms(table, events.Setting(0.5))}
    found = events.event_table(table, shown, by="patient", resamples=200)
    assert found["alarm"].tolist() == ["raw"] * 5 + ["live"] * 5
    assert (found["low"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["high"]).all()
    assert (found["high"] > found["low"]).sum() >= 8
