"""The four losses of Aspart et al. (2022), one for distillation, one for arming.

All take two logits a frame (N, 2) and targets (N,) int64 (1 = invisible; for arming, 1 = a clip
applier is in the picture), and average over the batch. The weights of the weighted losses are
scaled to a mean of 1 over the training frames: all losses then have one scale, and a constant
factor does not change the effective learning rate. The validation loss is `bce` for all of them.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F


def bce(logits: Tensor, targets: Tensor) -> Tensor:
    """Two-class cross-entropy."""
    return F.cross_entropy(logits, targets)


def weighted(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of each frame times its weight, weights (N,), averaged over the N frames."""
    return (weights * F.cross_entropy(logits, targets, reduction="none")).mean()


def class_weighted(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy weighted by class; weights (2,) inverse to class presence in training."""
    return weighted(logits, targets, weights[targets])


def video_weighted(logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy weighted by video; weights (N,) inverse to the training frames of the video."""
    return weighted(logits, targets, weights)


def forward_corrected(logits: Tensor, targets: Tensor, transition: Tensor) -> Tensor:
    """Forward label-noise correction: -log of (p T)[target], Patrini et al., CVPR 2017, theorem 2.

    transition (2, 2): T[i, j] = P(observed j | true i). Its minimum under noisy labels is that of
    cross-entropy under clean ones.
    """
    joint = F.log_softmax(logits, dim=1)[:, :, None] + transition.log()
    return F.nll_loss(torch.logsumexp(joint, dim=1), targets)


def distilled(logits: Tensor, scores: Tensor) -> Tensor:
    """Cross-entropy with the teachers' scores p(invisible), (N,) in 0..1, instead of the labels.

    Hinton, Vinyals & Dean, 2015, at temperature 1.
    """
    shares = torch.stack([1 - scores, scores], dim=1)
    return F.cross_entropy(logits, shares.to(logits.dtype))


# A training loss: (logits, targets, video_index) -> scalar.
Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

LOSSES: dict[str, Callable[..., Tensor]] = {
    "bce": bce,
    "class_weighted": class_weighted,
    "video_weighted": video_weighted,
    "forward_corrected": forward_corrected,
    "distilled": distilled,
    # Weighted, because the share of annotated frames without a clip applier is arbitrary.
    "presence": class_weighted,
}


def class_weights(targets: pd.Series) -> np.ndarray:
    """Weights (2,) inverse to the number of training frames of each class, mean 1 over frames."""
    counts = np.bincount(targets, minlength=2)
    if len(counts) != 2 or not counts.all():
        raise ValueError(f"training frames of each class: {counts}, expected some of both")
    return counts.sum() / (2 * counts)


def video_index(videos: pd.Series) -> pd.Series:
    """Number of each frame's video among the training videos, sorted by id: 0 to V-1."""
    return pd.Series(pd.factorize(videos, sort=True)[0], index=videos.index, name="video_index")


def video_weights(videos: pd.Series) -> np.ndarray:
    """Weights (V,) by video_index: 1 / frames of the video in training, mean 1 over frames."""
    counts = np.bincount(video_index(videos))
    return counts.sum() / (len(counts) * counts)


def build(name: str, train: pd.DataFrame, transition: np.ndarray | None = None) -> Loss:
    """The training loss (logits, targets, video_index) -> scalar, fitted to the training table.

    Args:
        name: one of LOSSES.
        train: a row a frame with video and target; the video_index of a batch are those of
            `video_index(train["video"])`. The targets of distilled are a column teacher_score.
        transition: (2, 2) as for `forward_corrected`, which alone needs it.

    Raises:
        ValueError: an unknown name, a class without frames, a transition matrix that is missing or
            invalid, or no teachers' scores.
    """
    if name not in LOSSES:
        raise ValueError(f"loss {name!r}: expected one of {', '.join(LOSSES)}")
    if name == "distilled" and "teacher_score" not in train:
        raise ValueError("distilled needs teachers' scores (training.with_teacher_scores)")
    loss = LOSSES[name]
    if name in ("class_weighted", "presence"):
        weights = torch.tensor(class_weights(train["target"]), dtype=torch.float32)
        return lambda logits, targets, videos: loss(logits, targets, weights.to(logits.device))
    if name == "video_weighted":
        weights = torch.tensor(video_weights(train["video"]), dtype=torch.float32)
        return lambda logits, targets, videos: loss(
            logits, targets, weights.to(logits.device)[videos]
        )
    if name == "forward_corrected":
        matrix = torch.tensor(_checked(transition), dtype=torch.float32)
        return lambda logits, targets, videos: loss(logits, targets, matrix.to(logits.device))
    return lambda logits, targets, videos: loss(logits, targets)


def _checked(transition: np.ndarray | None) -> np.ndarray:
    """The matrix, where it is valid: rows sum to 1, labels are right more often than by chance."""
    if transition is None:
        raise ValueError("forward_corrected needs a transition matrix (annotation.transition)")
    matrix = np.asarray(transition, dtype=float)
    proper = matrix.shape == (2, 2) and (matrix >= 0).all() and np.allclose(matrix.sum(axis=1), 1)
    if not proper or np.linalg.det(matrix) <= 0:
        raise ValueError(
            f"transition {matrix.tolist()}: expected 2 x 2, rows that sum to 1, and labels that "
            "are right more often than by chance (T[0, 0] + T[1, 1] > 1)"
        )
    return matrix
