"""Training one classifier, and finding its learning rate.

PyTorch Lightning costs seconds to import: it is imported only when something is trained.
"""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Sampler

from clipassistnet import files, model
from clipassistnet.identity import source_code
from clipassistnet.model import losses, weights
from clipassistnet.training import feature_store, precision
from clipassistnet.training.batches import EpochOrder, Frames, FrameTable
from clipassistnet.training.prediction import predict
from clipassistnet.training.settings import Settings


class Fit(NamedTuple):
    """A finished training: the best model (as saved), a row an epoch, the best epoch from 0."""

    model: model.FrameClassifier
    history: pd.DataFrame
    best_epoch: int


def fit(
    settings: Settings,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    cache: Frames,
    transition: np.ndarray | None,
    folder: str | Path,
    features: str | Path | None = None,
) -> Fit:
    """Train one classifier as the paper does and keep its epoch of the best validation AUROC.

    With settings.feature_blocks a linear head is trained instead, on features that are kept in the
    folder `features`. An epoch is then one strength of the penalty on the head's weights.

    An interrupted training goes on after its last whole epoch and reaches the same weights: that
    epoch is in last.ckpt until the end. A last.ckpt of other settings, data or code is ignored.
    Writes model.safetensors and history.csv into `folder`.

    Args:
        settings: of the training.
        train, validation: tables with video, frame, target (0 visible, 1 invisible).
        cache: its frames have the size settings.image_size.
        transition: (2, 2), for the forward-corrected loss alone.
        folder: made where it is missing.

    Raises:
        ValueError: a table has one class only, the cached frames have another size, or the
            training diverges.
        ModelError: as `model.build`.
    """
    for name, table in (("training", train), ("validation", validation)):
        if table["target"].nunique() != 2:
            raise ValueError(f"{name}: frames of both classes expected, got {len(table)} of one")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if settings.feature_blocks:
        if features is None:
            raise ValueError("feature_blocks: a folder is needed in which features are kept")
        return _fit_head(settings, train, validation, cache, transition, folder, Path(features))
    classifier, loader = _begin(settings, train, cache)
    if not settings.epochs:
        return _untrained(settings, classifier, validation, cache, folder)
    from clipassistnet.training import lightning_module, trainer

    held_out = FrameTable(cache, validation, **_statistics(classifier), augment=False)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    computed = precision.of(classifier, device)
    identity = _identity(settings, train, validation, cache, transition, computed)
    loss = losses.build(settings.loss, train, transition)
    module = lightning_module.ValidatedClassifier(classifier, settings, loss, len(train))
    trainer.run(module, loader, _loader(held_out, settings), folder, identity)
    history = pd.DataFrame(module.history)
    best = model.load(folder / trainer.CHECKPOINT).to(device)
    (folder / trainer.LAST).unlink(missing_ok=True)
    return Fit(best, history, int(history["validation_auroc"].idxmax()))


def _fit_head(
    settings: Settings,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    cache: Frames,
    transition: np.ndarray | None,
    folder: Path,
    features: Path,
) -> Fit:
    from clipassistnet.training import heads  # it needs no Lightning

    classifier = heads.begin(settings, cache)
    stores = feature_store.stores(features, classifier, cache)
    path = folder / "model.safetensors"
    history = heads.fit(settings, classifier, train, validation, stores, transition, path)
    files.write(folder / "history.csv", history.to_csv(index=False))
    return Fit(model.load(path), history, int(history["kept"].idxmax()))


def _untrained(
    settings: Settings,
    classifier: model.FrameClassifier,
    validation: pd.DataFrame,
    cache: Frames,
    folder: Path,
) -> Fit:
    """The network of a checkpoint, saved without training, with one row of history."""
    if not weights.is_checkpoint(settings.weights):
        raise ValueError(f"epochs 0 with weights {settings.weights}: expected a whole checkpoint")
    from sklearn.metrics import log_loss, roc_auc_score

    score, target = predict(classifier, validation, cache), validation["target"]
    row = dict.fromkeys(("train_loss", "learning_rate", "seconds"), float("nan"))
    row |= {"epoch": 0, "validation_loss": log_loss(target, score)}
    row["validation_auroc"] = roc_auc_score(target, score)
    model.save(classifier, folder / "model.safetensors", **row)
    history = pd.DataFrame([row])
    files.write(folder / "history.csv", history.to_csv(index=False))
    return Fit(classifier.eval(), history, 0)


def find_learning_rate(
    settings: Settings,
    train: pd.DataFrame,
    cache: Frames,
    transition: np.ndarray | None,
    folder: str | Path,
    steps: int = 100,
) -> tuple[pd.DataFrame, float]:
    """Learning-rate range test on training frames alone: curve (learning_rate, loss) and pick.

    The learning rate rises from 1e-6 to 1 over `steps` optimizer steps of a new model. The pick is
    where the smoothed training loss falls most steeply per decade. Writes finder.csv into `folder`.
    Raises ValueError where steps are too few, or the loss never falls.
    """
    from clipassistnet.training import learning_rate, lightning_module

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    classifier, loader = _begin(settings, train, cache)
    loss = losses.build(settings.loss, train, transition)
    module = lightning_module.LightningClassifier(classifier, settings, loss, len(train))
    curve = learning_rate.curve(module, loader, steps, folder)
    files.write(folder / "finder.csv", curve.to_csv(index=False))
    return curve, learning_rate.pick(curve)


def _begin(
    settings: Settings, train: pd.DataFrame, cache: Frames
) -> tuple[model.FrameClassifier, DataLoader]:
    """The classifier before training, and the loader of its training frames."""
    torch.manual_seed(settings.seed)  # the new head is drawn by it
    presence = settings.loss == "presence"
    classifier = model.build(
        settings.backbone,
        settings.weights,
        trainable_stages=settings.trainable_stages,
        predicts=model.CLIP_APPLIER_PRESENT if presence else model.TIP_INVISIBLE,
    )
    classifier.spec["image_size"] = settings.image_size
    classifier.spec["cropped"] = getattr(cache, "cropped_from", 0)
    classifier.to(memory_format=torch.channels_last)  # a CPU convolves faster so
    table = FrameTable(cache, train, **_statistics(classifier), augment=True, seed=settings.seed)
    side = table[0][0].shape[-1]
    if side != settings.image_size:
        raise ValueError(f"image_size {settings.image_size}, but the cached frames have {side}")
    return classifier, _loader(table, settings, EpochOrder(table))


def _loader(table: FrameTable, settings: Settings, order: Sampler | None = None) -> DataLoader:
    return DataLoader(
        table,
        settings.batch_size,
        sampler=order,
        num_workers=settings.workers,
        pin_memory=torch.cuda.is_available(),
    )


def _statistics(classifier: model.FrameClassifier) -> dict[str, Any]:
    return {name: classifier.spec[name] for name in ("mean", "std")}


def _identity(settings: Settings, train, validation, cache, transition, computed: str) -> str:
    """Digest of all that decides the weights: settings, data, precision, the code that trains."""
    digest = hashlib.sha256(json.dumps([dataclasses.asdict(settings), computed]).encode())
    for table in (train, validation):
        rows = table[[c for c in ("video", "frame", "target", "teacher_score") if c in table]]
        digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    digest.update(repr(None if transition is None else np.asarray(transition).tolist()).encode())
    digest.update(cache.digest().encode())
    if Path(settings.weights).is_file():
        digest.update(Path(settings.weights).read_bytes())
    digest.update(json.dumps(source_code.of_module(__name__)).encode())
    return digest.hexdigest()
