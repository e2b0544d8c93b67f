"""Where the clip applier is: its boxes in boxes.csv, as shares of the frame."""

import numpy as np
import pandas as pd

from clipassistnet.data import video_source
from clipassistnet.data.dataset import Dataset
from clipassistnet.data.schema import CORNERS

KEY = ["video", "frame"]
TOOL = "Clipper"
FILE = "boxes.parquet"  # in which notebook 02 keeps them for all trainings of a study


def of_clip_applier(data: Dataset) -> pd.DataFrame:
    """Box of the clip applier of each frame that has one, as shares of the frame.

    Of several boxes in a frame the largest counts. No rows where the dataset has no such box.
    """
    table = data.boxes
    if table is None or not (table["tool"] == TOOL).any():
        none = pd.DataFrame(columns=[*KEY, *CORNERS])
        return none.astype({"frame": int, **dict.fromkeys(CORNERS, float)})
    table = table[table["tool"] == TOOL].astype(dict.fromkeys(CORNERS, float))
    firsts = table.groupby("video")["frame"].first()
    shapes = {
        video: video_source.original(data, video, frame).shape for video, frame in firsts.items()
    }
    sides = np.array([shapes[video][1::-1] for video in table["video"]])  # width, height
    table[CORNERS] /= np.tile(sides, 2)
    area = (table["x1"] - table["x0"]) * (table["y1"] - table["y0"])
    largest = table.assign(area=area).sort_values("area").drop_duplicates(KEY, keep="last")
    return largest.sort_values(KEY)[[*KEY, *CORNERS]].reset_index(drop=True)
