"""Training one classifier: its settings, its frames, the fit, the learning-rate finder.

PyTorch Lightning, imported by trainer.py, is loaded only when something is trained.
"""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.utils.data import DataLoader, Sampler

from clipassistnet import model, transforms
from clipassistnet.model import layers, losses, weights
from clipassistnet.training import batches
from clipassistnet.training.batches import EpochOrder, FrameTable


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides a training besides its data. Patience is counted in epochs.

    No epochs at all: the network is judged as `weights` have it. The paper does not name its
    optimizer: Adam, with torch's defaults, is our choice.
    """

    backbone: str
    weights: str
    trainable_stages: int
    image_size: int
    loss: str
    learning_rate: float
    batch_size: int
    accumulate: int
    epochs: int
    seed: int
    patience_lr: int = 5
    factor_lr: float = 0.8
    patience_stop: int = 10
    workers: int = 0

    def __post_init__(self):
        least = dict.fromkeys(("image_size", "batch_size", "accumulate"), 1)
        least |= dict.fromkeys(("trainable_stages", "epochs", "seed", "workers"), 0)
        wrong = [
            f"{name} {getattr(self, name)}, expected at least {bound}"
            for name, bound in least.items()
            if getattr(self, name) < bound
        ]
        if not self.learning_rate > 0:
            wrong.append(f"learning_rate {self.learning_rate}, expected above 0")
        if wrong:
            raise ValueError("; ".join(wrong))


class Fit(NamedTuple):
    """A finished training: the best model (as saved), a row an epoch, the best epoch from 0."""

    model: model.FrameClassifier
    history: pd.DataFrame
    best_epoch: int


def fit(
    settings: Settings,
    train: pd.DataFrame,
    validation: pd.DataFrame,
    cache,
    transition: np.ndarray | None,
    folder: str | Path,
) -> Fit:
    """Train one classifier as the paper does and keep its epoch of the best validation AUROC.

    `train`, `validation`: tables with video, frame, target (0 visible, 1 invisible). `cache` has
    get(video, frame), a uint8 (S, S, 3) frame with S = settings.image_size. `transition` is needed
    by the forward-corrected loss alone. Writes model.safetensors and history.csv into `folder`.

    A training that was interrupted goes on after its last whole epoch, to the same weights: that
    epoch lies in last.ckpt until the end. One of other settings, data or code is not continued.
    Raises ValueError where a table has one class only, or the cached frames another size.
    """
    for name, table in (("training", train), ("validation", validation)):
        if table["target"].nunique() != 2:
            raise ValueError(f"{name}: frames of both classes expected, got {len(table)} of one")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    classifier, loader = _begin(settings, train, cache)
    if not settings.epochs:
        return _as_it_is(settings, classifier, validation, cache, folder)
    from clipassistnet.training import lightning_module

    held_out = FrameTable(cache, validation, **_statistics(classifier), augment=False)
    identity = _identity(settings, train, validation, cache, transition)
    loss = losses.build(settings.loss, train, transition)
    module = lightning_module.ValidatedTraining(classifier, settings, loss, len(train))
    lightning_module.run(module, loader, _loader(held_out, settings), folder, identity)
    history = pd.DataFrame(module.history)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    best = model.load(folder / lightning_module.CHECKPOINT).to(device)
    (folder / lightning_module.LAST).unlink(missing_ok=True)
    return Fit(best, history, int(history["validation_auroc"].idxmax()))


def _as_it_is(
    settings: Settings, classifier: model.FrameClassifier, validation, cache, folder: Path
) -> Fit:
    """A network that was trained elsewhere, saved as it is, with one row of history."""
    if not weights.is_checkpoint(settings.weights):
        raise ValueError(f"epochs 0 with weights {settings.weights}: expected a whole checkpoint")
    from sklearn.metrics import log_loss, roc_auc_score

    score, target = predict(classifier, validation, cache), validation["target"]
    row = dict.fromkeys(("train_loss", "learning_rate", "seconds"), float("nan"))
    row |= {"epoch": 0, "validation_loss": log_loss(target, score)}
    row["validation_auroc"] = roc_auc_score(target, score)
    model.save(classifier, folder / "model.safetensors", **row)
    history = pd.DataFrame([row])
    history.to_csv(folder / "history.csv", index=False)
    return Fit(classifier.eval(), history, 0)


def find_learning_rate(
    settings: Settings,
    train: pd.DataFrame,
    cache,
    transition: np.ndarray | None,
    folder: str | Path,
    steps: int = 100,
) -> tuple[pd.DataFrame, float]:
    """Learning-rate range test on training frames alone: curve (learning_rate, loss) and pick.

    The learning rate rises from 1e-6 to 1 over `steps` optimizer steps of a model of its own; the
    pick is where the smoothed training loss falls most steeply per decade. Writes finder.csv into
    `folder`. Raises ValueError where steps are too few, or the loss falls nowhere.
    """
    from clipassistnet.training import learning_rate, lightning_module

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    classifier, loader = _begin(settings, train, cache)
    loss = losses.build(settings.loss, train, transition)
    module = lightning_module.Training(classifier, settings, loss, len(train))
    curve = learning_rate.curve(module, loader, steps, folder)
    curve.to_csv(folder / "finder.csv", index=False)
    return curve, learning_rate.pick(curve)


def predict(
    classifier: model.FrameClassifier, table: pd.DataFrame, cache, batch_size: int = 64
) -> np.ndarray:
    """p(what it predicts) of each frame of a table (video, frame), float32 (N,), in its order."""
    size, training = classifier.spec["image_size"], classifier.training
    device = next(classifier.parameters()).device
    _quicken(classifier).eval()
    scores = []
    for start in range(0, len(table), batch_size):
        rows = table.iloc[start : start + batch_size]
        frames = [cache.get(v, int(f)) for v, f in zip(rows["video"], rows["frame"], strict=True)]
        images = transforms.preprocess(np.stack(frames), size, **_statistics(classifier))
        with torch.inference_mode():
            scores.append(classifier(images.to(device)).softmax(dim=1)[:, 1].cpu().numpy())
    classifier.train(training)
    return np.concatenate(scores) if scores else np.empty(0, np.float32)


def taught(
    train: pd.DataFrame, teachers: Sequence[model.FrameClassifier], cache, batch_size: int = 64
) -> pd.DataFrame:
    """The table with a column `teachers`: the mean score p(invisible) of these networks."""
    scores = [predict(teacher, train, cache, batch_size) for teacher in teachers]
    return train.assign(teachers=np.mean(scores, axis=0))


def _begin(settings: Settings, train: pd.DataFrame, cache):
    """The classifier at its start, and the loader of its training frames."""
    torch.manual_seed(settings.seed)  # the new head
    classifier = model.build(
        settings.backbone,
        settings.weights,
        trainable_stages=settings.trainable_stages,
        predicts=model.CLIP_APPLIER if settings.loss == "presence" else model.TIP_INVISIBLE,
    )
    classifier.spec["image_size"] = settings.image_size
    classifier.spec["cropped"] = getattr(cache, "cropped", 0)
    _quicken(classifier)
    table = FrameTable(cache, train, **_statistics(classifier), augment=True, seed=settings.seed)
    side = table[0][0].shape[-1]
    if side != settings.image_size:
        raise ValueError(f"image_size {settings.image_size}, but the cached frames have {side}")
    return classifier, _loader(table, settings, EpochOrder(table))


def _quicken(classifier: model.FrameClassifier) -> model.FrameClassifier:
    """Itself, its channels innermost in memory: a CPU convolves quicker so."""
    return classifier.to(memory_format=torch.channels_last)


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


def _identity(settings: Settings, train, validation, cache, transition) -> str:
    """Digest of all that decides the weights: settings, data and the code that trains."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(settings)).encode())
    for table in (train, validation):
        rows = table[[c for c in ("video", "frame", "target", "teachers") if c in table]]
        digest.update(pd.util.hash_pandas_object(rows, index=False).to_numpy().tobytes())
    digest.update(repr(None if transition is None else np.asarray(transition).tolist()).encode())
    digest.update(cache.digest().encode() if hasattr(cache, "digest") else b"")
    if Path(settings.weights).is_file():
        digest.update(Path(settings.weights).read_bytes())
    from clipassistnet.training import lightning_module

    for module in (batches, layers, losses, model, transforms, weights, lightning_module):
        digest.update(Path(module.__file__).read_bytes())
    return digest.hexdigest()
