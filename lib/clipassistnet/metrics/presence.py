"""Is a clip applier in the picture? How well a network tells, and how well `live` arms by it.

Here, and only here, `target` is 1 where there is a clip applier, and `score` is p(clip applier).
"""

import pandas as pd


def with_target(frames: pd.DataFrame) -> pd.DataFrame:
    """The frames with a column `target`, 1 = a clip applier is in the picture, made from `label`.

    `label`: visible, invisible or absent. A target that is there already is replaced.
    """
    return frames.assign(target=(frames["label"] != "absent").astype("int64"))
