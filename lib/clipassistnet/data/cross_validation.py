"""Which networks a study trains, and which frames each of them judges.

`inner_folds` chooses one of two protocols:

- 0, the paper's: test videos are held out once ("test"). Each of the k folds validates one network
  (early stopping, learning-rate schedule, checkpoint). The ensemble of these networks judges the
  test videos.
- n > 0, nested: there are no test videos. Each of the k folds is held out in turn, and an ensemble
  of n networks judges it. Each of these networks is validated on another one of the remaining
  folds. No network sees the fold that it judges, and each frame is judged once (Varma & Simon, BMC
  Bioinformatics 7, 2006).
"""

from collections.abc import Sequence
from typing import NamedTuple

TEST = "test"
DISTILLED = "distilled"  # the loss of a student
ARMING = "presence"  # the loss of the network for arming; run folders and files have this name
# The names of the losses (model.losses.LOSSES), for those who do not need torch.
LOSS_NAMES = ("bce", "class_weighted", "video_weighted", "forward_corrected", DISTILLED, ARMING)
PAPER = "paper"  # the recipe that every study has


class Training(NamedTuple):
    """One network: its fields name the folder of its run."""

    loss: str
    recipe: str
    held_out: str
    fold: int


def ensembles(folds_count: int, inner_folds: int) -> dict[str, list[int]]:
    """For each held-out subset, the folds that validate the networks of its ensemble.

    In the nested protocol these are the folds after the held-out one, in a ring, so that every fold
    validates equally often.

    Raises:
        ValueError: where there are not enough folds.
    """
    if not 0 <= inner_folds < folds_count - 1:
        raise ValueError(
            f"inner_folds {inner_folds} of {folds_count} folds: expected 0 (the paper's protocol) "
            f"to {folds_count - 2} (one is held out, and one at least trains)"
        )
    if not inner_folds:
        return {TEST: list(range(folds_count))}
    steps = range(1, inner_folds + 1)
    return {
        str(held_out): [(held_out + step) % folds_count for step in steps]
        for held_out in range(folds_count)
    }


def trainings(
    losses: Sequence[str],
    recipes: Sequence[str],
    folds_count: int,
    inner_folds: int,
    main: str = PAPER,
) -> list[Training]:
    """Every training of a study: the main recipe with all losses, all other recipes with BCE."""
    pairs = [(loss, main) for loss in losses if main in recipes]
    pairs += [("bce", recipe) for recipe in recipes if recipe != main]
    judged = ensembles(folds_count, inner_folds).items()
    return [
        Training(loss, recipe, held_out, fold)
        for loss, recipe in pairs
        for held_out, folds in judged
        for fold in folds
    ]


def explain(inner_folds: int) -> str:
    """How far the figures of `predictions.out_of_fold` can be trusted: a sentence for a reader."""
    if inner_folds:
        return (
            f"Nested cross-validation: each fold is judged by {inner_folds} networks (the mean of "
            "their scores) that neither trained on it nor were stopped or chosen by it."
        )
    return (
        "Each fold is judged by the one network that did not train on it. OPTIMISTIC for networks "
        "that are trained end to end: the fold chose their epoch."
    )


def first(folds_count: int, inner_folds: int) -> tuple[str, int]:
    """(held-out subset, fold) of the training that notebooks show as an example."""
    held_out, folds = next(iter(ensembles(folds_count, inner_folds).items()))
    return held_out, folds[0]


def members(recipe: str, held_out: str, folds_count: int, inner_folds: int) -> list[Training]:
    """The BCE networks whose ensemble judges a held-out subset."""
    every = trainings(["bce"], [recipe], folds_count, inner_folds)
    return [training for training in every if training.held_out == held_out]


def student(recipe: str, folds_count: int, inner_folds: int) -> Training:
    """The one network that learns from the scores of the first ensemble's members."""
    return Training(DISTILLED, recipe, *first(folds_count, inner_folds))


def arming(folds_count: int, inner_folds: int) -> Training:
    """The one network that says whether a clip applier is in the picture: it sees whole frames."""
    return Training(ARMING, PAPER, *first(folds_count, inner_folds))


def rate_of(loss: str) -> str:
    """The loss whose learning rate a training uses: its own; BCE's for a student and for arming."""
    return "bce" if loss in (DISTILLED, ARMING) else loss
