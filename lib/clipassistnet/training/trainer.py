"""One training with Lightning's trainer, which goes on where an interruption stopped it.

Imported only when something is trained: it costs seconds.
"""

import logging
import os
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as lightning
import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping
from pytorch_lightning.plugins.environments import LightningEnvironment
from torch.utils.data import DataLoader

from clipassistnet import files, model
from clipassistnet.training import precision
from clipassistnet.training.lightning_module import LightningClassifier, ValidatedClassifier

CHECKPOINT, LAST, HISTORY = "model.safetensors", "last.ckpt", "history.csv"

# Devices found, "max_epochs reached" and advertisements are of no use to a notebook's reader.
logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)


class EpochCheckpoint(Callback):
    """Writes history.csv, the best model so far and last.ckpt at the end of each epoch.

    By then early stopping and the learning-rate schedule have counted the epoch, so last.ckpt holds
    their state after it. `identity`: of the training that may resume from last.ckpt.
    """

    def __init__(self, folder: Path, identity: str, stopping: EarlyStopping, lines: bool):
        self.folder, self.identity, self.stopping, self.lines = folder, identity, stopping, lines

    def on_train_start(self, trainer: lightning.Trainer, module: ValidatedClassifier) -> None:
        # A training that was interrupted after early stopping had decided must still stop.
        trainer.should_stop = self.stopping.wait_count >= self.stopping.patience

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: ValidatedClassifier) -> None:
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
        files.write(self.folder / HISTORY, pd.DataFrame(module.history).to_csv(index=False))
        trainer.save_checkpoint(self.folder / LAST)
        if self.lines:
            print(
                "epoch {epoch:2d}  train loss {train_loss:.4f}  validation loss "
                "{validation_loss:.4f}  AUROC {validation_auroc:.4f}  learning rate "
                "{learning_rate:.1e}  {seconds:.1f} s".format(**row),
                flush=True,
            )

    def state_dict(self) -> dict[str, str]:
        return {"identity": self.identity}


def run(
    module: ValidatedClassifier,
    train: DataLoader,
    validation: DataLoader,
    folder: Path,
    identity: str,
) -> None:
    """Train, from folder/last.ckpt if it has the same identity. All results lie in `folder`."""
    settings, bar = module.settings, shows_progress_bar()
    stopping = EarlyStopping(
        "validation_auroc",
        mode="max",
        patience=settings.patience_stop,
        check_on_train_epoch_end=False,  # after validation, so before EpochCheckpoint saves it
    )
    trainer = new_trainer(
        module,
        folder,
        callbacks=[stopping, EpochCheckpoint(folder, identity, stopping, lines=not bar)],
        enable_progress_bar=bar,
        max_epochs=settings.epochs,
        accumulate_grad_batches=settings.accumulate,
    )
    if trainer.precision != precision.FLOAT32:
        print(f"mixed precision: {trainer.precision}", flush=True)
    resumed = _resumable(folder / LAST, identity)
    if resumed is not None:
        print(f"resuming after epoch {resumed}", flush=True)
        # Workers fetch ahead: the first batches are drawn before Lightning sets the epoch.
        train.sampler.set_epoch(resumed + 1)
    with quiet():
        checkpoint = None if resumed is None else folder / LAST
        trainer.fit(module, train, validation, ckpt_path=checkpoint, weights_only=True)


def new_trainer(module: LightningClassifier, folder: Path, **options: Any) -> lightning.Trainer:
    """A trainer on one device that writes no files unless a callback does."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return lightning.Trainer(
        accelerator="gpu" if device == "cuda" else "cpu",
        devices=1,
        precision=precision.of(module.classifier, device),
        # A CPU is deterministic anyway, and faster without; some timm models have no choice.
        deterministic="warn" if torch.cuda.is_available() else False,
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        default_root_dir=folder,
        # Otherwise Lightning, within a Slurm job, would start a process for each of its tasks.
        plugins=[LightningEnvironment()],
        **options,
    )


def shows_progress_bar() -> bool:
    """Whether a person watches: a terminal or a notebook frontend, and no batch run."""
    return files.BATCH not in os.environ and (sys.stdout.isatty() or "ipykernel" in sys.modules)


@contextmanager
def quiet() -> Iterator[None]:
    """Without two warnings of Lightning's that a user cannot act upon."""
    with warnings.catch_warnings():
        # Frames come from memory: on few cores, workers would take time from the network.
        warnings.filterwarnings("ignore", message=".*does not have many workers")
        # Lightning 2.6 itself uses what torch has deprecated.
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
        yield


def _resumable(path: Path, identity: str) -> int | None:
    """The epoch after which a checkpoint of the same training was written, else None."""
    if not path.exists():
        return None
    checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    if checkpoint["callbacks"].get("EpochCheckpoint", {}).get("identity") != identity:
        return None
    return checkpoint["history"][-1]["epoch"]
