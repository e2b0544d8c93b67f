"""The simulated annotators: calibrated by construction, wrong where a frame is ambiguous."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.simulate.annotators import annotate, scale_of_errors


def make_frames(rng, count, *, split="test", ambiguous=0.3):
    label = rng.choice(["visible", "invisible"], count, p=[0.36, 0.64])
    ambiguity = np.where(rng.random(count) < ambiguous, rng.uniform(0.3, 1.0, count), 0.03)
    return pd.DataFrame(
        {
            "video": [f"{split}{k % 5}" for k in range(count)],
            "split": split,
            "frame": np.arange(count),
            "label": label,
            "cause": np.where(label == "visible", "none", "occluded_tissue"),
            "near_cause": "occluded_tool",
            "ambiguity": ambiguity,
        }
    )


def votes(annotations):
    """Labels (frames, 3) of the annotators A, B, C."""
    return annotations.pivot(index=["video", "frame"], columns="annotator", values="label").values


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([120, 300, 1000]), st.floats(0.1, 0.9))
def test_share_without_full_agreement_is_the_papers(seed, count, ambiguous):
    frames = make_frames(np.random.default_rng(seed), count, ambiguous=ambiguous)
    invisible = votes(annotate(frames, np.random.SeedSequence(seed))) == "invisible"
    disputed = np.isin(invisible.sum(1), (1, 2)).mean()
    assert abs(disputed - 0.18) <= 0.01
    errors = (invisible != (invisible.sum(1) >= 2)[:, None]).mean()
    assert errors == pytest.approx(disputed / 3)


def test_errors_fall_on_ambiguous_frames():
    frames = make_frames(np.random.default_rng(1), 3000)
    labels = annotate(frames, np.random.SeedSequence(1)).merge(frames, on=["video", "frame"])
    wrong = labels["label_x"] != labels["label_y"]
    ambiguous = labels["ambiguity"] > 0.2
    assert wrong[ambiguous].mean() > 8 * wrong[~ambiguous].mean()
    confidence = labels["confidence"].groupby(ambiguous).mean()
    assert confidence[True] < 2.2 < confidence[False]


def test_annotators_err_at_their_own_rates():
    frames = make_frames(np.random.default_rng(2), 6000)
    labels = annotate(frames, np.random.SeedSequence(2)).merge(frames, on=["video", "frame"])
    errors = (labels["label_x"] != labels["label_y"]).groupby(labels["annotator"]).mean()
    assert errors["B"] < errors["A"] < errors["C"]


def test_training_videos_have_the_test_videos_error_rate():
    rng = np.random.default_rng(3)
    frames = pd.concat([make_frames(rng, 3000), make_frames(rng, 6000, split="train")])
    labels = annotate(frames, np.random.SeedSequence(3)).merge(frames, on=["video", "frame"])
    errors = (labels["label_x"] != labels["label_y"]).groupby(labels["split"]).mean()
    assert errors["train"] == pytest.approx(errors["test"], abs=0.02)


def test_causes_follow_the_label_that_was_given():
    frames = make_frames(np.random.default_rng(4), 2000)
    labels = annotate(frames, np.random.SeedSequence(4)).merge(frames, on=["video", "frame"])
    assert ((labels["cause_x"] == "none") == (labels["label_x"] == "visible")).all()
    mistaken = (labels["label_x"] == "invisible") & (labels["label_y"] == "visible")
    assert set(labels.loc[mistaken, "cause_x"]) == {"occluded_tool"}


def test_absent_frames_are_agreed_upon():
    frames = make_frames(np.random.default_rng(5), 400)
    frames.loc[:49, ["label", "cause", "ambiguity"]] = ["absent", "no_clipper", 0.0]
    absent = votes(annotate(frames, np.random.SeedSequence(5))) == "absent"
    assert (absent.any(1) == absent.all(1)).all()
    assert absent.all(1).sum() == 50


def test_scale_by_hand():
    # One ambiguity and rates 1, 0.8, 1.2: 1 - p1 p2 p3 - (1 - p1)(1 - p2)(1 - p3) = 0.18 at s.
    scale = scale_of_errors(np.full(10, 0.2))
    first, second, third = (scale * 0.2 * rate for rate in (1.0, 0.8, 1.2))
    agreed = first * second * third + (1 - first) * (1 - second) * (1 - third)
    assert 1 - agreed == pytest.approx(0.18)
