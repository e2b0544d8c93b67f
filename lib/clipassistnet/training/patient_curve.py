"""How much the number of training patients matters: heads on the frozen features of fewer of them.

Features are kept from the trainings, so a head takes a second. For networks that are trained end to
end each point would take a whole training, and there is no curve.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import RidgeCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from clipassistnet import model
from clipassistnet.data.frame_cache import FrameCache
from clipassistnet.model import crops
from clipassistnet.training.feature_store import FeatureStore

REPEATS = 5  # draws of patients for each number
ALPHAS = np.logspace(0, 6, 13)  # penalties of a ridge regression; leaving frames out chooses one


def curve(
    checkpoint: Path,
    frames: Sequence[pd.DataFrame],
    cache: FrameCache,
    folder: Path,
    seed: int,
) -> pd.DataFrame:
    """AUROC on the judged patients by the number of training patients.

    One row a draw: patients, draw, auroc; empty for a network without frozen features.

    Args:
        checkpoint: a network of the study, beside its boxes if it sees crops.
        frames: training, validation and judged frames of that network (`folds.split`, "all").
        cache: of the frames, from which crops are cut.
        folder: in which features are kept.
        seed: of the draws.
    """
    classifier = model.load(checkpoint)
    if "trunk_sha256" not in classifier.spec:
        return pd.DataFrame(columns=["patients", "draw", "auroc"])
    train, _, judged = frames
    train = train[train["training_label"] != "absent"]
    store = FeatureStore(folder, classifier, crops.as_judged(cache, classifier, checkpoint))
    with_applier = (judged["label"] != "absent").to_numpy()
    seen, held_out = store.get(train), store.get(judged)[with_applier]
    target = judged.loc[with_applier, "target"].to_numpy()
    rows = []
    for count, draw, chosen in _draws(train["patient"].unique(), seed):
        used = train["patient"].isin(chosen).to_numpy()
        wanted = 2.0 * train.loc[used, "target"].to_numpy() - 1
        if len(np.unique(wanted)) == 2:
            head = make_pipeline(StandardScaler(), RidgeCV(ALPHAS)).fit(seen[used], wanted)
            score = roc_auc_score(target, head.predict(held_out))
            rows.append({"patients": count, "draw": draw, "auroc": score})
    return pd.DataFrame(rows, columns=["patients", "draw", "auroc"])


def _draws(patients: np.ndarray, seed: int):
    """(number, draw, patients): 1, 2, 5, 10, 20, 50, ... of them, REPEATS times each, then all."""
    rng = np.random.default_rng(seed)
    steps = [m * 10**e for e in range(6) for m in (1, 2, 5)]
    for count in [step for step in steps if step < len(patients)]:
        for draw in range(REPEATS):
            yield count, draw, rng.choice(patients, count, replace=False)
    yield len(patients), 0, patients
