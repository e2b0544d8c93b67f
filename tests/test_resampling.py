"""Intervals and tests: the fast cluster bootstrap against plain enumeration, and by hand."""

import time
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

from clipassistnet import metrics
from clipassistnet.metrics import bootstrap, corrected_resampled_ttest, paired_bootstrap

FAST = [metrics.auroc, metrics.specificity_at_sensitivity]


def study(videos: int, frames: int, seed: int, separation: float = 1.0) -> pd.DataFrame:
    """Videos of very different lengths, each with both classes, scores with ties."""
    rng = np.random.default_rng(seed)
    rows = []
    for video in range(videos):
        length = int(rng.integers(2, 2 * frames))
        target = np.r_[0, 1, rng.random(length - 2) < rng.uniform(0.2, 0.9)].astype(int)
        score = (separation * target + rng.normal(size=length) + rng.normal()).round(1)
        rows.append(
            pd.DataFrame({"video": f"v{video:03d}", "frame": range(length), "target": target})
        )
        rows[-1]["score"] = score
    return pd.concat(rows, ignore_index=True)


def enumerated(table: pd.DataFrame, statistic, by: str = "video") -> list[float]:
    """The statistic of every equally likely ordered resample, frames simply concatenated."""
    parts = [part for _, part in table.groupby(by)]
    resamples = (pd.concat(drawn) for drawn in product(parts, repeat=len(parts)))
    return [statistic(sample["target"], sample["score"]) for sample in resamples]


@pytest.mark.parametrize("statistic", FAST)
@pytest.mark.parametrize("seed", range(4))
def test_interval_is_that_of_all_resamples(statistic, seed):
    # Of three videos there are 27 resamples: an extreme one has 3.7 %, so the 95 % limits are it.
    table = study(3, 8, seed)
    values = enumerated(table, statistic)
    estimate, low, high = bootstrap(table, statistic, resamples=1000, seed=seed)
    assert estimate == pytest.approx(statistic(table["target"], table["score"]))
    assert (low, high) == pytest.approx((min(values), max(values)))


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(2, 9), st.integers(0, 10_000), st.sampled_from(FAST))
def test_fast_and_plain_give_the_same_interval(videos, seed, statistic):
    table = study(videos, 10, seed)
    plain = bootstrap(table, lambda y, s: statistic(y, s), resamples=60, seed=seed)
    assert bootstrap(table, statistic, resamples=60, seed=seed) == pytest.approx(plain)


def test_fast_and_plain_agree_where_videos_have_one_class():
    table = study(3, 6, 0)  # drawn three times, v001 alone has no AUROC: 1 of 27 resamples
    table.loc[table["video"] == "v001", "target"] = 1
    table.loc[table["video"] == "v002", "target"] = 0
    for statistic in FAST:
        intervals = []
        for function in (statistic, lambda y, s, f=statistic: f(y, s)):
            with pytest.warns(UserWarning, match=r"\d of 300 resamples left out"):
                intervals.append(bootstrap(table, function, resamples=300, seed=2))
        assert intervals[0] == pytest.approx(intervals[1])


def test_any_statistic_of_scikit_learn_can_be_given():
    table = study(3, 8, 1).assign(score=lambda t: 1 / (1 + np.exp(-t["score"])))
    values = enumerated(table, brier_score_loss)
    found = bootstrap(table, brier_score_loss, resamples=500)
    assert found.estimate == pytest.approx(brier_score_loss(table["target"], table["score"]))
    assert found[1:] == pytest.approx((min(values), max(values)))


def test_a_median_over_videos_can_be_given():
    videos = pd.DataFrame({"video": list("abc"), "specificity": [0.2, 0.5, 0.9]})
    found = bootstrap(videos, np.median, columns=["specificity"], resamples=500)
    assert found == (0.5, 0.2, 0.9)


def test_copies_of_frames_do_not_narrow_the_interval():
    # What a bootstrap of frames gets wrong: ten copies of each frame are no new evidence.
    table = study(12, 10, 3)
    copies = pd.concat([table.assign(frame=table["frame"] * 10 + i) for i in range(10)])
    for statistic in FAST:
        assert bootstrap(copies, statistic) == pytest.approx(bootstrap(table, statistic))


def test_the_seed_and_not_the_order_of_rows_decides():
    table = study(10, 10, 4)
    shuffled = table.sample(frac=1, random_state=0)
    for statistic in FAST:
        first = bootstrap(table, statistic, resamples=200, seed=5)
        assert bootstrap(shuffled, statistic, resamples=200, seed=5) == pytest.approx(first)
        assert bootstrap(table, statistic, resamples=200, seed=6)[1:] != first[1:]


def test_patients_are_resampled_whole():
    table = study(6, 8, 5)
    table["patient"] = table["video"].map(dict(zip(table["video"].unique(), "aabbcc", strict=True)))
    values = enumerated(table, roc_auc_score, by="patient")
    _, low, high = bootstrap(table, metrics.auroc, by="patient", resamples=1000)
    assert (low, high) == pytest.approx((min(values), max(values)))


def test_within_folds_videos_stay_in_their_fold():
    table = study(4, 8, 6)
    table["fold"] = table["video"].map({"v000": 0, "v001": 0, "v002": 1, "v003": 1})
    parts = [enumerated(part, roc_auc_score) for _, part in table.groupby("fold")]
    values = [np.mean(pair) for pair in product(*parts)]  # 16 equally likely pairs
    means = [roc_auc_score(part["target"], part["score"]) for _, part in table.groupby("fold")]
    estimate, low, high = bootstrap(table, metrics.auroc, within="fold", resamples=500)
    assert estimate == pytest.approx(np.mean(means))
    assert (low, high) == pytest.approx((min(values), max(values)))
    table.loc[0, "fold"] = 1
    with pytest.raises(ValueError, match="video v000: in more than one fold"):
        bootstrap(table, metrics.auroc, within="fold")


def test_one_video_supports_no_interval():
    with pytest.warns(UserWarning, match="no interval from a single video"):
        estimate, low, high = bootstrap(study(1, 10, 7), metrics.auroc, resamples=50)
    assert np.isfinite(estimate)
    assert np.isnan([low, high]).all()


def test_tables_without_what_is_needed_are_refused():
    table = study(3, 5, 8)
    with pytest.raises(ValueError, match=r"missing columns \['patient'\]"):
        bootstrap(table, metrics.auroc, by="patient")
    with pytest.raises(ValueError, match="missing values"):
        bootstrap(table.assign(score=np.nan), metrics.auroc)
    with pytest.raises(ValueError, match="table of 0 rows"):
        bootstrap(table.iloc[:0], metrics.auroc)


@pytest.mark.parametrize("statistic", FAST)
def test_paired_interval_is_that_of_all_resamples(statistic):
    a = study(3, 8, 9)
    b = a.assign(score=a["score"] + np.random.default_rng(0).normal(size=len(a)))
    pairs = zip(enumerated(a, statistic), enumerated(b, statistic), strict=True)
    values = [x - y for x, y in pairs]
    shuffled = b.sample(frac=1, random_state=1)  # rows are matched by video and frame
    difference, low, high, _ = paired_bootstrap(a, shuffled, statistic, resamples=1000)
    whole = [statistic(t["target"], t["score"]) for t in (a, b)]
    assert difference == pytest.approx(whole[0] - whole[1])
    assert (low, high) == pytest.approx((min(values), max(values)))


def test_equal_scores_do_not_differ():
    table = study(8, 8, 10)
    assert paired_bootstrap(table, table, metrics.auroc) == (0, 0, 0, 1)


def test_p_where_every_resample_is_on_one_side():
    table = study(8, 8, 11)
    right, wrong = table.assign(score=table["target"]), table.assign(score=-table["target"])
    assert paired_bootstrap(right, wrong, metrics.auroc, resamples=999) == (1, 1, 1, 2 / 1000)


def test_pairing_removes_what_both_share():
    # Videos differ a lot, B is A with some noise: their own intervals overlap, the paired is clear.
    a = study(30, 40, 12)
    b = a.assign(score=a["score"] + np.random.default_rng(1).normal(size=len(a)))
    alone, other = bootstrap(a, metrics.auroc), bootstrap(b, metrics.auroc)
    paired = paired_bootstrap(a, b, metrics.auroc)
    assert other.high > alone.low
    assert paired.low > 0
    assert paired.p < 0.05


def test_p_is_uniform_enough_under_the_null():
    # Both score alike but for independent noise: about 5 % of p-values lie under 5 %.
    values = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        base = study(20, 5, seed)
        noisy = [base.assign(score=base["score"] + rng.normal(size=len(base))) for _ in range(2)]
        values.append(paired_bootstrap(*noisy, metrics.auroc, resamples=199).p)
    # Binomial(100, 0.05) is 13 or more one time in 700.
    assert 1 <= np.sum(np.array(values) < 0.05) <= 12


def test_only_the_same_frames_can_be_paired():
    table = study(4, 6, 13)
    with pytest.raises(ValueError, match="differ in video"):
        paired_bootstrap(table, table.iloc[1:], metrics.auroc)
    with pytest.raises(ValueError, match="differ in frame"):
        paired_bootstrap(table, table.assign(frame=table["frame"] + 1), metrics.auroc)
    with pytest.raises(ValueError, match="differ in target"):
        paired_bootstrap(table, table.assign(target=1 - table["target"]), metrics.auroc)
    twice = pd.concat([table, table])
    with pytest.raises(ValueError, match="the same video and frame twice"):
        paired_bootstrap(twice, twice, metrics.auroc)


def test_corrected_t_test_by_hand():
    # Mean .2, variance .01: t = .2 / sqrt((1/3 + 20/80) * .01); p in closed form for 2 degrees.
    t, p = corrected_resampled_ttest([0.1, 0.2, 0.3], [80] * 3, [20] * 3)
    expected = 0.2 / np.sqrt((1 / 3 + 1 / 4) * 0.01)
    assert t == pytest.approx(expected)
    assert t == pytest.approx(2.618615, abs=1e-6)
    assert p == pytest.approx(1 - t / np.sqrt(2 + t**2))
    assert p == pytest.approx(0.120117, abs=1e-6)
    minus = corrected_resampled_ttest([-0.1, -0.2, -0.3], [80] * 3, [20] * 3)
    assert minus == pytest.approx((-t, p))


def test_corrected_t_test_takes_the_mean_ratio_and_extremes():
    mixed = corrected_resampled_ttest([0.1, 0.3], [80, 60], [20, 45])  # ratios 1/4 and 3/4
    assert mixed == pytest.approx(corrected_resampled_ttest([0.1, 0.3], [2, 2], [1, 1]))
    assert corrected_resampled_ttest([0, 0, 0], [4] * 3, [1] * 3) == (0, 1)
    assert corrected_resampled_ttest([0.5, 0.5], [4] * 2, [1] * 2) == (np.inf, 0)
    with pytest.raises(ValueError, match="2 or more folds"):
        corrected_resampled_ttest([0.1], [4], [1])
    with pytest.raises(ValueError, match="positive training and test size"):
        corrected_resampled_ttest([0.1, 0.2], [4, 0], [1, 1])


def test_a_paper_sized_study_takes_seconds():
    # 300 videos and 110,000 frames, 2,000 resamples: about a second on an idle core.
    rng = np.random.default_rng(0)
    target = (rng.random(110_000) < 0.64).astype(int)
    videos = np.char.add("v", rng.integers(0, 300, 110_000).astype(str))
    table = pd.DataFrame({"video": videos, "target": target})
    table["score"] = target + rng.normal(size=len(table))
    for statistic in FAST:
        start = time.perf_counter()
        bootstrap(table, statistic, resamples=2000)
        assert time.perf_counter() - start < 20
