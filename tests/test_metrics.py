"""Metrics of frames: against values worked out by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import confusion_matrix, precision_score, roc_auc_score, roc_curve

from clipassistnet import evaluation

MANY = settings(max_examples=50)


@st.composite
def scored(draw):
    """Targets with both classes and scores with many ties."""
    target = [0, 1, *draw(st.lists(st.sampled_from([0, 1]), min_size=1, max_size=60))]
    grid = st.integers(0, 20).map(lambda i: i / 20)
    score = draw(st.lists(grid, min_size=len(target), max_size=len(target)))
    return np.array(target), np.array(score)


@pytest.mark.parametrize(
    ("target", "score", "expected"),
    [
        # Pairs (invisible, visible): .35 beats .1 and loses to .4; .8 beats both: 3 of 4.
        ([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8], 0.75),
        # .5 ties with .5 (one half) and beats .2; .9 beats both: 3.5 of 4.
        ([0, 1, 0, 1], [0.5, 0.5, 0.2, 0.9], 0.875),
        ([1, 0], [0.2, 0.9], 0.0),
        ([0, 1, 1, 0], [0.7, 0.7, 0.7, 0.7], 0.5),
    ],
)
def test_auroc_by_hand(target, score, expected):
    assert evaluation.auroc(target, score) == pytest.approx(expected)


def test_auroc_of_one_class_is_nan_and_says_why():
    with pytest.warns(UndefinedMetricWarning, match="all 3 frames are visible"):
        assert np.isnan(evaluation.auroc([0, 0, 0], [0.1, 0.2, 0.3]))
    with pytest.warns(UndefinedMetricWarning, match="all 2 frames are invisible"):
        assert np.isnan(evaluation.specificity_at_sensitivity([1, 1], [0.1, 0.2]))


def test_threshold_and_specificity_by_hand():
    # 20 invisible frames score 0.05, 0.10, ..., 1.00: 19 of them (95 %) reach 0.10.
    invisible = np.arange(1, 21) / 20
    visible = np.array([0.01, 0.09, 0.10, 0.50])
    target, score = np.r_[np.ones(20, int), np.zeros(4, int)], np.r_[invisible, visible]
    assert evaluation.threshold_at_sensitivity(target, score) == 0.10
    # A frame at the threshold raises the warning: 2 of the 4 visible frames stay quiet.
    assert evaluation.specificity_at_sensitivity(target, score) == 0.5
    assert evaluation.threshold_at_sensitivity(target, score, 1.0) == 0.05
    assert evaluation.specificity_at_sensitivity(target, score, 1.0) == 0.25
    assert evaluation.threshold_at_sensitivity(target, score, 0.5) == 0.55


@pytest.mark.parametrize("invisible", [20, 60, 100, 180, 340, 700, 1_000_000])
def test_threshold_needs_exactly_95_percent_whatever_the_rounding(invisible):
    # 0.95 * 180 is not 171 in floating point; one frame more would be asked for.
    score = np.arange(invisible, 0, -1) / invisible
    threshold = evaluation.threshold_at_sensitivity(np.ones(invisible, int), score)
    assert (score >= threshold).sum() * 100 == 95 * invisible


@MANY
@given(scored(), st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.95, 1.0]))
def test_threshold_is_the_largest_that_reaches_the_sensitivity(frames, sensitivity):
    target, score = frames
    threshold = evaluation.threshold_at_sensitivity(target, score, sensitivity)
    assert evaluation.rates(target, score, threshold)["sensitivity"] >= sensitivity
    above = np.nextafter(threshold, 2)
    assert evaluation.rates(target, score, above)["sensitivity"] < sensitivity


@MANY
@given(scored())
def test_discrimination_agrees_with_scikit_learn(frames):
    target, score = frames
    assert evaluation.auroc(target, score) == pytest.approx(roc_auc_score(target, score))
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    expected = 1 - fpr[tpr >= 0.95].min()
    assert evaluation.specificity_at_sensitivity(target, score) == pytest.approx(expected)


def test_rates_by_hand():
    #          tp   tp   fn   fp   tn   tn   tn   fp
    target = [1, 1, 1, 0, 0, 0, 0, 0]
    score = [0.9, 0.6, 0.4, 0.8, 0.1, 0.2, 0.5, 0.6]
    found = evaluation.rates(target, score, 0.6)
    assert found == {
        "sensitivity": pytest.approx(2 / 3),
        "specificity": pytest.approx(3 / 5),
        "ppv": pytest.approx(2 / 4),
        "npv": pytest.approx(3 / 4),
        "prevalence": pytest.approx(3 / 8),
        "tp": 2,
        "fp": 2,
        "fn": 1,
        "tn": 3,
    }


@MANY
@given(scored(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
def test_rates_agree_with_scikit_learn(frames, threshold):
    target, score = frames
    alarm = (score >= threshold).astype(int)
    found = evaluation.rates(target, score, threshold)
    tn, fp, fn, tp = confusion_matrix(target, alarm, labels=[0, 1]).ravel()
    assert [found[name] for name in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
    precision = precision_score(target, alarm, zero_division=np.nan)
    assert found["ppv"] == pytest.approx(precision, nan_ok=True)


def test_a_rate_without_frames_is_nan():
    found = evaluation.rates([0, 0], [0.1, 0.2], 0.5)
    assert np.isnan(found["sensitivity"])
    assert np.isnan(found["ppv"])
    assert found["specificity"] == found["npv"] == 1


def test_predictive_values_by_hand():
    # Of 100 frames 10 are invisible: 9 true warnings, 18 false ones; 72 quiet ones right, 1 wrong.
    assert evaluation.predictive_values(0.9, 0.8, 0.1) == pytest.approx((9 / 27, 72 / 73))
    assert np.isnan(evaluation.predictive_values(0.0, 1.0, 0.5)[0])
    with pytest.raises(ValueError, match=r"prevalence 1\.2"):
        evaluation.predictive_values(0.9, 0.8, 1.2)


@MANY
@given(scored())
def test_predictive_values_are_the_rates_at_the_observed_prevalence(frames):
    found = evaluation.rates(*frames, 0.5)
    expected = found["ppv"], found["npv"]
    values = (found[name] for name in ("sensitivity", "specificity", "prevalence"))
    assert evaluation.predictive_values(*values) == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize(
    ("target", "score", "message"),
    [
        ([0, 1], [0.1], r"\(2,\) and scores \(1,\)"),
        ([0, 2], [0.1, 0.2], "expected 0"),
        ([0, 1], [0.1, np.nan], "1 scores are not finite"),
        ([], [], "N > 0"),
    ],
)
def test_bad_input_is_refused(target, score, message):
    with pytest.raises(ValueError, match=message):
        evaluation.auroc(target, score)
    with pytest.raises(ValueError, match=message):
        evaluation.rates(target, score, 0.5)


def test_bad_thresholds_and_sensitivities_are_refused():
    with pytest.raises(ValueError, match="threshold nan"):
        evaluation.rates([0, 1], [0.1, 0.2], float("nan"))
    for sensitivity in (0, 1.5, 95):
        with pytest.raises(ValueError, match=f"sensitivity {sensitivity}: expected"):
            evaluation.threshold_at_sensitivity([0, 1], [0.1, 0.2], sensitivity)


def test_with_target_counts_absent_frames_as_it_is_told():
    labels = pd.DataFrame({"label": ["visible", "invisible", "absent"]})
    assert evaluation.with_target(labels, "leave out")["target"].tolist() == [0, 1]
    assert evaluation.with_target(labels, "invisible")["target"].tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="1 frames are labelled absent"):
        evaluation.with_target(labels)
    with pytest.raises(ValueError, match="Visible"):
        evaluation.with_target(pd.DataFrame({"label": ["Visible"]}))


VIDEOS = pd.DataFrame(
    [
        # threshold .6: both invisible frames are needed for 95 %
        *[("a", i, label, s) for i, (label, s) in enumerate([(1, 0.9), (1, 0.6), (0, 0.7)])],
        # threshold .2
        *[("b", i, label, s) for i, (label, s) in enumerate([(1, 0.2), (0, 0.1), (0, 0.3)])],
        # threshold .8
        *[("c", i, label, s) for i, (label, s) in enumerate([(1, 0.8), (0, 0.5)])],
        ("d", 0, 0, 0.4),  # one class only
    ],
    columns=["video", "frame", "target", "score"],
)


def test_per_video_thresholds_by_hand():
    table = evaluation.per_video(VIDEOS).set_index("video")
    assert table.loc[["a", "b", "c"], "threshold"].tolist() == [0.6, 0.2, 0.8]
    assert table.loc[["a", "b", "c"], "auroc"].tolist() == [0.5, 0.5, 1.0]
    assert table["frames"].tolist() == [3, 3, 2, 1]
    assert table["prevalence"].tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 2, 0])
    assert np.isnan(table.loc["d", "threshold"])
    assert table.loc["d", "reason"] == "all 1 frames are visible"
    assert evaluation.paper_threshold(table) == 0.6  # median of .2, .6, .8; d is left out


def test_per_video_rates_at_the_paper_threshold_by_hand():
    table = evaluation.per_video_rates(VIDEOS, 0.6).set_index("video")
    assert table["sensitivity"].tolist()[:3] == [1, 0, 1]
    assert table["specificity"].tolist() == [0, 1, 1, 1]
    assert table["frames"].tolist() == [3, 3, 2, 1]


def test_without_a_video_of_both_classes_there_is_no_paper_threshold():
    with pytest.raises(ValueError, match="no video has both classes"):
        evaluation.paper_threshold(evaluation.per_video(VIDEOS[VIDEOS["video"] == "d"]))


def test_a_frame_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="more than once, the first: video a, frame 0"):
        evaluation.per_video(pd.concat([VIDEOS, VIDEOS.iloc[:1]]))
