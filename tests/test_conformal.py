"""Thresholds with a guarantee: by hand, against the definition, and over a simulated pipeline."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import threshold_guarantee
from clipassistnet.evaluation import conformal


def videos(*scores: list[float]) -> pd.DataFrame:
    """One video for each list: its invisible frames' scores, and a visible frame each."""
    rows = [(v, i, 1, s) for v, own in enumerate(scores) for i, s in enumerate(own)]
    rows += [(v, 99, 0, 0.05) for v in range(len(scores))]
    return pd.DataFrame(rows, columns=["video", "frame", "target", "score"])


def test_threshold_with_guarantee_by_hand():
    # Misses may sum to 0.4 * 5 - 1 = 1 over the four videos. Below .5 lie the .2 and .4 of video
    # 0 (half of its four frames) and the .3 of video 1 (half of its two): just 1. Below .6: 1.25.
    table = videos([0.2, 0.4, 0.5, 0.9], [0.3, 0.8], [0.7], [0.6, 0.9])
    found = conformal.threshold_with_guarantee(table, 0.4)
    assert found == (0.5, 0.4, 4, 2)
    missed = conformal.missed(table, found.threshold)
    assert missed.tolist() == [0.5, 0.5, 0, 0]
    assert (missed.sum() + 1) / 5 == pytest.approx(0.4)
    # A tenth allows no miss at all of nine videos, and needs that many.
    nine = videos(*[[0.1 + v / 10, 0.99] for v in range(9)])
    assert conformal.threshold_with_guarantee(nine, 0.1) == (0.1, 0.1, 9, 9)


@pytest.mark.parametrize(("alpha", "needed"), [(0.05, 19), (0.1, 9), (0.3, 3), (0.01, 99)])
def test_too_few_videos_support_no_threshold(alpha, needed):
    assert conformal.videos_needed(alpha) == needed
    few = conformal.threshold_with_guarantee(videos(*[[0.5]] * (needed - 1)), alpha)
    assert np.isnan(few.threshold)
    assert few[1:] == (alpha, needed - 1, needed)
    assert conformal.threshold_with_guarantee(videos(*[[0.5]] * needed), alpha).threshold == 0.5


def test_only_videos_with_an_invisible_frame_count_and_patients_may():
    table = videos([0.5], [0.6], [], [0.7])
    assert conformal.threshold_with_guarantee(table, 0.3).videos == 3
    table["patient"] = table["video"].map({0: "a", 1: "a", 2: "b", 3: "b"})
    assert conformal.threshold_with_guarantee(table, 0.4, by="patient").videos == 2
    assert conformal.missed(table, 0.55, by="patient").to_dict() == {"a": 0.5, "b": 0}
    with pytest.raises(ValueError, match="nothing to miss"):
        conformal.threshold_with_guarantee(table[table["target"] == 0], 0.3)
    with pytest.raises(ValueError, match=r"alpha 5: expected"):
        conformal.threshold_with_guarantee(table, 5)


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.integers(0, 10), min_size=1, max_size=6), min_size=3, max_size=12),
    st.sampled_from([0.25, 0.3, 0.5, 0.8]),
)
def test_it_is_the_largest_threshold_that_the_bound_allows(scores, alpha):
    table = videos(*[[s / 10 for s in own] for own in scores])
    n = len(scores)
    threshold = conformal.threshold_with_guarantee(table, alpha).threshold

    def bound(t: float) -> float:
        return (conformal.missed(table, t).sum() + 1) / (n + 1)

    assert bound(threshold) <= alpha + 1e-9
    assert bound(np.nextafter(threshold, 2)) > alpha


def test_the_guarantee_holds_on_exchangeable_videos():
    # Six videos and a new one, 400 times: the mean miss is at most alpha.
    rng = np.random.default_rng(0)
    missed = []
    for _ in range(400):
        level = rng.normal(0.6, 0.15, 7)
        own = [rng.normal(m, 0.1, 8) for m in level]
        threshold = conformal.threshold_with_guarantee(videos(*own[:6]), 0.2).threshold
        missed.append((own[6] < threshold).mean())
    error = np.std(missed) / np.sqrt(len(missed))
    assert np.mean(missed) <= 0.2 + 2 * error
    assert np.mean(missed) > 0.05  # not by never missing anything


def test_in_the_whole_pipeline_the_guarantee_holds_for_the_right_scorers_only():
    table = threshold_guarantee.simulate(50, 0.1, studies=24).set_index("scheme")
    assert table.loc["one member, its own fold, stopped elsewhere", "kept"]
    assert table.loc["the ensemble, videos of its own", "kept"]
    assert not table.loc["the ensemble, the videos it trained on", "kept"]


def test_the_simulation_is_a_command(tmp_path, monkeypatch):
    monkeypatch.setattr(threshold_guarantee, "STUDIES", ((50, 0.1),))
    threshold_guarantee.main(["--studies", "2", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "guarantee.csv")
    assert len(table) == 6
    assert set(table["studies"]) == {2}
