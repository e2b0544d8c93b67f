"""How often the 95 % intervals hold the true value, with few and with many videos: a simulation.

Videos differ in length (as in the paper, standard deviation 0.93 of the mean), in the share of
invisible frames, in the level of their scores and in how well the scores separate the classes. All
frames of one video share these. The true value is the statistic over very many videos. SIMULATED.

    python tools/interval_coverage.py [--studies 1000] [--out figures/statistics]
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from clipassistnet import files
from clipassistnet.evaluation.discrimination import auroc, ratio, specificity_at_sensitivity
from clipassistnet.evaluation.intervals import Difference, Interval
from clipassistnet.evaluation.resampling import bootstrap, paired_bootstrap

VIDEOS = 6, 10, 30, 300
FRAMES = 40  # of a video, on average: more of them change little, because they are alike
THRESHOLD = 0.0  # of the sensitivity


def draw(videos: int, rng: np.random.Generator) -> pd.DataFrame:
    """One study: video, frame, target, score, other (the scores of a slightly worse network)."""
    spread = np.log(1 + 0.93**2)
    length = np.exp(rng.normal(np.log(FRAMES) - spread / 2, np.sqrt(spread), videos))
    length = np.maximum(4, length.round()).astype(int)
    video = np.repeat(np.arange(videos), length)
    frame = np.arange(len(video)) - np.repeat(np.cumsum(length) - length, length)
    target = rng.random(len(video)) < rng.beta(3, 2, videos)[video]
    level, signal = rng.normal(0, 0.7, videos)[video], rng.normal(2, 0.6, videos)[video]
    score = level + signal * target - 1 + rng.normal(size=len(video))
    worse = rng.normal(0, 0.4, videos)[video] + rng.normal(0, 0.5, len(video))
    columns = {"video": video, "frame": frame, "target": target.astype(int), "score": score}
    return pd.DataFrame(columns).assign(other=score + worse, found=target & (score >= THRESHOLD))


def _of_other(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(score=table["other"])


def _difference(table: pd.DataFrame, **options: int) -> Difference:
    return paired_bootstrap(table, _of_other(table), auroc, **options)


def _sensitivity(table: pd.DataFrame, **options: int) -> Interval:
    return bootstrap(table, ratio, columns=("found", "target"), **options)


# Name: the statistic's value of a table, and its interval.
STATISTICS: dict[str, tuple[Callable[..., float], Callable[..., Interval | Difference]]] = {
    "auroc": (lambda t: auroc(t["target"], t["score"]), lambda t, **o: bootstrap(t, auroc, **o)),
    "specificity_at_95": (
        lambda t: specificity_at_sensitivity(t["target"], t["score"]),
        lambda t, **o: bootstrap(t, specificity_at_sensitivity, **o),
    ),
    "sensitivity at a threshold": (lambda t: ratio(t["found"], t["target"]), _sensitivity),
    "difference of two AUROCs": (
        lambda t: auroc(t["target"], t["score"]) - auroc(t["target"], t["other"]),
        _difference,
    ),
}


def truth(draws: int = 10) -> dict[str, float]:
    """Each statistic over 20,000 videos, as the mean of these draws."""
    rng = np.random.default_rng(1)
    tables = (draw(20_000, rng) for _ in range(draws))
    values = [{name: value(t) for name, (value, _) in STATISTICS.items()} for t in tables]
    return pd.DataFrame(values).mean().to_dict()


def coverage(
    videos: int, studies: int, known: dict[str, float], *, resamples: int = 400, seed: int = 0
) -> pd.DataFrame:
    """One row per statistic: videos, statistic, studies, coverage, se, width (mean), bias."""
    children = np.random.SeedSequence([seed, videos]).spawn(studies)
    rows = []
    for child in tqdm(children, f"{videos} videos", mininterval=5):
        table = draw(videos, np.random.default_rng(child))
        for name, (_, interval) in STATISTICS.items():
            estimate, low, high, *_ = interval(table, resamples=resamples)
            held = low <= known[name] <= high
            bias = estimate - known[name]
            rows.append({"statistic": name, "coverage": held, "width": high - low, "bias": bias})
    groups = pd.DataFrame(rows).groupby("statistic", sort=False)
    means = groups.mean().reset_index()
    means.insert(0, "videos", videos)
    means.insert(2, "studies", studies)
    error = np.sqrt(means["coverage"] * (1 - means["coverage"]) / studies)
    means.insert(4, "se", error)
    return means


def main(arguments: list[str] | None = None) -> None:
    """Write coverage.csv: how often a nominal 95 % interval holds the true value (SIMULATED)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--studies", type=int, default=1000, help="simulated studies; a fifth of it for 300 videos"
    )
    parser.add_argument("--out", type=Path, default=Path("figures/statistics"), help="folder")
    given = parser.parse_args(arguments)
    known = truth()
    counts = {videos: given.studies // (5 if videos > 100 else 1) for videos in VIDEOS}
    table = pd.concat([coverage(videos, count, known) for videos, count in counts.items()])
    given.out.mkdir(parents=True, exist_ok=True)
    files.write(given.out / "coverage.csv", table.round(4).to_csv(index=False))
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main()
