"""Linear probes on frozen ImageNet features, judged on patients that the probe never saw."""

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from clipassistnet import model
from clipassistnet.evaluation.discrimination import auroc
from clipassistnet.transforms import preprocess
from realism import BACKBONE, SIZE

A_PATIENT = 12  # frames of a simulated patient to learn from; more neighbours add little


def features(pictures: np.ndarray) -> np.ndarray:
    """Pooled features (N, F) of the frozen ImageNet network of pictures (N, S, S, 3) uint8 RGB."""
    classifier = model.build(BACKBONE, "imagenet").eval()
    network, found = classifier.network, []
    for start in range(0, len(pictures), 64):
        batch = pictures[start : start + 64]
        images = preprocess(batch, SIZE, classifier.spec["mean"], classifier.spec["std"])
        with torch.inference_mode():
            pooled = network.forward_head(network.forward_features(images), pre_logits=True)
        found.append(pooled.numpy())
    return np.concatenate(found)


def probe() -> Pipeline:
    """The classifier: a strongly regularised logistic regression."""
    regression = LogisticRegression(C=1e-3, class_weight="balanced", max_iter=500)
    return make_pipeline(StandardScaler(), regression)


def held_out(
    inputs: np.ndarray, target: np.ndarray, patients: np.ndarray, folds: int = 5
) -> tuple[float, np.ndarray]:
    """AUROC and scores (N,) of all frames, each by a probe that never saw the frame's patient."""
    scores = np.empty(len(target))
    splits = StratifiedGroupKFold(folds, shuffle=True, random_state=0)
    for train, test in splits.split(inputs, target, patients):
        fitted = probe().fit(inputs[train], target[train])
        scores[test] = fitted.decision_function(inputs[test])
    return auroc(target, scores), scores


def thinned(patients: np.ndarray, most: int, seed: int = 0) -> np.ndarray:
    """Indices of at most `most` frames a patient, drawn at random, in order."""
    rng = np.random.default_rng(seed)
    chosen = [
        rng.permutation(np.flatnonzero(patients == patient))[:most]
        for patient in np.unique(patients)
    ]
    return np.sort(np.concatenate(chosen))
