"""Metrics of frames and their targets: by hand and against scikit-learn."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.metrics import confusion_matrix, precision_score, roc_auc_score, roc_curve

from clipassistnet.evaluation import discrimination, targets

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
    assert discrimination.auroc(target, score) == pytest.approx(expected)


def test_auroc_of_one_class_is_nan_and_says_why():
    with pytest.warns(UndefinedMetricWarning, match="all 3 frames are visible"):
        assert np.isnan(discrimination.auroc([0, 0, 0], [0.1, 0.2, 0.3]))
    with pytest.warns(UndefinedMetricWarning, match="all 2 frames are invisible"):
        assert np.isnan(discrimination.specificity_at_sensitivity([1, 1], [0.1, 0.2]))


def test_threshold_and_specificity_by_hand():
    # 20 invisible frames score 0.05, 0.10, ..., 1.00: 19 of them (95 %) reach 0.10.
    invisible = np.arange(1, 21) / 20
    visible = np.array([0.01, 0.09, 0.10, 0.50])
    target, score = np.r_[np.ones(20, int), np.zeros(4, int)], np.r_[invisible, visible]
    assert discrimination.threshold_at_sensitivity(target, score) == 0.10
    # A frame at the threshold raises the warning: 2 of the 4 visible frames stay quiet.
    assert discrimination.specificity_at_sensitivity(target, score) == 0.5
    assert discrimination.threshold_at_sensitivity(target, score, 1.0) == 0.05
    assert discrimination.specificity_at_sensitivity(target, score, 1.0) == 0.25
    assert discrimination.threshold_at_sensitivity(target, score, 0.5) == 0.55


@pytest.mark.parametrize("invisible", [20, 60, 100, 180, 340, 700, 1_000_000])
def test_threshold_needs_exactly_95_percent_whatever_the_rounding(invisible):
    # 0.95 * 180 is not 171 in floating point; one frame more would be asked for.
    score = np.arange(invisible, 0, -1) / invisible
    threshold = discrimination.threshold_at_sensitivity(np.ones(invisible, int), score)
    assert (score >= threshold).sum() * 100 == 95 * invisible


@MANY
@given(scored(), st.sampled_from([0.05, 0.5, 0.8, 0.9, 0.95, 1.0]))
def test_threshold_is_the_largest_that_reaches_the_sensitivity(frames, sensitivity):
    target, score = frames
    threshold = discrimination.threshold_at_sensitivity(target, score, sensitivity)
    assert discrimination.rates(target, score, threshold)["sensitivity"] >= sensitivity
    above = np.nextafter(threshold, 2)
    assert discrimination.rates(target, score, above)["sensitivity"] < sensitivity


@MANY
@given(scored())
def test_discrimination_agrees_with_scikit_learn(frames):
    target, score = frames
    assert discrimination.auroc(target, score) == pytest.approx(roc_auc_score(target, score))
    fpr, tpr, _ = roc_curve(target, score, drop_intermediate=False)
    expected = 1 - fpr[tpr >= 0.95].min()
    assert discrimination.specificity_at_sensitivity(target, score) == pytest.approx(expected)


def test_rates_by_hand():
    #          tp   tp   fn   fp   tn   tn   tn   fp
    target = [1, 1, 1, 0, 0, 0, 0, 0]
    score = [0.9, 0.6, 0.4, 0.8, 0.1, 0.2, 0.5, 0.6]
    found = discrimination.rates(target, score, 0.6)
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
    found = discrimination.rates(target, score, threshold)
    tn, fp, fn, tp = confusion_matrix(target, alarm, labels=[0, 1]).ravel()
    assert [found[name] for name in ("tn", "fp", "fn", "tp")] == [tn, fp, fn, tp]
    precision = precision_score(target, alarm, zero_division=np.nan)
    assert found["ppv"] == pytest.approx(precision, nan_ok=True)


def test_a_rate_without_frames_is_nan():
    found = discrimination.rates([0, 0], [0.1, 0.2], 0.5)
    assert np.isnan(found["sensitivity"])
    assert np.isnan(found["ppv"])
    assert found["specificity"] == found["npv"] == 1


def test_predictive_values_by_hand():
    # Of 100 frames 10 are invisible: 9 true warnings, 18 false ones; 72 quiet ones right, 1 wrong.
    assert discrimination.predictive_values(0.9, 0.8, 0.1) == pytest.approx((9 / 27, 72 / 73))
    assert np.isnan(discrimination.predictive_values(0.0, 1.0, 0.5)[0])
    with pytest.raises(ValueError, match=r"prevalence 1\.2"):
        discrimination.predictive_values(0.9, 0.8, 1.2)


@MANY
@given(scored())
def test_predictive_values_are_the_rates_at_the_observed_prevalence(frames):
    found = discrimination.rates(*frames, 0.5)
    expected = found["ppv"], found["npv"]
    values = (found[name] for name in ("sensitivity", "specificity", "prevalence"))
    assert discrimination.predictive_values(*values) == pytest.approx(expected, nan_ok=True)


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
        discrimination.auroc(target, score)
    with pytest.raises(ValueError, match=message):
        discrimination.rates(target, score, 0.5)


def test_bad_thresholds_and_sensitivities_are_refused():
    with pytest.raises(ValueError, match="threshold nan"):
        discrimination.rates([0, 1], [0.1, 0.2], float("nan"))
    for sensitivity in (0, 1.5, 95):
        with pytest.raises(ValueError, match=f"sensitivity {sensitivity}: expected"):
            discrimination.threshold_at_sensitivity([0, 1], [0.1, 0.2], sensitivity)


def test_with_target_counts_absent_frames_as_it_is_told():
    labels = pd.DataFrame({"label": ["visible", "invisible", "absent"]})
    assert targets.with_target(labels, "leave out")["target"].tolist() == [0, 1]
    assert targets.with_target(labels, "invisible")["target"].tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="1 frames are labelled absent"):
        targets.with_target(labels)
    with pytest.raises(ValueError, match="Visible"):
        targets.with_target(pd.DataFrame({"label": ["Visible"]}))
