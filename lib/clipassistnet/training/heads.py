"""Training a linear head on stored features: seconds, with any of the losses."""

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
PENALTIES = tuple(np.logspace(2, -2, 9).tolist())
# That of the head that is kept: the best, or next to it, on 192 simulated videos. A few patients
# cannot choose it: where each network chose its own, seven real ones gave 10 to 0.001.
PENALTY = 1.0


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
    head = classifier.network.head
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
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
    """Train the head with each penalty, and save it with `PENALTY`.

    The others show how much depends on it. Neither training nor validation frames choose anything.
    Each of the stores has the training frames; the first has those of validation too.
    Returns a row a penalty: epoch (its number), penalty, kept, train_loss, validation_loss
    (unweighted), validation_auroc.
    """
    features = _standardise(classifier.network, np.concatenate([s.get(train) for s in stores]))
    loss = losses.build(settings.loss, train, transition)
    network = classifier.network
    held_out = (torch.from_numpy(stores[0].get(validation)) - network.mean) * network.scale
    targets = torch.tensor(validation["target"].to_numpy())
    labels, rows = _labels(train), []
    for number, penalty in enumerate(PENALTIES):
        value = _minimise(network.head, features, loss, labels, penalty)
        with torch.no_grad():
            logits = network.head(held_out)
        row = {
            "epoch": number,
            "penalty": penalty,
            "kept": penalty == PENALTY,
            "train_loss": value,
            "validation_loss": float(F.cross_entropy(logits, targets)),
            "validation_auroc": roc_auc_score(targets, logits.softmax(dim=1)[:, 1]),
        }
        rows.append(row)
        if row["kept"]:
            model.save(classifier, path, **row)
    return pd.DataFrame(rows)


def fit_on_all(
    settings: Settings,
    classifier: model.FrameClassifier,
    train: pd.DataFrame,
    stores: Sequence[FeatureStore],
) -> None:
    """Train the head in place, on every frame there is.

    No frame is left to validate it: what it can do was measured on networks of fewer patients.
    """
    network = classifier.network
    features = _standardise(network, np.concatenate([store.get(train) for store in stores]))
    loss = losses.build(settings.loss, train)
    _minimise(network.head, features, loss, _labels(train), PENALTY)


def _standardise(network, seen: np.ndarray) -> Tensor:
    """The features as the head takes them; their mean and scale go into the network."""
    flat = torch.from_numpy(seen)
    network.mean.copy_(flat.mean(dim=0))
    network.scale.copy_(1 / flat.std(dim=0).clamp_min(1e-6))
    return (flat - network.mean) * network.scale


def _labels(train: pd.DataFrame) -> tuple[Tensor, Tensor]:
    """Targets, and numbers of the videos, of training frames."""
    targets = train.get("teacher_score", train["target"].astype(int))
    videos = losses.video_index(train["video"])
    return torch.tensor(targets.to_numpy()), torch.tensor(videos.to_numpy())


def _minimise(
    head: torch.nn.Linear,
    features: Tensor,
    loss: losses.Loss,
    labels: tuple[Tensor, Tensor],
    penalty: float,
) -> float:
    """Minimise the loss plus the penalty in place, from where the head is; the loss alone.

    `features` may hold the frames of `labels` several times, one after the other.
    """
    times = len(features) // len(labels[0])
    targets, videos = (each.repeat(times) for each in labels)
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=100, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        value = loss(head(features), targets, videos) + penalty * head.weight.square().sum() / 2
        value.backward()
        return value

    optimizer.step(objective)
    with torch.no_grad():
        return float(loss(head(features), targets, videos))
