"""The settings of one training, checked."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """What decides a training besides its data. Patience is counted in epochs.

    With no epochs the network of a checkpoint, given as `weights`, is evaluated without training.
    The paper does not name its optimizer: Adam, with torch's defaults, is our choice.

    With `feature_blocks` only a linear head is trained, on features of these blocks of a frozen
    transformer (see model.features) over a grid of `feature_grid` cells a side. The head starts
    from zero, or from a trained one: the checkpoint `head_weights`.
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
    feature_blocks: tuple[int, ...] = ()
    feature_grid: int = 2
    head_weights: str = "none"

    def __post_init__(self) -> None:
        least = dict.fromkeys(("image_size", "batch_size", "accumulate"), 1)
        least |= dict.fromkeys(("trainable_stages", "epochs", "seed", "workers"), 0)
        least["feature_grid"] = 1
        wrong = [
            f"{name} {getattr(self, name)}, expected at least {bound}"
            for name, bound in least.items()
            if getattr(self, name) < bound
        ]
        if not self.learning_rate > 0:
            wrong.append(f"learning_rate {self.learning_rate}, expected above 0")
        if wrong:
            raise ValueError("; ".join(wrong))
