"""Scores of trained classifiers on tables of frames."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from clipassistnet import transforms
from clipassistnet.model import FrameClassifier
from clipassistnet.training.batches import Frames
from clipassistnet.training.feature_store import FeatureStore


def predict(
    classifier: FrameClassifier,
    table: pd.DataFrame,
    cache: Frames,
    batch_size: int = 64,
    features: str | Path | None = None,
) -> np.ndarray:
    """p(class 1) of each frame of a table (video, frame), float32 (N,), in its order.

    Features of a classifier on features are taken from the folder `features`, where one is given,
    and kept there.
    """
    if features is not None and "trunk_sha256" in classifier.spec:
        return _by_stored_features(classifier, table, FeatureStore(features, classifier, cache))
    spec, training = classifier.spec, classifier.training
    device = next(classifier.parameters()).device
    classifier.to(memory_format=torch.channels_last).eval()  # a CPU convolves faster so
    scores = []
    for start in range(0, len(table), batch_size):
        rows = table.iloc[start : start + batch_size]
        frames = [cache.get(v, int(f)) for v, f in zip(rows["video"], rows["frame"], strict=True)]
        images = transforms.preprocess(
            np.stack(frames), spec["image_size"], spec["mean"], spec["std"]
        )
        with torch.inference_mode():
            scores.append(classifier(images.to(device)).softmax(dim=1)[:, 1].cpu().numpy())
    classifier.train(training)
    return np.concatenate(scores) if scores else np.empty(0, np.float32)


def _by_stored_features(
    classifier: FrameClassifier, table: pd.DataFrame, store: FeatureStore
) -> np.ndarray:
    if table.empty:
        return np.empty(0, np.float32)
    stored = torch.from_numpy(store.get(table))
    with torch.inference_mode():
        return classifier.network.logits(stored).softmax(dim=1)[:, 1].numpy()


def with_teacher_scores(
    train: pd.DataFrame,
    teachers: Sequence[FrameClassifier],
    cache: Frames,
    batch_size: int = 64,
    features: str | Path | None = None,
) -> pd.DataFrame:
    """The table with a column teacher_score: the mean score p(invisible) of these networks."""
    scores = [predict(teacher, train, cache, batch_size, features) for teacher in teachers]
    return train.assign(teacher_score=np.mean(scores, axis=0))
