"""tools/robustness.py: each shift changes the picture, and the table says by how much scores do."""

import numpy as np
import pandas as pd
import pytest

import robustness


@pytest.mark.parametrize(
    "name", [name for name in robustness.SHIFTS if name != robustness.AS_IT_IS]
)
def test_a_shift_is_another_picture_of_the_same_size(name):
    frame = np.random.default_rng(0).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    before = frame.copy()
    shown = robustness.SHIFTS[name](frame)
    assert shown.shape == frame.shape
    assert shown.dtype == np.uint8
    assert (shown != frame).any()
    assert (frame == before).all()
    np.testing.assert_array_equal(shown, robustness.SHIFTS[name](frame))


def judged() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame([(v, f) for v in "abcdef" for f in range(10)], columns=["video", "frame"])
    table = table.assign(patient=table["video"], target=table["frame"] % 2, recipe="paper")
    parts = []
    for name in robustness.SHIFTS:
        noise = 0.0 if name == robustness.AS_IT_IS else 1.0 if name == "blurred" else 0.1
        score = table["target"] + noise * rng.normal(size=len(table))
        parts.append(table.assign(shift=name, score=score))
    return pd.concat(parts, ignore_index=True)


def test_the_table_has_the_auroc_of_each_shift_and_its_change():
    rows = robustness.table(judged()).set_index("shift")
    assert list(rows.index) == list(robustness.SHIFTS)
    assert rows.loc[robustness.AS_IT_IS, "auroc"] == 1
    assert rows.loc[robustness.AS_IT_IS, "change"] == 0
    blurred = rows.loc["blurred"]
    assert blurred["auroc"] < 0.95
    assert blurred["change"] == pytest.approx(blurred["auroc"] - 1, abs=1e-4)
    assert blurred["change_low"] < blurred["change"] < blurred["change_high"]
    figure = robustness.draw(rows.reset_index())
    assert "n = 60 frames" in figure.axes[0].get_xlabel()
