"""Classifier, loss, optimizer and schedule as modules for PyTorch Lightning.

Imported only when something is trained: it costs seconds.
"""

import math
import time
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.nn import functional as F

from clipassistnet import model
from clipassistnet.model.losses import Loss
from clipassistnet.training.settings import Settings


class LightningClassifier(lightning.LightningModule):
    """Classifier, loss and optimizer, built together. `frames`: size of the training set."""

    def __init__(
        self, classifier: model.FrameClassifier, settings: Settings, loss: Loss, frames: int
    ):
        super().__init__()
        # Lightning warns of modules that start in eval mode, as frozen batch normalisation does.
        # FrameClassifier.train puts it into eval mode when an epoch starts.
        nn.Module.train(classifier)
        self.classifier, self.settings, self.loss, self.frames = classifier, settings, loss, frames
        self._losses: list[tuple[Tensor, int]] = []

    def configure_optimizers(self) -> Any:
        trainable = [p for p in self.classifier.parameters() if p.requires_grad]
        return torch.optim.Adam(trainable, lr=self.settings.learning_rate, fused=True)

    def on_train_epoch_start(self) -> None:
        self.classifier.train()
        # Seeded by epoch, dropout draws the same after a resume.
        sequence = np.random.SeedSequence([self.settings.seed, self.current_epoch])
        torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0]))
        self.started, self.rate = time.perf_counter(), self.optimizers().param_groups[0]["lr"]

    def training_step(self, batch: tuple, index: int) -> Tensor:
        images, targets, videos = batch
        # The loss in float32, whatever the precision of the network.
        loss = self.loss(self.classifier(images).float(), targets, videos)
        self._losses.append((loss.detach(), len(targets)))
        return loss * self.share(index, len(targets))

    def share(self, index: int, frames: int) -> float:
        """Factor of a batch's mean loss that gives every frame of a step the same weight.

        Lightning steps after `accumulate` batches, and after the last batch of an epoch, and always
        divides by `accumulate`. Without the factor the frames of a last step with fewer batches, or
        of a smaller last batch, would have another weight.
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


class ValidatedClassifier(LightningClassifier):
    """The same with the paper's validation and learning-rate schedule, and a history."""

    def __init__(
        self, classifier: model.FrameClassifier, settings: Settings, loss: Loss, frames: int
    ):
        super().__init__(classifier, settings, loss, frames)
        self.history: list[dict[str, float]] = []
        self._validated: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, factor=self.settings.factor_lr, patience=self.settings.patience_lr
        )
        # Stepped once an epoch, but as a "step" after all its batches: Lightning steps an "epoch"
        # schedule only after the checkpoint to resume from has been written.
        batches = math.ceil(self.frames / self.settings.batch_size)
        plan = {"monitor": "validation_loss", "interval": "step", "frequency": batches}
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, **plan}}

    def validation_step(self, batch: tuple, index: int) -> None:
        images, targets, _ = batch
        # In float32: the scores are those of the network that is saved.
        with torch.autocast(self.device.type, enabled=False):
            self._validated.append((self.classifier(images).cpu(), targets.cpu()))

    def on_validation_epoch_end(self) -> None:
        logits, targets = (torch.cat(parts) for parts in zip(*self._validated, strict=True))
        self._validated.clear()
        if not torch.isfinite(logits).all():
            raise ValueError(
                f"epoch {self.current_epoch}: the network no longer gives finite logits; "
                f"learning rate {self.rate:.2e} is too high"
            )
        # The unweighted loss, whatever the training loss is, and over frames, not batches.
        self.log("validation_loss", F.cross_entropy(logits, targets), prog_bar=True)
        auroc = roc_auc_score(targets, logits.softmax(dim=1)[:, 1])
        self.log("validation_auroc", auroc, prog_bar=True)

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.history = checkpoint["history"]
