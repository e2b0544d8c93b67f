"""The Lightning half of training: the module, and the run that can be resumed.

Imported when something is trained, and only then: it costs seconds.
"""

import logging
import math
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.plugins.environments import LightningEnvironment
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from clipassistnet import model
from clipassistnet.files import BATCH

CHECKPOINT, LAST, HISTORY = "model.safetensors", "last.ckpt", "history.csv"

# Devices found, "max_epochs reached", advertisements: no news to a reader of a notebook.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


class Training(lightning.LightningModule):
    """Classifier, loss and optimizer, built together."""

    def __init__(self, classifier: model.FrameClassifier, settings, loss, frames: int):
        super().__init__()
        # Lightning warns of modules that start in eval mode, as frozen batch normalisation does:
        # it is put into it, by FrameClassifier.train, when the epoch starts.
        nn.Module.train(classifier)
        self.classifier, self.settings, self.loss, self.frames = classifier, settings, loss, frames
        self._losses: list[tuple[Tensor, int]] = []

    def configure_optimizers(self) -> torch.optim.Optimizer:
        trainable = [p for p in self.classifier.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=self.settings.learning_rate, fused=True)

    def on_train_epoch_start(self) -> None:
        self.classifier.train()
        # A network with dropout, too, gets the same draws after a resume.
        torch.manual_seed(hash((self.settings.seed, self.current_epoch)) % 2**63)
        self.started, self.rate = time.perf_counter(), self.optimizers().param_groups[0]["lr"]

    def training_step(self, batch: tuple, index: int) -> Tensor:
        images, targets, videos = batch
        loss = self.loss(self.classifier(images), targets, videos)
        self._losses.append((loss.detach(), len(targets)))
        return loss * self.share(index, len(targets))

    def share(self, index: int, frames: int) -> float:
        """What a batch's mean loss is multiplied by, so that every frame of a group counts alike.

        Lightning steps after `accumulate` batches, and after the last one of an epoch, and always
        divides by `accumulate`: a last group of fewer batches, or of a smaller last batch, would
        weigh its frames wrongly.
        """
        accumulate, batch = self.settings.accumulate, self.settings.batch_size
        first = index // accumulate * accumulate * batch
        return frames * accumulate / min(accumulate * batch, self.frames - first)

    def mean_loss(self) -> float:
        """Mean training loss of the frames seen since the last call."""
        total = sum(loss * frames for loss, frames in self._losses)
        mean = float(total) / sum(frames for _, frames in self._losses)
        self._losses.clear()
        return mean


class ValidatedTraining(Training):
    """The same with the paper's validation and learning-rate schedule, and a history."""

    def __init__(self, *args):
        super().__init__(*args)
        self.history: list[dict] = []
        self._validated: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> dict:
        optimizer = super().configure_optimizers()
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=self.settings.factor_lr, patience=self.settings.patience_lr
        )
        # Stepped once an epoch, yet by "step" after all its batches: Lightning steps an "epoch"
        # plateau after the end of the epoch, when the checkpoint to resume from is already written.
        batches = math.ceil(self.frames / self.settings.batch_size)
        plan = {"monitor": "validation_loss", "interval": "step", "frequency": batches}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **plan}}

    def validation_step(self, batch: tuple, index: int) -> None:
        images, targets, _ = batch
        self._validated.append((self.classifier(images).cpu(), targets.cpu()))

    def on_validation_epoch_end(self) -> None:
        logits, targets = (torch.cat(parts) for parts in zip(*self._validated, strict=True))
        self._validated.clear()
        if not torch.isfinite(logits).all():
            raise ValueError(
                f"epoch {self.current_epoch}: the network no longer gives finite logits; "
                f"learning rate {self.rate:.2e} is too high"
            )
        # The unweighted loss for all four losses, and over frames, not batches.
        self.log("validation_loss", F.cross_entropy(logits, targets), prog_bar=True)
        auroc = roc_auc_score(targets, logits.softmax(dim=1)[:, 1])
        self.log("validation_auroc", auroc, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.history = checkpoint["history"]


class Keeper(Callback):
    """At the end of an epoch: history.csv, the best model so far, and where to resume from.

    By then early stopping and the learning-rate schedule have seen the epoch, and are saved so.
    """

    def __init__(self, folder: Path, identity: str, stopping: EarlyStopping, lines: bool):
        self.folder, self.identity, self.stopping, self.lines = folder, identity, stopping, lines

    def on_train_start(self, trainer, module: ValidatedTraining) -> None:
        # Interrupted after early stopping had decided: the decision is in its restored state.
        trainer.should_stop = self.stopping.wait_count >= self.stopping.patience

    def on_train_epoch_end(self, trainer, module: ValidatedTraining) -> None:
        metrics = {k: float(trainer.callback_metrics[f"validation_{k}"]) for k in ("loss", "auroc")}
        row = {
            "epoch": trainer.current_epoch,
            "train_loss": module.mean_loss(),
            "validation_loss": metrics["loss"],
            "validation_auroc": metrics["auroc"],
            "learning_rate": module.rate,
            "seconds": time.perf_counter() - module.started,
        }
        if all(row["validation_auroc"] > past["validation_auroc"] for past in module.history):
            model.save(module.classifier, self.folder / CHECKPOINT, **row)
        module.history.append(row)
        replace(self.folder / HISTORY, pd.DataFrame(module.history).to_csv(index=False))
        trainer.save_checkpoint(self.folder / LAST)
        if self.lines:
            print(
                "epoch {epoch:2d}  train loss {train_loss:.4f}  validation loss "
                "{validation_loss:.4f}  AUROC {validation_auroc:.4f}  learning rate "
                "{learning_rate:.1e}  {seconds:.1f} s".format(**row),
                flush=True,
            )

    def state_dict(self) -> dict:
        return {"identity": self.identity}


def replace(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)


def for_a_person() -> bool:
    """Whether somebody watches: a terminal or a notebook frontend, and no batch run."""
    return BATCH not in os.environ and (sys.stdout.isatty() or "ipykernel" in sys.modules)


def run(
    module: ValidatedTraining,
    train: DataLoader,
    validation: DataLoader,
    folder: Path,
    identity: str,
) -> None:
    """Train, from folder/last.ckpt if it is of the same identity. All results lie in `folder`."""
    settings, person = module.settings, for_a_person()
    stopping = EarlyStopping(
        "validation_auroc",
        mode="max",
        patience=settings.patience_stop,
        check_on_train_epoch_end=False,  # after validation: before the keeper saves its state
    )
    trainer = new_trainer(
        folder,
        callbacks=[stopping, Keeper(folder, identity, stopping, lines=not person)],
        enable_progress_bar=person,
        max_epochs=settings.epochs,
        accumulate_grad_batches=settings.accumulate,
    )
    resumed = _resumable(folder / LAST, identity)
    if resumed is not None:
        print(f"resuming after epoch {resumed}", flush=True)
        # Workers fetch ahead: the first batches are drawn before Lightning sets the epoch.
        train.sampler.set_epoch(resumed + 1)
    with quiet():
        checkpoint = None if resumed is None else folder / LAST
        trainer.fit(module, train, validation, ckpt_path=checkpoint, weights_only=True)


def new_trainer(folder: Path, **options) -> lightning.Trainer:
    """A trainer on one device that writes nothing of its own accord."""
    return lightning.Trainer(
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=1,
        # A CPU is deterministic anyway, and faster without; some timm models have no choice.
        deterministic="warn" if torch.cuda.is_available() else False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        # Within a Slurm job Lightning would take its tasks for its own.
        plugins=[LightningEnvironment()],
        **options,
    )


def _resumable(path: Path, identity: str) -> int | None:
    """The epoch after which a checkpoint of the same training was written, else None."""
    if not path.exists():
        return None
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if checkpoint["callbacks"]["Keeper"]["identity"] != identity:
        return None
    return checkpoint["history"][-1]["epoch"]


@contextmanager
def quiet() -> Iterator[None]:
    """Without two warnings of Lightning's that nobody here can act upon."""
    with warnings.catch_warnings():
        # Frames come from memory: on few cores, workers would take time from the network.
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        # Lightning 2.6 itself uses what torch has deprecated.
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
        yield
