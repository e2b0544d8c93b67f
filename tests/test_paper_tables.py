"""Tables 2 and 3 and their comparisons, worked out by hand."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from clipassistnet.evaluation import paper_tables


def two_losses():
    """Two folds of two videos; "good" ranks all right, "poor" only fold 0 (fold 1: AUROC 0)."""
    rows = []
    for fold, video in ((0, "a"), (0, "b"), (1, "c"), (1, "d")):
        for frame, target in enumerate((0, 1)):
            poor = target if fold == 0 else 1 - target
            rows += [
                ("good", fold, video, frame, target, target),
                ("poor", fold, video, frame, target, poor),
            ]
    return pd.DataFrame(rows, columns=["loss", "fold", "video", "frame", "target", "score"])


def test_table2_by_hand():
    table = paper_tables.table2(two_losses(), resamples=100).set_index(["loss", "metric"])
    # Exact limits where nothing varies: 4 videos in 2 folds, so 0.025 ** (1 / 3).
    good = table.loc[("good", "auroc")].tolist()
    assert good == pytest.approx([2, 1, 0, 0.2924, 1, 0], abs=1e-4)
    poor = table.loc[("poor", "auroc")]
    assert poor["mean"] == 0.5  # folds 1 and 0
    assert poor["sd"] == pytest.approx(np.sqrt(0.5))
    assert poor[["low", "high"]].isna().all()  # every video of a fold is like the other
    assert table.loc[("poor", "specificity_at_95"), "mean"] == 0.5


def test_losses_are_compared_over_the_same_videos_and_folds():
    table = paper_tables.compare(two_losses(), "loss", "good", within="fold", resamples=100)
    auroc = table.set_index("metric").loc["auroc"]
    assert (auroc["loss"], auroc["reference"]) == ("poor", "good")
    assert auroc[["difference", "low", "high"]].tolist() == [-0.5, -0.5, -0.5]
    # Differences 0 and -1, test/train 1 in both folds: t = -.5 / sqrt((1/2 + 1) * 1/2), 1 degree.
    assert auroc["t"] == pytest.approx(-0.5 / np.sqrt(0.75))
    assert auroc["p_t"] == pytest.approx(1 - 2 / np.pi * np.arctan(0.5 / np.sqrt(0.75)))
    with pytest.raises(ValueError, match="'best': expected one of good, poor"):
        paper_tables.compare(two_losses(), "loss", "best")


def test_table3_has_every_model_with_its_interval():
    test = two_losses().rename(columns={"loss": "model"})
    table = paper_tables.table3(test, resamples=200).set_index(["model", "metric"])
    good = table.loc[("good", "auroc")].tolist()
    assert good == pytest.approx([1, 0.3976, 1, 0], abs=1e-4)  # of 4 videos: 0.025 ** (1 / 4)
    # Pooled: 2 of the 4 videos are right; their invisible frames beat half of the visible ones.
    assert table.loc[("poor", "auroc"), "estimate"] == 0.5
    low, high = table.loc[("poor", "auroc")][["low", "high"]]
    assert 0 < low < 0.1 < 0.9 < high < 1  # two videos all right, two all wrong


def test_metrics_of_each_fold():
    values = paper_tables.fold_metrics(two_losses()).set_index(["loss", "fold", "metric"])["value"]
    assert values[("poor", 0, "auroc")] == 1
    assert values[("poor", 1, "auroc")] == 0
    assert len(values) == 2 * 2 * 2


def test_a_fold_of_one_class_leaves_no_mean():
    # Its metric is undefined: the mean of the other folds would be another number's name.
    torn = two_losses()
    torn.loc[torn["fold"] == 1, "target"] = 1
    with pytest.warns(UndefinedMetricWarning, match="all 4 frames are invisible"):
        table = paper_tables.table2(torn, resamples=20)
    assert table[["mean", "sd", "low", "high"]].isna().all(axis=None)
    assert (table["left_out"] == 1).all()
