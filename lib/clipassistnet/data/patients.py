"""Which patient each video of a public data set shows: `patients.csv`.

Several data sets contain the same operations under different names, and a model must never be
judged on a patient it was trained on. So every importer writes the same patient id for the same
operation, whatever its name, and the leakage gate (`leakage.check`) finds it in two subsets.

CholecT50 numbers its videos as Cholec80 does (its documentation says so; its numbers above 80
belong to the larger, unpublished Cholec120). v01 to v10 of m2cai16-tool-locations are Cholec80's
videos 67 to 76. For v04 and VID70 the boxes prove it: in the 164 seconds that both data sets label,
they are identical.
"""

from functools import cache
from pathlib import Path

import pandas as pd


@cache
def known() -> pd.DataFrame:
    """One row a video of a public data set: dataset, video, patient."""
    return pd.read_csv(Path(__file__).with_name("patients.csv"), dtype="str")


def patients(dataset: str) -> dict[str, str]:
    """Patient of each video of one data set ("cholec80", "cholect50", "m2cai16-tool-locations").

    Empty for any other data set.
    """
    rows = known()
    rows = rows[rows["dataset"] == dataset]
    return dict(zip(rows["video"], rows["patient"], strict=True))
