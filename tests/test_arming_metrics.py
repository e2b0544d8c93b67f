"""Arming by itself, worked out by hand: frames, stretches, false armings."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.alarm import Alarm, arming_settings
from clipassistnet.evaluation import arming_metrics, events, targets
from clipassistnet.live.arming import AutomaticArming

FPS = pd.Series({"a": 25.0, "b": 25.0})
LEVELS = pd.Series({"test": 0.5})
SAMPLING = {"by": "patient", "resamples": 50, "seed": 0}


def frames(labels: str, scores: str, video: str = "a", start: int = 0) -> pd.DataFrame:
    """Frames every 0.2 s: a(bsent), i(nvisible) or v(isible); scores in tenths."""
    names = {"a": "absent", "i": "invisible", "v": "visible"}
    return pd.DataFrame(
        {
            "held_out": "test",
            "video": video,
            "patient": "P" + video,
            "frame": start + 5 * np.arange(len(labels)),
            "split": "test",
            "label": [names[label] for label in labels],
            "score": [int(score) / 10 for score in scores],
        }
    )


#       false arming   stretch 1   gone    too short
LABELS = "aaaaaaaaaaivvvvvviaaaaaaavvvaa"
SCORES = "999999500089999999000000000000"
# Armed after 1 s of scores above 0.6, disarmed after 1 s at 0.5 or below.
ON = "000001111111111111111110000000"


def timed(table: pd.DataFrame) -> pd.DataFrame:
    return events.timed(targets.with_arming_target(table), FPS)


def test_armed_as_live_is():
    table = timed(frames(LABELS, SCORES))
    on = arming_metrics.armed(table, LEVELS)
    assert "".join(map(str, on.astype(int))) == ON
    arming = AutomaticArming(None, Alarm(*arming_settings(0.5)))
    state, states = False, []
    for row in table.itertuples():
        arming.scored(row.time, row.score)
        order = arming.poll()
        state = state if order is None else order
        states.append(state)
    assert on.tolist() == states


def test_the_table_by_hand():
    # A second video: ten frames of a clip applier, seen at once; a lone frame, in which no
    # network could arm, counts as a frame and not as a stretch.
    other = [frames("i" * 10, "9" * 10, "b"), frames("i", "9", "b", start=500)]
    table = pd.concat([frames(LABELS, SCORES), *other])
    held_out = pd.concat([table, table.assign(split="validation", score=0.5)])
    found = arming_metrics.table(held_out, LEVELS, FPS, **SAMPLING).set_index(
        ["judged", "measure"]
    )["estimate"]
    single, live = found[arming_metrics.FRAMES], found[arming_metrics.ARMED]
    # 8 and 11 frames of a clip applier are found, the 3 of a short stretch are not; of 19 frames
    # without one 6 score above 0.5.
    assert single["sensitivity"] == pytest.approx(19 / 22)
    assert single["specificity"] == pytest.approx(13 / 19)
    # With a clip applier 18 of score 9, one 8, three 0; without one six 9, one 5, twelve 0.
    pairs = 18 * (6 / 2 + 13) + 1 * 13 + 3 * 12 / 2
    assert single["AUROC"] == pytest.approx(pairs / (22 * 19))
    assert live["sensitivity"] == pytest.approx((8 + 5) / (11 + 10))
    assert live["specificity"] == pytest.approx((5 + 4) / 19)
    assert live["stretches in which it armed"] == pytest.approx(2 / 3)
    # Stretch 1 finds it armed already, by mistake; in b it takes the second that it takes.
    assert live["mean seconds to arm"] == pytest.approx((0 + 1) / 2)
    # Five frames before the stretch and five after it are within a second and a half.
    assert live["false armings a minute without one"] == 0


def test_a_false_arming_is_counted_a_minute_without_a_clip_applier():
    # 2 s of high scores without a clip applier: armed for 1 s of them and 1 s after; 4 s in all.
    table = frames("a" * 20, "9" * 10 + "0" * 10)
    found = arming_metrics.table(table, LEVELS, FPS, **SAMPLING).set_index("measure")["estimate"]
    assert found["false armings a minute without one"] == pytest.approx(1 / (4 / 60))


def test_without_a_clip_long_enough_only_frames_are_judged():
    table = pd.concat([frames("av", "19", start=start) for start in (0, 100, 200)])
    found = arming_metrics.table(table, LEVELS, FPS, **SAMPLING)
    assert set(found["judged"]) == {arming_metrics.FRAMES}
    assert found["estimate"].tolist() == [1, 1, 1]


def test_the_level_is_frozen_on_validation_frames_of_each_held_out_subset():
    # Of 20 frames with a clip applier 19 must score above the level, so the second lowest, 0.3.
    scores = "1" + "3" + "9" * 18
    validation = pd.concat([frames("i" * 20, scores), frames("aa", "20", start=500)])
    first = pd.concat([validation.assign(split="validation"), frames("iiaa", "0000", "b")])
    second = frames("ia", "79").assign(split="validation", held_out="1")
    found = arming_metrics.levels(pd.concat([first, second]))
    # Halfway to the next lower score: that of a frame without a clip applier, or 0.
    assert found.to_dict() == pytest.approx({"test": (0.3 + 0.2) / 2, "1": 0.7 / 2})


def test_each_held_out_subset_is_armed_at_its_own_level():
    table = pd.concat([frames("i" * 10, "4" * 10), frames("i" * 10, "4" * 10, "b")])
    table["held_out"] = ["0"] * 10 + ["1"] * 10
    levels = pd.Series({"0": 0.25, "1": 0.35})  # 0.1 above the level arms
    on = arming_metrics.armed(timed(table), levels)
    assert on.tolist() == [False] * 5 + [True] * 5 + [False] * 10
    found = arming_metrics.table(table, levels, FPS, **SAMPLING).set_index(["judged", "measure"])
    single = found.loc[arming_metrics.FRAMES]["estimate"]
    assert single["sensitivity"] == 1
    assert arming_metrics.table(table.iloc[:0], levels, FPS, **SAMPLING).empty


def test_the_loss_decides_what_the_target_is():
    table = frames("aiv", "111")
    assert targets.with_target_of(table, "presence")["target"].tolist() == [0, 1, 1]
    assert targets.with_target_of(table, "bce")["target"].tolist() == [1, 0]
