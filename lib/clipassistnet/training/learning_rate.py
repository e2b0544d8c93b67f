"""The learning-rate range test (Smith, WACV 2017), with Lightning's trainer.

Lightning 2.6 has one too, but it divides its smoothed loss by the wrong power (the curve starts at
half the loss), picks by the slope per unit of learning rate rather than per decade, which favours
the smallest, and cannot hide its progress bar. This one picks as the version of the paper's time.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
from pytorch_lightning.callbacks import Callback
from torch.optim import Optimizer
from torch.utils.data import DataLoader

from clipassistnet.training.lightning_module import LightningClassifier
from clipassistnet.training.trainer import new_trainer, quiet, shows_progress_bar

LOWEST, HIGHEST = 1e-6, 1.0
DIVERGED = 4  # times the lowest loss, at which the test ends


class RangeTest(Callback):
    """Raises the learning rate from step to step and keeps the smoothed loss of each.

    Smoothed over about half the steps (at 100 steps, Lightning's factor of 0.98), free of bias.
    """

    def __init__(self, rates: np.ndarray):
        self.rates = rates
        self.losses: list[float] = []
        self.keep, self.average = max(0.0, 1 - 2 / len(rates)), 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: LightningClassifier) -> None:
        self._set_rate(trainer)

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, module: LightningClassifier, optimizer: Optimizer
    ) -> None:
        self.average = self.keep * self.average + (1 - self.keep) * module.mean_loss()
        self.losses.append(self.average / (1 - self.keep ** (len(self.losses) + 1)))

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: LightningClassifier, *batch: Any
    ) -> None:
        if self.losses and not self.losses[-1] < DIVERGED * min(self.losses):
            trainer.should_stop = True
        self._set_rate(trainer)

    def _set_rate(self, trainer: lightning.Trainer) -> None:
        for group in trainer.optimizers[0].param_groups:
            group["lr"] = self.rates[min(trainer.global_step, len(self.rates) - 1)]


def curve(module: LightningClassifier, train: DataLoader, steps: int, folder: Path) -> pd.DataFrame:
    """learning_rate and smoothed training loss of each optimizer step, until it diverges."""
    test = RangeTest(np.geomspace(LOWEST, HIGHEST, steps))
    trainer = new_trainer(
        module,
        folder,
        callbacks=[test],
        enable_progress_bar=shows_progress_bar(),
        max_epochs=-1,
        max_steps=steps,
        limit_val_batches=0,
        accumulate_grad_batches=module.settings.accumulate,
    )
    with quiet():
        trainer.fit(module, train)
    rates = test.rates[: len(test.losses)]
    return pd.DataFrame({"learning_rate": rates, "loss": test.losses})


def pick(curve: pd.DataFrame) -> float:
    """The learning rate at which the loss falls most steeply per decade, before its lowest point.

    The first quarter (averages of few batches, so the noisiest) is left out, and so are the lowest
    loss and everything beyond it: at the lowest loss the fall has ended, and a dip in a climbing
    loss is noise. Raises ValueError where the test diverged too early, or the loss never falls.
    """
    usable = curve.iloc[len(curve) // 4 :]
    usable = usable[np.isfinite(usable["loss"])]
    if len(usable) < 3:
        raise ValueError(f"learning-rate finder: {len(curve)} steps until divergence, too few")
    usable = usable.iloc[: int(usable["loss"].argmin()) + 1]
    if len(usable) < 2:
        raise ValueError("learning-rate finder: the loss falls at no learning rate")
    slope = np.gradient(usable["loss"], np.log10(usable["learning_rate"]))
    return float(usable["learning_rate"].iloc[slope[:-1].argmin()])
