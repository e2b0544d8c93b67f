"""Which labelled frames show the guideline best (the paper's Fig. 1)."""

import pandas as pd

from clipassistnet.evaluation.subgroups import describe
from clipassistnet.evaluation.targets import with_target

KINDS = {"metal": "metal", "polymer": "polymer", "": "clip applier"}


def examples(
    labels: pd.DataFrame, videos: pd.DataFrame, annotations: pd.DataFrame, count: int = 12
) -> pd.DataFrame:
    """At most `count` frames: for each kind of applier a visible one, then one for each cause.

    Returns video, frame, label, title. Frames on which all annotators agree come first, then those
    in the middle of their video. A cause that more frames have comes earlier.

    Args:
        labels: of notebook 01: video, frame, label, annotators, dissent.
        videos, annotations: of the dataset.
    """
    judged = with_target(labels.assign(score=0.0), absent="leave out")
    known = describe(judged.drop(columns=["annotators", "dissent"]), videos, annotations, labels)
    known["disputed"] = (known["agreement"] == "disputed").astype(int)
    middle = known.groupby("video")["frame"].transform("median")
    known["off_centre"] = (known["frame"] - middle).abs()
    kind = ["clipper", "label", "cause"]
    known["frequent"] = known.groupby(kind)["video"].transform("size")
    known = known.sort_values(["disputed", "off_centre", "video", "frame"])
    chosen = known.drop_duplicates(kind)
    chosen = chosen.sort_values(["target", "frequent", "clipper"], ascending=[True, False, True])
    chosen = chosen.head(count)
    words = chosen["cause"].str.replace("_", " ").where(chosen["target"] == 1, "tips visible")
    title = chosen["clipper"].map(KINDS) + ": " + words
    return chosen[["video", "frame", "label"]].assign(title=title).reset_index(drop=True)
