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
from clipassistnet.model import features as on_features
from clipassistnet.model import losses
from clipassistnet.model.weights import ModelError
from clipassistnet.training.batches import Frames
from clipassistnet.training.feature_store import FeatureStore
from clipassistnet.training.settings import Settings

# Of the squared distance of the head's weights from where it starts, on the scale of a mean loss;
# from strong to weak. A head that starts from a trained one is drawn back to it: "L2-SP" of Li,
# Grandvalet and Davoine (ICML 2018).
PENALTIES = tuple(np.logspace(2, -2, 9).tolist())
# That of the head that is kept: the best, or next to it, on 192 simulated videos. A few patients
# cannot choose it: where each network chose its own, seven real ones gave 10 to 0.001.
PENALTY = 1.0
# What a trained head must have in common with the one that starts from it.
SHARED = ("predicts", "backbone", "image_size", "mean", "std", "cropped", "crop_margin")


def begin(settings: Settings, cache: Frames) -> model.FrameClassifier:
    """The classifier of these settings on frozen features, its head not trained yet.

    Raises ModelError as `model.build_on_features`, or where the head that it starts from reads
    other pictures or features.
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
    _start(settings, classifier)
    return classifier.eval()


def _start(settings: Settings, classifier: model.FrameClassifier) -> None:
    """Set the head to where it starts: zero, or the logits of the head `head_weights`."""
    head = classifier.network.head
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    if settings.head_weights == "none" or settings.loss == "presence":
        return  # no trained head answers whether a clip applier is there
    trained = model.load(settings.head_weights)
    for name in SHARED:
        if trained.spec.get(name) != classifier.spec[name]:
            raise ModelError(
                f"{settings.head_weights}: {name} {trained.spec.get(name)}, expected that of the "
                f"head which starts from it, {classifier.spec[name]}"
            )
    on_features.take_head(classifier.network, trained.network)


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
    network = classifier.network
    features = _standardise(network, np.concatenate([s.get(train) for s in stores]))
    start = network.head.weight.detach().clone()
    loss = losses.build(settings.loss, train, transition)
    held_out = (torch.from_numpy(stores[0].get(validation)) - network.mean) * network.scale
    targets = torch.tensor(validation["target"].to_numpy())
    labels, rows = _labels(train), []
    for number, penalty in enumerate(PENALTIES):
        value = _minimise(network.head, features, loss, labels, penalty, start)
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
    start = network.head.weight.detach().clone()
    loss = losses.build(settings.loss, train)
    _minimise(network.head, features, loss, _labels(train), PENALTY, start)


def _standardise(network, seen: np.ndarray) -> Tensor:
    """The features as the head takes them; their mean and scale go into the network."""
    flat = torch.from_numpy(seen)
    network.standardise(flat.mean(dim=0), 1 / flat.std(dim=0).clamp_min(1e-6))
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
    start: Tensor,
) -> float:
    """Minimise the loss plus the penalty in place, from where the head is; the loss alone.

    `start` (2, D): the weights that the penalty draws the head to.

    `features` may hold the frames of `labels` several times, one after the other.
    """
    times = len(features) // len(labels[0])
    targets, videos = (each.repeat(times) for each in labels)
    optimizer = torch.optim.LBFGS(
        head.parameters(), max_iter=100, tolerance_change=1e-7, line_search_fn="strong_wolfe"
    )

    def objective() -> Tensor:
        optimizer.zero_grad()
        moved = (head.weight - start).square().sum()
        value = loss(head(features), targets, videos) + penalty * moved / 2
        value.backward()
        return value

    optimizer.step(objective)
    with torch.no_grad():
        return float(loss(head(features), targets, videos))
