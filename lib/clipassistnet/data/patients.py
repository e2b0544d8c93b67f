"""Which patient each video of a public data set shows: `patients.csv`.

The same operations come in several data sets under several names, and a model must never be judged
on a patient it was trained on. So every importer writes the same patient's id for the same
operation, and the leakage gate (`folds.check`) sees through the names.

Cholec80 and CholecT50 number their videos alike (CholecT50's documentation says so; its numbers
above 80 are of the larger, unpublished Cholec120). v01 to v10 of m2cai16-tool-locations are
Cholec80's videos 67 to 76. For v04 and VID70 the boxes prove it: those of the 164 seconds in both
are identical.
"""

from functools import cache
from pathlib import Path

import pandas as pd


@cache
def known() -> pd.DataFrame:
    """One row a video: dataset, video, patient."""
    return pd.read_csv(Path(__file__).with_name("patients.csv"), dtype="str")


def patients(dataset: str) -> dict[str, str]:
    """Patient by video of one data set ("cholec80", "cholect50", "m2cai16-tool-locations")."""
    rows = known()
    rows = rows[rows["dataset"] == dataset]
    return dict(zip(rows["video"], rows["patient"], strict=True))
