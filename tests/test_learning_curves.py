"""What a training's history and the finder's curve say."""

import numpy as np
import pandas as pd

from clipassistnet.evaluation import learning_curves


def history(*auroc: float, **columns) -> pd.DataFrame:
    rows = {"epoch": range(len(auroc)), "train_loss": 0.5, "validation_auroc": auroc}
    return pd.DataFrame(rows).assign(**columns)


def test_the_last_epoch_is_the_best_of_an_undertrained_network():
    found = learning_curves.training_finding(history(0.6, 0.7, 0.8), patience=2)
    assert found == "Undertrained: the best epoch is the last of 3; train longer."


def test_a_network_that_has_peaked_and_early_stopping_that_cannot_act():
    found = learning_curves.training_finding(history(0.6, 0.8, 0.7), patience=10)
    assert found.startswith("The best epoch is number 2 of 3.")
    assert found.endswith("Early stopping (patience 10) cannot act within 3 epochs.")


def test_a_head_has_penalties_and_no_epochs():
    rows = history(0.7, 0.8, 0.9, penalty=[10.0, 1.0, 0.1], kept=[False, True, False])
    assert learning_curves.training_finding(rows, 10) == (
        "The head is kept with the penalty 1, which no frame of this study chose. Its validation "
        "AUROC is 0.800. With the 3 penalties shown it lies between 0.700 and 0.900."
    )


def test_a_checkpoint_as_it_is_was_not_trained():
    found = learning_curves.training_finding(history(0.6, train_loss=np.nan), 10)
    assert "not trained here" in found


def test_the_finder_falls_before_its_lowest_loss():
    curve = pd.DataFrame({"learning_rate": [1e-4, 1e-3, 1e-2], "loss": [1.0, 0.5, 0.2]})
    found = learning_curves.finder_finding(curve, 1e-3)
    assert found.startswith("The loss falls fastest at 1.00e-03. It is lowest at 1.00e-02, 1.0 dec")


def test_a_dot_marks_what_is_kept():
    shown = learning_curves.learning_curves(history(0.6, 0.8, 0.7))
    titles = [axes.get_title() for axes in shown.axes]
    assert "validation AUROC" in titles
    _, dot = shown.axes[titles.index("validation AUROC")].lines
    assert (dot.get_xdata()[0], dot.get_ydata()[0]) == (1, 0.8)
    heads = pd.DataFrame({"penalty": [10, 1, 0.1], "kept": [False, True, False]})
    heads = heads.assign(train_loss=0.5, validation_loss=0.6, validation_auroc=[0.7, 0.8, 0.9])
    axes = learning_curves.learning_curves(heads).axes[2]
    assert axes.get_xlim()[0] > axes.get_xlim()[1]  # from strong to weak
    assert axes.lines[1].get_xdata()[0] == 1
