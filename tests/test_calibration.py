"""Calibration by hand and against scikit-learn; subgroups by hand."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from clipassistnet.evaluation import calibration, subgroups

MANY = settings(max_examples=15)
SCORED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 100)), min_size=2, max_size=60)


def simulated(frames: int, seed: int = 0, extreme: float = 1.0) -> pd.DataFrame:
    """Calibrated scores whose logits are then multiplied; ten videos in five folds."""
    rng = np.random.default_rng(seed)
    p = rng.beta(1.5, 1.5, frames)
    video = rng.integers(0, 10, frames)
    table = pd.DataFrame({"video": video, "frame": range(frames), "fold": video % 5})
    return table.assign(
        target=(rng.random(frames) < p).astype(int), score=calibration.tempered(p, 1 / extreme)
    )


def test_calibration_error_by_hand():
    # Bin 0 to .1: two frames, mean .05, none invisible: gap .05. Bin .9 to 1 (1 belongs to it):
    # scores .9 and 1, one invisible of two: gap .45. (2 * .05 + 2 * .45) / 4.
    target, score = [0, 0, 1, 0], [0.04, 0.06, 0.9, 1.0]
    assert calibration.expected_calibration_error(target, score) == pytest.approx(0.25)
    # In one bin the gaps cancel: mean score .5, a quarter invisible.
    assert calibration.expected_calibration_error(target, score, bins=1) == pytest.approx(0.25)
    assert calibration.expected_calibration_error([0, 1], [0.0, 1.0]) == 0
    with pytest.raises(ValueError, match="no probabilities"):
        calibration.expected_calibration_error([0, 1], [-0.1, 1.0])


@MANY
@given(SCORED)
def test_reliability_is_scikit_learns(pairs):
    table = pd.DataFrame(pairs, columns=["target", "score"])
    # Off the edges of bins, which scikit-learn counts to the bin below.
    table = table.assign(score=(2 * table["score"] + 1) / 203, video=range(len(table)))
    found = calibration.reliability(table, resamples=10)
    share, mean = calibration_curve(table["target"], table["score"], n_bins=10)
    assert found["invisible"].to_numpy() == pytest.approx(share)
    assert found["score"].to_numpy() == pytest.approx(mean)
    assert found["frames"].sum() == len(table)
    gap = (found["frames"] * (found["invisible"] - found["score"]).abs()).sum() / len(table)
    error = calibration.expected_calibration_error(table["target"], table["score"])
    assert gap == pytest.approx(error)


def test_a_bin_of_two_videos_has_no_interval():
    rows = {"video": [0, 1, 1, 2, 3], "target": [0, 1, 1, 0, 1], "score": [0.1, 0.1, 0.9, 0.9, 0.9]}
    found = calibration.reliability(pd.DataFrame(rows), resamples=50)
    assert found["videos"].tolist() == [2, 3]
    assert np.isnan(found.loc[0, ["low", "high"]].astype(float)).all()
    assert found.loc[1, "low"] < 2 / 3 < found.loc[1, "high"]


def test_temperature_by_hand():
    # Scores of .9 of which 3 in 4 are right: the best T brings .9 to .75, logit 9 over logit 3.
    target, score = [1, 1, 1, 0] * 5 + [0, 0, 0, 1] * 5, [0.9] * 20 + [0.1] * 20
    t = calibration.temperature(target, score)
    assert t == pytest.approx(np.log(9) / np.log(3), rel=1e-3)
    assert calibration.tempered([0.9, 0.5, 0.1], t) == pytest.approx([0.75, 0.5, 0.25], abs=1e-3)
    with pytest.raises(ValueError, match="one class only"):
        calibration.temperature([1, 1], [0.2, 0.4])


@pytest.mark.parametrize("extreme", [0.3, 0.5, 2.0])
def test_temperature_undoes_what_was_done_and_keeps_the_order(extreme):
    table = simulated(3000, 1, extreme).sort_values("score")
    found = calibration.temperature(table["target"], table["score"])
    assert found == pytest.approx(extreme, rel=0.2)
    cooled = calibration.tempered(table["score"], extreme)
    assert (np.diff(cooled) >= 0).all()
    inner = table["score"].between(1e-5, 1 - 1e-5).to_numpy()
    expected = logit(table["score"].to_numpy()[inner]) / extreme
    assert logit(cooled[inner]) == pytest.approx(expected)


def test_a_fold_is_tempered_by_the_others_alone():
    table = simulated(2000, 1, extreme=3.0)
    found = calibration.out_of_fold(table)
    assert len(found) == len(table)
    turned = table.assign(target=table["target"].where(table["fold"] != 0, 1 - table["target"]))
    own = found["fold"] == 0
    other = calibration.out_of_fold(turned)
    assert other.loc[other["fold"] == 0, "score"].equals(found.loc[own, "score"])
    before = calibration.expected_calibration_error(table["target"], table["score"])
    after = calibration.expected_calibration_error(found["target"], found["score"])
    assert after < before / 3


def test_calibration_table_has_both_measures_with_intervals():
    table = simulated(500)
    found = calibration.calibration_table({"raw": table}, resamples=100).set_index("measure")
    brier = brier_score_loss(table["target"], table["score"])
    assert found.loc["brier", "estimate"] == pytest.approx(brier)
    assert (found["low"] < found["estimate"]).all()
    assert (found["estimate"] < found["high"]).all()


LABELS = pd.DataFrame(
    [
        ("a", 0, 3, 0),
        ("a", 1, 3, 1),
        ("b", 0, 1, 0),
        ("b", 1, 1, 0),
        ("b", 2, 1, 0),
        ("c", 0, 3, 1),
    ],
    columns=["video", "frame", "annotators", "dissent"],
)
PREDICTIONS = LABELS[["video", "frame"]].assign(
    label=["invisible", "visible", "invisible", "visible", "invisible", "invisible"],
    score=[0.9, 0.2, 0.1, 0.3, 0.8, 0.7],
)
VIDEOS = pd.DataFrame(
    {"video": ["a", "b", "c"], "patient": ["p", "p", "q"], "clipper": ["metal", "", "polymer"]}
)
ANNOTATIONS = pd.DataFrame(
    [
        ("a", 0, "A", "invisible", "blur"),
        ("a", 0, "B", "invisible", "contrast"),
        ("a", 0, "C", "invisible", "contrast"),
        ("b", 0, "A", "invisible", "blur"),
        ("b", 2, "A", "invisible", ""),
        ("c", 0, "B", "invisible", "contrast"),
        ("c", 0, "C", "invisible", "blur"),
        ("a", 1, "B", "invisible", "blur"),
    ],
    columns=["video", "frame", "annotator", "label", "cause"],
)


def test_frames_are_described_by_hand():
    found = subgroups.describe(PREDICTIONS, VIDEOS, ANNOTATIONS, LABELS)
    assert found["cause"].tolist() == ["contrast", "", "blur", "", "not given", "blur"]
    assert found["clipper"].tolist() == ["metal", "metal", "", "", "", "polymer"]
    assert found["agreement"].tolist() == [
        "unanimous", "disputed", *["one annotator"] * 3, "disputed",
    ]  # fmt: skip
    # One, two and three frames: video c is the shortest, b the longest.
    assert [text[0] for text in found["length"]] == ["2", "2", "3", "3", "3", "1"]


def test_subgroups_by_hand():
    frames = subgroups.describe(PREDICTIONS, VIDEOS, ANNOTATIONS, LABELS)
    table = subgroups.subgroups(frames, frames["score"] >= 0.5, resamples=50).set_index(
        ["grouping", "group"]
    )
    # Invisible .9 .1 .8 .7, visible .2 .3: .1 loses both pairs, the others win: 6 of 8.
    assert table.loc[("all", "all"), "auroc"] == pytest.approx(0.75)
    assert table.loc[("all", "all"), "sensitivity"] == pytest.approx(0.75)
    # Blur: .1 and .7 against the visible frames: 2 of 4 pairs, one of two found.
    blur = table.loc[("cause", "blur")]
    assert (blur["frames"], blur["videos"], blur["auroc"], blur["sensitivity"]) == (2, 2, 0.5, 0.5)
    assert np.isnan(blur["specificity"])
    assert table.loc[("patient", "p"), "auroc"] == pytest.approx(4 / 6)
    assert np.isnan(table.loc[("patient", "q"), "auroc"])  # its one frame is invisible
    assert np.isnan(table.loc[("clipper", "metal"), "low"])  # one video supports no interval
    assert ("clipper", "") not in table.index
    assert table.loc[("all", "all"), "low"] < 0.75 < table.loc[("all", "all"), "high"]
