"""Training a linear head on stored features: seconds, with any of the losses."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from torch import Tensor
from torch.nn import functional as F

from clipassistnet import model
from clipassistnet.model import losses
from clipassistnet.model.features import FeatureNetwork
from clipassistnet.training.batches import Frames
from clipassistnet.training.feature_store import FeatureStore
from clipassistnet.training.settings import Settings

# Of the squared weights of the head, on the scale of a mean loss; from strong to weak.
PENALTIES = tuple(np.logspace(2, -3, 11).tolist())
INNER_FOLDS = 5  # of training patients, to choose the penalty


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
    """Train the head with each penalty, and save it with that of the best inner AUROC.

    The inner AUROC is that of cross-validation over the training patients. So the validation frames
    choose nothing. Each of the stores has the training frames; the first has those of validation
    too; the last has the training frames as a judged frame is seen. Of equal AUROCs the stronger
    penalty counts.
    Returns a row a penalty: epoch (its number), penalty, inner_auroc, train_loss, validation_loss
    (unweighted), validation_auroc.
    """
    seen = [store.get(train) for store in stores]
    loss = losses.build(settings.loss, train, transition)
    labels, network = _labels(train), classifier.network
    inner = _inner_aurocs(network, train, seen, loss, labels)
    features = _standardise(network, np.concatenate(seen))
    held_out = (torch.from_numpy(stores[0].get(validation)) - network.mean) * network.scale
    targets = torch.tensor(validation["target"].to_numpy())
    rows: list[dict[str, float]] = []
    for number, (penalty, value) in enumerate(_path(network.head, features, loss, labels)):
        with torch.no_grad():
            logits = network.head(held_out)
        row = {
            "epoch": number,
            "penalty": penalty,
            "inner_auroc": inner[number],
            "train_loss": value,
            "validation_loss": float(F.cross_entropy(logits, targets)),
            "validation_auroc": roc_auc_score(targets, logits.softmax(dim=1)[:, 1]),
        }
        if all(row["inner_auroc"] > past["inner_auroc"] for past in rows):
            model.save(classifier, path, **row)
        rows.append(row)
    return pd.DataFrame(rows)


def _inner_aurocs(
    network: FeatureNetwork,
    train: pd.DataFrame,
    seen: Sequence[np.ndarray],
    loss: losses.Loss,
    labels: tuple[Tensor, Tensor],
) -> list[float]:
    """For each penalty the AUROC on training patients that the head has not seen, pooled."""
    patients = train["patient"] if train["patient"].nunique() > 1 else train["frame"]
    folds = GroupKFold(min(INNER_FOLDS, patients.nunique()))
    scores = np.zeros((len(PENALTIES), len(train)))
    for learnt, left in folds.split(train, groups=patients):
        features = _standardise(network, np.concatenate([each[learnt] for each in seen]))
        judged = (torch.from_numpy(seen[-1][left]) - network.mean) * network.scale
        path = _path(network.head, features, loss, tuple(each[learnt] for each in labels))
        for number, _ in enumerate(path):
            with torch.no_grad():
                scores[number, left] = network.head(judged).diff(dim=1)[:, 0]
    return [roc_auc_score(train["target"], score) for score in scores]


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
    torch.nn.init.zeros_(network.head.weight)
    torch.nn.init.zeros_(network.head.bias)
    _minimise(network.head, features, loss, _labels(train), penalty)


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


def _path(
    head: torch.nn.Linear, features: Tensor, loss: losses.Loss, labels: tuple[Tensor, Tensor]
) -> Iterator[tuple[float, float]]:
    """Train a head from zero with each penalty in turn; after each, the penalty and the loss."""
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    for penalty in PENALTIES:
        yield penalty, _minimise(head, features, loss, labels, penalty)


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
