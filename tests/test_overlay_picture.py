"""The README's picture shows frames whose label is certain."""

import pandas as pd
import pytest

from overlay_picture import STEADY, _steady


def truth(*stretches: tuple[str, int, int]) -> pd.DataFrame:
    rows = [(label, area) for label, area, frames in stretches for _ in range(frames)]
    return pd.DataFrame(rows, columns=["label", "area"])


def test_the_frame_of_the_largest_clip_applier_far_from_a_change_of_label():
    table = truth(
        ("visible", 9, 70), ("invisible", 5, 40), ("visible", 7, 10), ("invisible", 6, 40)
    )
    assert 120 + STEADY <= _steady(table, "invisible") < 160 - STEADY
    assert _steady(table, "visible") == 4 * STEADY


def test_a_video_without_a_steady_stretch_is_refused():
    with pytest.raises(SystemExit, match="never invisible"):
        _steady(truth(("visible", 9, 60), ("invisible", 5, 10)), "invisible")
