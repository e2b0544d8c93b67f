"""Three simulated annotators whose errors fall on ambiguous frames.

Every annotator deviates from the truth of frame i with probability min(0.5, s * r * a_i): a_i is
the frame's ambiguity and r the annotator's own rate. The scale s is solved for, so that the
expected share of triple-annotated frames without full agreement is the paper's 18 %. Which frames
are disputed is drawn by systematic sampling: the share is met by construction, to one frame, in a
data set of any size, while each frame keeps its own probability.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from scipy.optimize import brentq

ANNOTATORS = {"A": 1.0, "B": 0.8, "C": 1.2}  # name: own rate of errors
DISPUTED = 0.18  # share of triple-annotated frames without full agreement (the paper's)
_PATTERNS = np.array([*product((0, 1), repeat=3)])  # annotators that deviate: 000 to 111


def _deviation(ambiguity: np.ndarray, scale: float) -> np.ndarray:
    """Probability (frames, 3) that each annotator deviates."""
    return np.minimum(0.5, scale * ambiguity[:, None] * np.array([*ANNOTATORS.values()]))


def _pattern_probabilities(ambiguity: np.ndarray, scale: float) -> np.ndarray:
    """Probability (frames, 8) of each of _PATTERNS."""
    deviation = _deviation(ambiguity, scale)[:, None]
    return np.where(_PATTERNS[None], deviation, 1 - deviation).prod(-1)


def scale_of_errors(ambiguity: np.ndarray) -> float:
    """The scale s at which 18 % of frames of this ambiguity (n,) in (0, 1] are disputed."""

    def excess(scale: float) -> float:
        return _pattern_probabilities(ambiguity, scale)[:, 1:-1].sum(1).mean() - DISPUTED

    return float(brentq(excess, 0.0, 1 / ambiguity.min()))


def _systematic(chances: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a mask with the given chances (n,) whose count is their sum, to one."""
    order = rng.permutation(len(chances))
    edges = np.floor(np.cumsum(chances[order]) + rng.random())
    mask = np.empty(len(chances), bool)
    mask[order] = np.diff(edges, prepend=0.0) > 0
    return mask


def _deviations(ambiguity: np.ndarray, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Which annotators deviate, (frames, 3) bool, in triple-annotated frames."""
    chances = _pattern_probabilities(ambiguity, scale)
    disputed = _systematic(chances[:, 1:-1].sum(1), rng)
    is_dispute = ~np.isin(_PATTERNS.sum(1), (0, 3))
    chances = np.where(disputed[:, None] == is_dispute, chances, 0.0)
    cumulative = np.cumsum(chances, 1) / chances.sum(1, keepdims=True)
    pattern = (rng.random((len(chances), 1)) > cumulative).sum(1)
    return _PATTERNS[np.minimum(pattern, 7)].astype(bool)


def _rows(
    frames: pd.DataFrame, deviates: np.ndarray, annotator: str, rng: np.random.Generator
) -> pd.DataFrame:
    """One annotator's rows: label, cause and confidence (3 clear, 2 probable, 1 a toss-up)."""
    seen = (frames["label"] == "visible").to_numpy() ^ deviates
    absent = (frames["label"] == "absent").to_numpy()
    # An annotator who takes a visible tip for hidden blames what nearly hides it.
    blamed = np.where(deviates, frames["near_cause"], frames["cause"])
    doubt = frames["ambiguity"].to_numpy() + rng.normal(size=len(frames)) * 0.12
    return pd.DataFrame(
        {
            "video": frames["video"].to_numpy(),
            "frame": frames["frame"].to_numpy(),
            "annotator": annotator,
            "label": np.select([absent, seen], ["absent", "visible"], "invisible"),
            "cause": np.select([absent, seen], ["no_clipper", "none"], blamed),
            "confidence": np.select([absent, doubt > 0.75, doubt > 0.35], [3, 1, 2], 3),
        }
    )


def annotate(frames: pd.DataFrame, seed: np.random.SeedSequence) -> pd.DataFrame:
    """Labels by A, B and C of every test frame, and by one of them of every training video.

    Args:
        frames: one row a frame: video, split (train | test), frame, label, cause, near_cause
            (what nearly hides a visible tip) and ambiguity (0 to 1).
        seed: of the annotators' own randomness.

    Returns:
        The table of annotations.csv: video, frame, annotator, label, cause, confidence.
    """
    rng = np.random.default_rng(seed)
    clipper = (frames["label"] != "absent").to_numpy()
    test = (frames["split"] == "test").to_numpy()
    ambiguity = frames["ambiguity"].to_numpy()
    scale = scale_of_errors(ambiguity[test & clipper])
    deviates = np.zeros((len(frames), 3), bool)
    deviates[test & clipper] = _deviations(ambiguity[test & clipper], scale, rng)
    alone = ~test & clipper
    chances = _deviation(ambiguity[alone], scale)
    deviates[alone] = np.stack([_systematic(column, rng) for column in chances.T], 1)
    names = [*ANNOTATORS]
    training = frames.loc[~test, "video"].unique()
    who = {video: names[k % 3] for k, video in enumerate(rng.permutation(training))}
    tables = []
    for k, name in enumerate(names):
        mine = test | (frames["video"].map(who) == name).to_numpy()
        tables.append(_rows(frames[mine], deviates[mine, k], name, rng))
    return pd.concat(tables).sort_values(["video", "frame", "annotator"], ignore_index=True)
