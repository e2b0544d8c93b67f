"""What a threshold costs, with intervals, and for which scorer it is guaranteed: by hand."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.evaluation import alarm_choice, events, thresholds


def frames(*scores: list[float], held_out: str = "test") -> pd.DataFrame:
    """One video for each list: invisible frames with these scores, then as many visible at .3."""
    rows = []
    for video, own in enumerate(scores):
        pairs = [(1, s) for s in own] + [(0, 0.3)] * len(own)
        rows += [(f"{held_out}{video}", 5 * i, t, s, held_out) for i, (t, s) in enumerate(pairs)]
    return pd.DataFrame(rows, columns=["video", "frame", "target", "score", "held_out"])


def test_rates_by_hand():
    table = frames([0.9, 0.2], [0.8, 0.7], [0.1, 0.2])
    alarm = (table["score"] >= 0.3).to_numpy()  # three of six found, all visible frames warned of
    found = thresholds.rate_table(table, {"here": alarm}, resamples=200).set_index("rate")
    assert found["estimate"].tolist() == pytest.approx([3 / 6, 0, 3 / 9, 0])
    assert found.loc["sensitivity", "low"] < 0.5 < found.loc["sensitivity", "high"]
    # No visible frame of three videos was left in peace: the exact limit is 1 - 0.025 ** (1 / 3).
    assert found.loc["specificity", ["low", "high"]].tolist() == pytest.approx(
        [0, 0.7076], abs=1e-4
    )


def test_intervals_resample_patients_where_they_are_asked_to():
    table = frames([0.9, 0.9], [0.1, 0.1], [0.9, 0.9], [0.1, 0.1])
    # Each patient has one good and one bad video: nothing varies between patients.
    table["patient"] = table["video"].isin(["test0", "test1"])
    shown = {"here": (table["score"] >= 0.5).to_numpy()}
    both = {
        by: thresholds.rate_table(table, shown, by=by, resamples=200) for by in ("video", "patient")
    }
    widths = {by: t["high"][0] - t["low"][0] for by, t in both.items()}
    assert np.isnan(widths["patient"])  # resamples that all agree tell no width
    assert widths["video"] > 0.5


def test_a_guarantee_is_the_scorers_own():
    table = pd.concat([frames(*[[0.5 + v / 100] for v in range(9)], held_out=k) for k in "01"])
    single = table.assign(score=table["score"] / 2)
    found = thresholds.guarantee_table(table, single, (0.05, 0.1))
    assert found["standing"].tolist() == [
        "too few: 19 are needed, 9 are there",
        "too few: 19 are needed, 9 are there",
        "too few: 19 are needed, 18 are there",
        "guaranteed",
        "guaranteed",
        "heuristic",
    ]
    assert found["threshold"].tolist()[3:] == [0.5, 0.5, 0.25]
    assert found["scorer"].tolist()[3] == "the ensemble that judges fold 0"


def test_guaranteed_alarms_judge_each_video_by_the_others():
    # Ten videos; of nine others an alpha of .1 lets nothing be missed: their least score decides.
    table = frames(*[[0.5 + v / 100] for v in range(10)])
    found = thresholds.guaranteed_alarms(table, 0.1)
    invisible = table["target"] == 1
    # Video 0 has the least score of all, and the others' least is .51: it alone is missed.
    assert found[invisible].tolist() == [False] + [True] * 9
    assert not found[~invisible].any()
    assert thresholds.guaranteed_alarms(frames(*[[0.5]] * 9), 0.1) is None


def test_weighing_by_hand():
    table = events.timed(frames([0.9, 0.2, 0.9]), pd.Series({"test0": 25.0}))
    found = thresholds.weigh(table, events.Setting(0.5, 0.0, 0.0), np.array([0.25, 0.5]))
    assert found["sensitivity"].tolist() == pytest.approx([2 / 3, 2 / 3])
    assert found["specificity"].tolist() == [0, 1]
    assert found["ppv"].tolist() == pytest.approx([2 / 5, 1])
    # Six frames of .2 s. At .25 the last three warn of a visible tip, for .6 s: one false alarm.
    assert found["false alarms a minute, raw"].tolist() == pytest.approx([50, 0])
    assert found["false alarms a minute, live"].tolist() == pytest.approx([50, 0])


def test_medians_over_videos_by_hand():
    table = frames([0.9, 0.2], [0.8, 0.7], [0.1, 0.2])
    shown = {"first": (table["score"] >= 0.25).to_numpy(), "frozen": np.ones(len(table), bool)}
    found = thresholds.video_medians(table, shown)
    assert found["median sensitivity over test videos"] == 0.5  # of .5, 1 and 0
    assert found["median specificity over test videos"] == 0
    # Of warnings 1 of 3, 2 of 4 and 0 of 2 are right.
    assert found["median PPV over test videos"] == pytest.approx(1 / 3)
    assert found["median sensitivity over test videos, frozen"] == 1


def test_frames_without_a_clipper_by_hand():
    table = pd.DataFrame(
        {
            "video": list("aabb") * 2,
            "label": ["absent", "visible", "absent", "absent", "invisible", *["visible"] * 3],
            "score": [0.1, 0.2, 0.6, 0.8, 0.7, 0.1, 0.1, 0.2],
        }
    )
    shown = {"here": (table["score"] >= 0.5).to_numpy()}
    found = thresholds.absent_table(table, shown, resamples=50).set_index("figure")["estimate"]
    assert found["called visible, threshold here"] == pytest.approx(1 / 3)
    # .6 beats the 4 of five that are lower, .8 all five, .1 ties with two: (4 + 5 + 1) / 15.
    assert found["AUROC: no clipper by p(invisible)"] == pytest.approx(10 / 15)
    none = table[table["label"] != "absent"]
    assert thresholds.absent_table(none, {}).empty


def test_each_subset_has_an_alarm_of_its_own():
    clear = frames([0.9] * 5, [0.8] * 5, held_out="0")
    low = clear.assign(score=clear["score"] / 2, held_out="1")
    fps = pd.Series(25.0, clear["video"].unique())
    own = {}
    for subset, validation in (("0", clear), ("1", low)):
        judged = events.timed(validation, fps)
        setting = alarm_choice.best(alarm_choice.choose(judged))
        own[subset] = setting.threshold
        scored = pd.concat([clear, low]).assign(split="validation")
        scored["label"] = scored["target"].map({1: "invisible", 0: "visible"})
        on = alarm_choice.frozen_alarms(judged, scored, fps)
        assert on.tolist() == events.alarms(judged, setting).tolist()
        assert on[judged["target"] == 1].all()
    assert own["1"] < own["0"]
