"""Intervals and tests: the fast cluster bootstrap against plain enumeration, and by hand."""

import math
import time
from itertools import product

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, roc_auc_score

import interval_coverage
from clipassistnet.evaluation import discrimination, plots
from clipassistnet.evaluation.intervals import (
    Evidence,
    corrected_resampled_ttest,
    t_difference,
    t_interval,
)
from clipassistnet.evaluation.resampling import bootstrap, paired_bootstrap
from interval_coverage import STATISTICS

FAST = [discrimination.auroc, discrimination.specificity_at_sensitivity]


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


def evidence(table: pd.DataFrame, by: str = "video") -> Evidence:
    return Evidence.of([table.groupby(by).size().to_numpy()])


@pytest.mark.parametrize("statistic", FAST)
@pytest.mark.parametrize("seed", range(4))
def test_interval_is_that_of_all_resamples(statistic, seed):
    # Of three videos there are 27 resamples; 20,000 drawn ones have their mean and deviation.
    table = study(3, 8, seed)
    found = bootstrap(table, statistic, resamples=20_000, seed=seed)
    estimate = statistic(table["target"], table["score"])
    values = np.tile(enumerated(table, statistic), 1000)
    expected = t_interval(estimate, values, evidence(table))
    assert found == pytest.approx(expected, abs=0.02)


def test_t_interval_by_hand():
    # Two videos of 30 and 10 frames are worth 1600 / 1000 = 1.6; one goes with the mean.
    weight = Evidence.of([np.array([30, 10])])
    assert weight == (2.0, 1.0)  # G / (G - 1); 0.6 degrees of freedom count as 1
    assert Evidence.of([np.full(4, 7), np.full(6, 3)]) == (10 / 8, pytest.approx(8))
    # Logits of -1 and 1 deviate by sqrt(2) around 0; t of 1 degree of freedom is 12.7062.
    values = 1 / (1 + np.exp([1.0, -1.0]))
    low, high = t_interval(0.5, values, weight)[1:3]
    assert math.log(high / (1 - high)) == pytest.approx(12.7062 * 2, rel=1e-4)
    assert low == pytest.approx(1 - high)
    # On plain numbers: 3 give or take t(9) * sqrt(10/9) * 1.
    plain = t_interval(3, np.array([2.0, 3.0, 4.0]), Evidence(10 / 9, 9), link="identity")
    assert plain[:3] == pytest.approx((3, 3 - 2.26216 * 1.05409, 3 + 2.26216 * 1.05409), rel=1e-5)
    logs = t_interval(1, np.exp([-1.0, 0, 1]), Evidence(1, 9), link="log")
    assert logs[1:3] == pytest.approx((math.exp(-2.26216), math.exp(2.26216)), rel=1e-5)


def test_a_rate_that_is_zero_in_some_resamples_has_a_sane_interval():
    values = np.array([0.0, 5.0, 10.0] * 100)
    low, high = t_interval(6.0, values, Evidence(1.2, 5), link="log")[1:3]
    assert low == 0
    assert 10 < high < 30  # on the logarithms of 0.001, 5 and 10 it would end beyond 10,000


def test_one_or_two_videos_support_no_interval():
    table = study(3, 8, 0)
    two = table[table["video"] != "v002"]
    assert np.isfinite(bootstrap(table, FAST[0], resamples=50).low)
    assert np.isnan(bootstrap(two, FAST[0], resamples=50)[1:3]).all()
    other = two.assign(score=two["score"] ** 2)
    assert np.isnan(paired_bootstrap(two, other, FAST[0], resamples=50).p)


def test_an_interval_holds_its_estimate_and_keeps_its_bounds():
    weight = Evidence(1.2, 5)
    low, high = t_interval(1.0, np.array([1.0, 0.9, 1.0]), weight)[1:3]
    assert 0 < low < 0.9
    assert high == 1
    # Six clusters without a miss: 0.5407 ** 6 = 0.025.
    assert t_interval(1.0, np.ones(9), weight) == (1, pytest.approx(0.5407, abs=1e-4), 1, 0)
    assert t_interval(0.0, np.zeros(9), weight) == (0, 0, pytest.approx(0.4593, abs=1e-4), 0)
    assert np.isnan(t_interval(0.7, np.full(9, 0.7), weight)[1:3]).all()
    assert np.isnan(t_interval(0.0, np.zeros(9), weight, link="identity")[1:3]).all()
    wide = t_difference(0.9, np.array([0.5, 1.0]), weight)
    assert wide.high == 1
    assert wide.p > 0.05


def test_p_is_the_level_at_which_the_interval_touches_zero():
    # t = 2.26216 with 9 degrees of freedom is the 5 % level.
    values = np.array([-1.0, 0, 1]) / 10 + 0.226216
    found = t_difference(0.226216, values, Evidence(1, 9))
    assert found.low == pytest.approx(0, abs=1e-6)
    assert found.p == pytest.approx(0.5)  # no less than 2 / (3 + 1)
    many = t_difference(0.226216, np.tile(values, 10**5), Evidence(1.5, 9))
    assert many.p == pytest.approx(0.05, abs=1e-5)


@settings(max_examples=20)
@given(st.integers(2, 9), st.integers(0, 10_000), st.sampled_from(FAST))
def test_fast_and_plain_give_the_same_interval(videos, seed, statistic):
    table = study(videos, 10, seed)
    plain = bootstrap(table, lambda y, s: statistic(y, s), resamples=60, seed=seed)
    found = bootstrap(table, statistic, resamples=60, seed=seed)
    assert tuple(found) == pytest.approx(tuple(plain), nan_ok=True)


def test_fast_and_plain_agree_where_videos_have_one_class():
    table = study(3, 6, 0)  # drawn three times, v001 or v002 has no AUROC: 2 of 27 resamples
    table.loc[table["video"] == "v001", "target"] = 1
    table.loc[table["video"] == "v002", "target"] = 0
    for statistic in FAST:
        intervals = []
        for function in (statistic, lambda y, s, f=statistic: f(y, s)):
            intervals.append(bootstrap(table, function, resamples=300, seed=2))
        assert intervals[0] == pytest.approx(intervals[1])
        assert intervals[0].left_out == pytest.approx(2 / 27, abs=0.02)


def test_any_statistic_of_scikit_learn_can_be_given():
    table = study(3, 8, 1).assign(score=lambda t: 1 / (1 + np.exp(-t["score"])))
    values = enumerated(table, brier_score_loss)
    found = bootstrap(table, brier_score_loss, resamples=1000)
    assert found.estimate == pytest.approx(brier_score_loss(table["target"], table["score"]))
    expected = t_interval(found.estimate, np.tile(values, 1000), evidence(table))
    assert found == pytest.approx(expected, abs=0.02)


def test_a_median_over_videos_can_be_given():
    videos = pd.DataFrame({"video": list("abc"), "specificity": [0.2, 0.5, 0.9]})
    found = bootstrap(videos, np.median, columns=["specificity"], resamples=500)
    assert found.estimate == 0.5
    assert 0 < found.low < 0.2 < 0.9 < found.high < 1  # three videos say little


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
    found = bootstrap(table, discrimination.auroc, by="patient", resamples=20_000)
    values = np.tile(enumerated(table, roc_auc_score, by="patient"), 1000)
    expected = t_interval(found.estimate, values, evidence(table, "patient"))
    assert found == pytest.approx(expected, abs=0.02)


def test_within_folds_videos_stay_in_their_fold():
    table = study(4, 8, 6)
    table["fold"] = table["video"].map({"v000": 0, "v001": 0, "v002": 1, "v003": 1})
    parts = [enumerated(part, roc_auc_score) for _, part in table.groupby("fold")]
    values = [np.mean(pair) for pair in product(*parts)]  # 16 equally likely pairs
    means = [roc_auc_score(part["target"], part["score"]) for _, part in table.groupby("fold")]
    found = bootstrap(table, discrimination.auroc, within="fold", resamples=20_000)
    assert found.estimate == pytest.approx(np.mean(means))
    sizes = [part.groupby("video").size().to_numpy() for _, part in table.groupby("fold")]
    expected = t_interval(found.estimate, np.tile(values, 1000), Evidence.of(sizes))
    assert found == pytest.approx(expected, abs=0.02)
    table.loc[0, "fold"] = 1
    with pytest.raises(ValueError, match="video v000: in more than one fold"):
        bootstrap(table, discrimination.auroc, within="fold")


def test_one_video_supports_no_interval():
    found = bootstrap(study(1, 10, 7), discrimination.auroc, resamples=50)
    assert np.isfinite(found.estimate)
    assert np.isnan([found.low, found.high]).all()


def test_one_sentence_says_how_much_intervals_leave_out(capsys):
    table = pd.DataFrame({"low": [0.5, 0.4, np.nan], "left_out": [0.0, 0.035, 1.0]})
    plots.show(table)
    shown = capsys.readouterr().out
    assert "left_out" not in shown
    assert shown.endswith("its figure is undefined: 3.5% of them at most.\n")
    plots.show(table.assign(left_out=[0.0, 0.0, np.nan]))
    assert "undefined" not in capsys.readouterr().out


def test_tables_without_what_is_needed_are_refused():
    table = study(3, 5, 8)
    with pytest.raises(ValueError, match=r"missing columns \['patient'\]"):
        bootstrap(table, discrimination.auroc, by="patient")
    with pytest.raises(ValueError, match="missing values"):
        bootstrap(table.assign(score=np.nan), discrimination.auroc)
    with pytest.raises(ValueError, match="table of 0 rows"):
        bootstrap(table.iloc[:0], discrimination.auroc)


@pytest.mark.parametrize("statistic", FAST)
def test_paired_interval_is_that_of_all_resamples(statistic):
    a = study(3, 8, 9)
    b = a.assign(score=a["score"] + np.random.default_rng(0).normal(size=len(a)))
    pairs = zip(enumerated(a, statistic), enumerated(b, statistic), strict=True)
    values = [x - y for x, y in pairs]
    shuffled = b.sample(frac=1, random_state=1)  # rows are matched by video and frame
    found = paired_bootstrap(a, shuffled, statistic, resamples=20_000)
    whole = [statistic(t["target"], t["score"]) for t in (a, b)]
    expected = t_difference(whole[0] - whole[1], np.tile(values, 1000), evidence(a))
    assert found == pytest.approx(expected, abs=0.02)


def test_equal_scores_do_not_differ():
    table = study(8, 8, 10)
    assert paired_bootstrap(table, table, discrimination.auroc) == (0, 0, 0, 1, 0)


def test_p_where_every_resample_is_on_one_side():
    table = study(8, 8, 11)
    right, wrong = table.assign(score=table["target"]), table.assign(score=-table["target"])
    assert paired_bootstrap(right, wrong, discrimination.auroc, resamples=999) == (
        1,
        1,
        1,
        2 / 1000,
        0,
    )


def test_a_ratio_is_resampled_by_its_sums():
    table = study(7, 12, 14).assign(found=lambda t: t["target"] * (t["score"] > 0))
    options = {"columns": ("found", "target"), "resamples": 300}
    fast = bootstrap(table, discrimination.ratio, **options)
    assert fast == pytest.approx(
        bootstrap(table, lambda a, b: discrimination.ratio(a, b), **options)
    )
    assert (
        fast.estimate == discrimination.rates(table["target"], table["score"], 1e-9)["sensitivity"]
    )


def test_intervals_hold_the_truth_as_often_as_they_say():
    # 120 SIMULATED studies of 10 videos. Binomial(120, 0.95) is 107 or less one time in 100.
    known = interval_coverage.truth(draws=2)
    table = interval_coverage.coverage(10, 120, known, resamples=200).set_index("statistic")
    assert (table["coverage"] >= 107 / 120).all()
    assert table.loc["auroc", "width"] < 0.35  # not by being useless


def test_pairing_removes_what_both_share():
    # Videos differ a lot, B is A with some noise: their own intervals overlap, the paired is clear.
    a = study(30, 40, 12)
    b = a.assign(score=a["score"] + np.random.default_rng(1).normal(0, 2, len(a)))
    alone, other = bootstrap(a, discrimination.auroc), bootstrap(b, discrimination.auroc)
    paired = paired_bootstrap(a, b, discrimination.auroc)
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
        values.append(paired_bootstrap(*noisy, discrimination.auroc, resamples=199).p)
    # Binomial(100, 0.05) is 13 or more one time in 700.
    assert 1 <= np.sum(np.array(values) < 0.05) <= 12


def test_only_the_same_frames_can_be_paired():
    table = study(4, 6, 13)
    with pytest.raises(ValueError, match="differ in video"):
        paired_bootstrap(table, table.iloc[1:], discrimination.auroc)
    with pytest.raises(ValueError, match="differ in frame"):
        paired_bootstrap(table, table.assign(frame=table["frame"] + 1), discrimination.auroc)
    with pytest.raises(ValueError, match="differ in target"):
        paired_bootstrap(table, table.assign(target=1 - table["target"]), discrimination.auroc)
    twice = pd.concat([table, table])
    with pytest.raises(ValueError, match="the same video and frame twice"):
        paired_bootstrap(twice, twice, discrimination.auroc)


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


def test_the_simulation_of_coverage_is_a_command(tmp_path, monkeypatch):
    monkeypatch.setattr(interval_coverage, "VIDEOS", (6,))
    monkeypatch.setattr(interval_coverage, "truth", lambda: dict.fromkeys(STATISTICS, 0.5))
    interval_coverage.main(["--studies", "2", "--out", str(tmp_path)])
    table = pd.read_csv(tmp_path / "coverage.csv")
    assert table["statistic"].tolist() == [*STATISTICS]
    assert set(table["studies"]) == {2}
