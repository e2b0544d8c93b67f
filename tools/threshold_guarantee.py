"""For which scorer a guaranteed threshold holds: the whole pipeline, simulated.

Each simulated study draws videos and trains one linear classifier for each fold, on the other
folds. The member that did not train on a video scores it. `conformal` sets a threshold for an
expected miss of alpha, and the miss is measured on new videos. The members overfit the videos they
train on, and out-of-fold scores come from single members: the theorem does not cover this
dependence. SIMULATED: it shows which schemes can be trusted, not how large a real miss is.

    python tools/threshold_guarantee.py [--studies 1000] [--out figures/statistics]
"""

import argparse
from operator import itemgetter
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.evaluation.conformal import missed, threshold_with_guarantee
from clipassistnet.evaluation.discrimination import auroc

FOLDS, FEATURES, CHECKPOINTS = 5, 100, 20
NEW = 40  # videos of each study on which the miss is measured
STUDIES = ((50, 0.1), (100, 0.1), (100, 0.05))  # training videos and alpha


class Videos:
    """Frames of simulated videos: features x (N, FEATURES), target (N,), video (N,)."""

    def __init__(self, count: int, rng: np.random.Generator):
        frames = rng.integers(8, 40, count)
        self.video = np.repeat(np.arange(count), frames)
        self.target = rng.random(len(self.video)) < rng.beta(3, 2, count)[self.video]
        # A video's look (light, tissue, clipper) shifts all its frames; its signal varies, too.
        look = rng.normal(0, 0.7, (count, FEATURES))
        signal = rng.normal(1, 0.5, count)[self.video] * (self.target - 0.5)
        self.x = rng.normal(size=(len(self.video), FEATURES)) + look[self.video]
        self.x[:, :4] += signal[:, None]

    def table(self, score: np.ndarray, rows: np.ndarray | slice = slice(None)) -> pd.DataFrame:
        """Predictions of these frames; the scores are those of the rows."""
        target = self.target[rows].astype(int)
        return pd.DataFrame({"video": self.video[rows], "target": target, "score": score})


def train(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Ridge regression on targets of -1 and 1: weights (FEATURES + 1,), the last the intercept."""
    x = np.column_stack([x, np.ones(len(x))])
    return np.linalg.solve(x.T @ x + np.eye(x.shape[1]), x.T @ (2.0 * target - 1))


def score(weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """p(invisible) of frames x (N, FEATURES)."""
    return 1 / (1 + np.exp(-2 * (x @ weights[:-1] + weights[-1])))


def study(videos: int, alpha: float, rng: np.random.Generator) -> dict[str, float]:
    """One study: {scheme: mean share of invisible frames missed in new videos}."""
    old, new, apart = (Videos(count, rng) for count in (videos, NEW, videos // FOLDS))
    fold = old.video % FOLDS
    members = [train(old.x[fold != k], old.target[fold != k]) for k in range(FOLDS)]
    out_of_fold = np.empty(len(fold))
    for k, member in enumerate(members):
        out_of_fold[fold == k] = score(member, old.x[fold == k])
    own = old.table(out_of_fold[fold == 0], fold == 0)
    stopped = _stopped(old, fold == 0, rng)
    together = {
        part: np.mean([score(member, part.x) for member in members], axis=0)
        for part in (old, new, apart)
    }
    each = [score(member, new.x) for member in members]
    pooled = old.table(out_of_fold)
    schemes = {  # calibration scores, and what the threshold is then used for
        "one member, its own fold, stopped elsewhere": (own, [each[0]]),
        "one member, its own fold, stopped on it": (
            old.table(score(stopped, old.x[fold == 0]), fold == 0),
            [score(stopped, new.x)],
        ),
        "any one member, out-of-fold scores pooled": (pooled, each),
        "the ensemble, out-of-fold scores pooled": (pooled, [together[new]]),
        "the ensemble, videos of its own": (apart.table(together[apart]), [together[new]]),
        "the ensemble, the videos it trained on": (old.table(together[old]), [together[new]]),
    }
    return {
        name: np.mean([_missed(calibration, alpha, new, scores) for scores in used])
        for name, (calibration, used) in schemes.items()
    }


def simulate(videos: int, alpha: float, studies: int, seed: int = 0) -> pd.DataFrame:
    """One row per scheme: videos, alpha, scheme, missed (mean over studies), se, kept.

    `kept`: the miss is at most alpha plus two standard errors.
    """
    children = np.random.SeedSequence(seed).spawn(studies)
    results = pd.DataFrame(
        [study(videos, alpha, np.random.default_rng(child)) for child in children]
    )
    mean, error = results.mean(), results.std(ddof=1) / np.sqrt(studies)
    table = pd.DataFrame({"missed": mean, "se": error, "kept": mean <= alpha + 2 * error})
    table = table.rename_axis("scheme").reset_index()
    table.insert(0, "alpha", alpha)
    table.insert(0, "videos", videos)
    return table


def _stopped(videos: Videos, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of many checkpoints the one that is best on the videos that calibrate its threshold."""
    x, target, best = videos.x, videos.target, (-1.0, np.empty(0))
    for _ in range(CHECKPOINTS):  # like an epoch, each weighs the training videos differently
        seen = ~rows & rng.integers(0, 2, videos.video.max() + 1).astype(bool)[videos.video]
        weights = train(x[seen], target[seen])
        best = max(best, (auroc(target[rows], score(weights, x[rows])), weights), key=itemgetter(0))
    return best[1]


def _missed(calibration: pd.DataFrame, alpha: float, new: Videos, scores: np.ndarray) -> float:
    threshold = threshold_with_guarantee(calibration, alpha).threshold
    return float(missed(new.table(scores), threshold).mean())


def main(arguments: list[str] | None = None) -> None:
    """Write guarantee.csv: whether each scheme misses at most alpha in SIMULATED studies."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000, help="simulated studies")
    parser.add_argument("--out", type=Path, default=Path("figures/statistics"), help="folder")
    given = parser.parse_args(arguments)
    table = pd.concat([simulate(*setting, given.studies) for setting in STUDIES])
    given.out.mkdir(parents=True, exist_ok=True)
    rounded = table.assign(studies=given.studies).round(4)
    files.write(given.out / "guarantee.csv", rounded.to_csv(index=False))
    print(table.round(4).to_string(index=False))


if __name__ == "__main__":
    main()
