"""Training a linear head on stored features: seconds, with any of the losses."""

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn import functional as F

from clipassistnet import model
from clipassistnet.model import losses
from clipassistnet.training.batches import Frames
from clipassistnet.training.feature_store import FeatureStore
from clipassistnet.training.settings import Settings

# Of the squared weights of the head, on the scale of a mean loss; from strong to weak.
PENALTIES = tuple(np.logspace(1, -4, 16).tolist())


def begin(settings: Settings, cache: Frames) -> model.FrameClassifier:
    """The classifier of these settings on frozen features, its head not trained yet.

    Raises ModelError as `model.build_on_features`.
    """
    torch.manual_seed(settings.seed)
    classifier = model.build_on_features(
        settings.backbone,
        settings.image_size,
        list(settings.feature_blocks),
        settings.feature_grid,
        predicts=model.CLIP_APPLIER_PRESENT if settings.loss == "presence" else model.TIP_INVISIBLE,
    )
    classifier.spec["cropped"] = getattr(cache, "cropped_from", 0)
    classifier.spec["crop_margin"] = getattr(cache, "margin", 1.0)
    return classifier.eval()


def fit(
    settings: Settings,
    classifier: model.FrameClassifier,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    stores: Sequence[FeatureStore],
    transition: np.ndarray | None,
    path: Path,
) -> pd.DataFrame:
    """Train the head with each penalty and save the classifier of the best validation AUROC.

    Each of the stores has the training frames; the first has those of validation too.
    Returns a row a penalty: penalty, train_loss, validation_loss (unweighted), validation_auroc,
    seconds. Of equal AUROCs the stronger penalty counts.
    """
    network = classifier.network
    features = _standardise(network, np.concatenate([store.get(train) for store in stores]))
    held_out = (torch.from_numpy(stores[0].get(validation)) - network.mean) * network.scale
    loss = losses.build(settings.loss, train, transition)
    targets = _repeated(train.get("teacher_score", train["target"].astype(int)), len(stores))
    videos = _repeated(losses.video_index(train["video"]), len(stores))
    wanted = torch.tensor(validation["target"].to_numpy())
    rows: list[dict[str, float]] = []
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    for number, penalty in enumerate(PENALTIES):
        start = time.perf_counter()
        value = _minimise(network.head, features, lambda z: loss(z, targets, videos), penalty)
        with torch.no_grad():
            logits = network.head(held_out)
        row = {
            "epoch": number,
            "penalty": penalty,
            "train_loss": value,
            "validation_loss": float(F.cross_entropy(logits, wanted)),
            "validation_auroc": roc_auc_score(wanted, logits.softmax(dim=1)[:, 1]),
            "seconds": time.perf_counter() - start,
        }
        if all(row["validation_auroc"] > past["validation_auroc"] for past in rows):
            model.save(classifier, path, **row)
        rows.append(row)
    return pd.DataFrame(rows)


def fit_on_all(
    settings: Settings,
    classifier: model.FrameClassifier,
    train: pd.DataFrame,
    stores: Sequence[FeatureStore],
    penalty: float,
) -> None:
    """Train the head in place with a penalty that was chosen before, on every frame there is.

    No frame is left to validate it: what it can do was measured on networks of fewer patients.
    """
    network = classifier.network
    features = _standardise(network, np.concatenate([store.get(train) for store in stores]))
    loss = losses.build(settings.loss, train)
    targets = _repeated(train["target"].astype(int), len(stores))
    videos = _repeated(losses.video_index(train["video"]), len(stores))
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    _minimise(network.head, features, lambda z: loss(z, targets, videos), penalty)


def _standardise(network, seen: np.ndarray) -> Tensor:
    """The features as the head takes them; their mean and scale go into the network."""
    flat = torch.from_numpy(seen)
    network.mean.copy_(flat.mean(dim=0))
    network.scale.copy_(1 / flat.std(dim=0).clamp_min(1e-6))
    return (flat - network.mean) * network.scale


def _repeated(column: pd.Series, times: int) -> Tensor:
    return torch.tensor(column.to_numpy()).repeat(times)


def _minimise(head: torch.nn.Linear, features: Tensor, loss, penalty: float) -> float:
    """Minimise the loss plus the penalty in place, from where the head is; the loss alone."""
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=100, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        value = loss(head(features)) + penalty * head.weight.square().sum() / 2
        value.backward()
        return value

    optimizer.step(objective)
    with torch.no_grad():
        return float(loss(head(features)))
