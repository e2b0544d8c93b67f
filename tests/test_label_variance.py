"""How much of the label the patient decides: by hand."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.data import label_variance


def study(**patients: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels and videos of patients, whose frames are given as letters: v, i or a."""
    names = {"v": "visible", "i": "invisible", "a": "absent"}
    rows = [(f"v_{p}", names[c]) for p, letters in patients.items() for c in letters]
    videos = pd.DataFrame({"video": [f"v_{p}" for p in patients], "patient": [*patients]})
    return pd.DataFrame(rows, columns=["video", "label"]), videos


def test_by_hand():
    shares = label_variance.invisible_shares(*study(a="iiiv", b="ivvva", c="vivi"))
    assert shares["frames"].tolist() == [4, 4, 4]
    assert shares["invisible"].tolist() == [0.75, 0.25, 0.5]
    found = label_variance.label_variance(shares)
    # Mean 0.5, total variance 0.25; between: (0.0625 + 0.0625 + 0) / 3.
    assert found.between == pytest.approx(0.125 / 3 / 0.25)
    assert found.by_chance == pytest.approx(2 / 11)
    assert found.sd == pytest.approx(0.25)
    assert (found.lowest, found.highest) == (0.25, 0.75)


def test_a_patient_with_two_videos_counts_once():
    labels, videos = study(a="iv", b="vv")
    both = label_variance.invisible_shares(labels, videos.assign(patient="one"))
    assert both["invisible"].tolist() == [0.25]
    assert label_variance.label_variance(both).between == 0


def test_the_patient_decides_everything_or_nothing():
    decided = label_variance.label_variance(label_variance.invisible_shares(*study(a="ii", b="vv")))
    assert decided.between == 1
    assert "partly given away by the patient" in label_variance.finding(decided)
    alike = label_variance.label_variance(label_variance.invisible_shares(*study(a="iv", b="iv")))
    assert alike.between == 0
    assert "says little about the label" in label_variance.finding(alike)


def test_one_label_alone_has_no_variance():
    found = label_variance.label_variance(label_variance.invisible_shares(*study(a="ii", b="i")))
    assert np.isnan(found.between)
