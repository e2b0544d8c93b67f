"""Parity and timing of predictors whose scores are known by hand."""

import dataclasses
import math

import numpy as np
import pytest
import torch

import tiny_ensembles
from clipassistnet import deploy
from tiny_ensembles import blobs, brightness


@pytest.fixture(scope="module")
def greys() -> np.ndarray:
    return tiny_ensembles.greys()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return blobs()


def test_parity_by_hand(greys):
    # Greys of 5 k / 255: those from 0.45 up to below 0.5 are 115, 120 and 125 (0.451 to 0.490).
    result = deploy.check_parity(brightness(), brightness(0.05), greys, 0.5)
    assert result["max_difference"] == pytest.approx(0.05, abs=1e-6)
    assert result["flips"] == 3
    assert result["frames"] == 51
    assert not result["passed"]
    assert deploy.check_parity(brightness(), brightness(0.0005), greys, 0.5)["passed"]
    assert deploy.check_parity(brightness(), brightness(), greys, 0.5)["flips"] == 0


def test_a_score_that_is_no_number_fails_parity(greys):
    assert not deploy.check_parity(brightness(), brightness(math.nan), greys, 0.5)["passed"]
    with pytest.raises(ValueError, match="the reference's scores are not finite"):
        deploy.check_parity(brightness(math.nan), brightness(), greys, 0.5)


def test_parity_needs_frames_and_float32_pytorch(built, eager, greys, frames):
    with pytest.raises(ValueError, match="31 frames, expected at least 32"):
        deploy.check_parity(brightness(), brightness(), greys[:31], 0.5)
    with pytest.raises(ValueError, match="the reference is openvino float32"):
        deploy.check_parity(built, eager, frames, 0.5)


def test_several_ensembles_score_their_own_frames_against_their_own_thresholds(greys):
    # Two ensembles in turn. The scores of their second variants are 0.01 and 0.03 too high.
    held_out = np.where(np.arange(51) % 2, "b", "a")
    variants = {n: [brightness(), brightness(by)] for n, by in (("a", 0.01), ("b", 0.03))}
    scores = deploy.score_held_out(variants, greys, held_out)
    np.testing.assert_allclose(scores[0], np.arange(0, 255, 5) / 255, atol=1e-6)
    np.testing.assert_allclose((scores[1] - scores[0])[:4], [0.01, 0.03, 0.01, 0.03], atol=1e-6)
    # Below 0.5 by 0.03 at most: 125 / 255 (odd, so of b); below 0.2 by 0.01 at most: 50 / 255.
    own = np.where(held_out == "b", 0.5, 0.2)
    row = deploy.compare_scores(variants["a"], scores, own)[1]
    assert row["max_difference"] == pytest.approx(0.03, abs=1e-6)
    assert row["flips"] == 2


def test_ensembles_on_different_variants_are_refused(greys):
    held_out = np.where(np.arange(51) % 2, "b", "a")
    variants = {"a": [brightness(), brightness()], "b": [brightness()]}
    with pytest.raises(ValueError, match="run on different variants"):
        deploy.score_held_out(variants, greys, held_out)


def test_timing_of_predictors_that_passed_parity(greys):
    predictors = [brightness(), brightness(0.0001), brightness(0.2)]
    rows, scores = deploy.compare_with_pytorch(predictors, greys, 0.5)
    assert [row["passed"] for row in rows] == [True, True, False]
    np.testing.assert_allclose(scores[2] - scores[0], 0.2, atol=1e-6)
    rows = deploy.time_predictors(predictors, rows, greys, repeats=20)
    assert rows[0]["ratio"] == 1.0
    for row in rows[:2]:
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["frames_per_second"] == pytest.approx(1000 / row["p50_ms"])
        assert row["ratio"] == pytest.approx(rows[0]["p50_ms"] / row["p50_ms"])
    names = ("p50_ms", "p95_ms", "p99_ms", "frames_per_second", "ratio")
    assert all(math.isnan(rows[2][name]) for name in names)
    assert rows[0]["device"] == deploy.device_name()
    assert (rows[1]["frames"], rows[2]["flips"]) == (51, 10)  # of parity: 0.3 to 0.5, by 0.2


def test_timing_interleaves_calls_of_a_batch(greys):
    calls = []

    def recorded(name: str, batch: int) -> deploy.Predictor:
        plain = brightness()

        def run(images: torch.Tensor) -> np.ndarray:
            calls.append((name, len(images)))
            return plain.run(images)

        return dataclasses.replace(plain, run=run, batch=batch)

    predictors = [recorded("a", 32), recorded("b", 4), recorded("c", 1)]
    rows, _ = deploy.compare_with_pytorch(predictors, greys, 0.5)
    timed = deploy.time_predictors(predictors, rows, greys, repeats=3, batch=4)
    assert calls[-6:] == [("a", 4), ("b", 4)] * 3
    assert math.isnan(timed[2]["p50_ms"])  # takes one frame at a time
    assert timed[0]["frames_per_second"] == pytest.approx(4000 / timed[0]["p50_ms"])


def test_a_changed_metric_fails_parity(greys):
    # By hand: 51 greys, the 25 darker ones visible. One offset for all frames changes no ranking;
    # scores that fall with the brightness turn an AUROC of 1 into 0.
    targets = (np.arange(51) >= 25).astype(int)
    same = deploy.check_parity(brightness(), brightness(0.0005), greys, 0.5, targets)
    assert (same["auroc"], same["auroc_change"], same["passed"]) == (1.0, 0.0, True)
    plain = brightness()
    noisy = dataclasses.replace(
        plain,
        precision="int8",
        run=lambda x: plain.run(x) + np.float32(0.15) * (plain.run(x) < 0.5),
    )
    changed = deploy.check_parity(plain, noisy, greys, 0.5, targets)
    # Greys from 0.35 to 0.49 now lie in 0.50 to 0.64: 24 of 25 visible ones, of 0, 5 .. 120, that
    # is those from 90 on (7), outrank invisible ones.
    assert changed["max_difference"] == pytest.approx(0.15, abs=1e-6)
    assert changed["auroc"] < 0.998
    assert not changed["passed"]


def test_one_visible_frame_that_moves_does_not_fail_parity():
    # By hand: 40 visible frames below 160 invisible ones. 95 % of these score as much as the ninth
    # or more. A visible frame just above it loses 1 / 40 of the specificity, and 9 of 6,400 pairs.
    exact = np.linspace(0.1, 0.9, 200).astype(np.float32)
    targets = (np.arange(200) >= 40).astype(int)
    variants = brightness(), dataclasses.replace(brightness(), precision="int8")
    rows = {}
    for moved in (1, 2):
        scores = exact.copy()
        scores[40 - moved : 40] = exact[48] + 1e-4
        rows[moved] = deploy.compare_scores(variants, [exact, scores], 0.5, targets)[1]
    assert rows[1]["specificity_at_95_change"] == pytest.approx(-0.025)
    assert rows[1]["auroc_change"] == pytest.approx(-9 / 6400)
    assert rows[1]["passed"]
    assert rows[2]["specificity_at_95_change"] == pytest.approx(-0.05)
    assert not rows[2]["passed"]
