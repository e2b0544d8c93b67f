"""Metrics of subgroups: clipper, cause of invisibility, patient, length of the video, agreement."""

from typing import Unpack

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from clipassistnet.evaluation.discrimination import auroc, rates
from clipassistnet.evaluation.intervals import Interval
from clipassistnet.evaluation.resampling import Draws, Sampling, bootstrap
from clipassistnet.evaluation.targets import ensure_target, one_class

GROUPINGS = "clipper", "cause", "length", "agreement", "patient"


def describe(
    predictions: pd.DataFrame,
    videos: pd.DataFrame,
    annotations: pd.DataFrame,
    labels: pd.DataFrame,
) -> pd.DataFrame:
    """Predictions with a target and the columns of GROUPINGS; "" where a group is not known.

    - clipper, patient: of the video (videos.csv)
    - cause: of an invisible frame, the cause that most annotators gave who called it invisible
      (ties: the first by name); "not given" where none gave one; "" of a visible frame
    - length: third of the videos by their number of judged frames
    - agreement: "unanimous", "disputed", or "one annotator" (labels of notebook 01)
    """
    table = ensure_target(predictions)
    known = videos.set_index("video")
    table = table.assign(
        clipper=table["video"].map(known["clipper"]).fillna(""),
        patient=table["video"].map(known["patient"]),
        length=table["video"].map(_tertiles(table.groupby("video").size())),
    )
    frame = ["video", "frame"]
    agreement = np.select(
        [labels["annotators"] == 1, labels["dissent"] > 0],
        ["one annotator", "disputed"],
        "unanimous",
    )
    agreement = labels[frame].assign(agreement=agreement)
    table = table.merge(agreement, on=frame, how="left", validate="one_to_one")
    table = table.merge(_causes(annotations), on=frame, how="left", validate="one_to_one")
    cause = table["cause"].fillna("not given").where(table["target"] == 1, "")
    return table.assign(cause=cause, agreement=table["agreement"].fillna(""))


def subgroups(
    frames: pd.DataFrame,
    alarm: ArrayLike,
    *,
    by: str = "video",
    **sampling: Unpack[Draws],
) -> pd.DataFrame:
    """One row per subgroup, "all" first.

    grouping, group, frames, videos, auroc, low, high, left_out, sensitivity, specificity.

    `frames` as from `describe`. A cause has invisible frames only: its AUROC compares them with all
    visible frames, and it has no specificity. Intervals are over videos, nan where there is only
    one. Sensitivity and specificity are those of `alarm`, bool (frames,): which frames warn.
    """
    frames = frames.assign(alarm=np.asarray(alarm))
    rows = [{"grouping": "all", "group": "all", **_judge(frames, by=by, **sampling)}]
    for grouping in GROUPINGS:
        for group in sorted(set(frames[grouping]) - {""}):
            part = frames[frames[grouping] == group]
            judged = part
            if grouping == "cause":
                judged = pd.concat([part, frames[frames["target"] == 0]])
            row = _judge(judged, by=by, **sampling)
            if grouping == "cause":
                row |= {"frames": len(part), "videos": part["video"].nunique()}
                row["specificity"] = np.nan
                if (
                    part[by].nunique() == 1
                ):  # other patients' visible frames say nothing about the cause
                    row |= {"low": np.nan, "high": np.nan, "left_out": np.nan}
            rows.append({"grouping": grouping, "group": group, **row})
    return pd.DataFrame(rows)


def _judge(frames: pd.DataFrame, **sampling: Unpack[Sampling]) -> dict:
    found = rates(frames["target"], frames["alarm"].astype(float), 0.5)  # alarms are 0 or 1
    row = {"frames": len(frames), "videos": frames["video"].nunique()}
    interval = Interval(np.nan, np.nan, np.nan)
    if not one_class(frames["target"].to_numpy()):
        interval = bootstrap(frames, auroc, **sampling)
    row |= dict(zip(("auroc", "low", "high", "left_out"), interval, strict=True))
    return row | {name: found[name] for name in ("sensitivity", "specificity")}


def _causes(annotations: pd.DataFrame) -> pd.DataFrame:
    rows = annotations[annotations["label"] == "invisible"]
    if "cause" not in rows:
        return pd.DataFrame(columns=["video", "frame", "cause"])
    rows = rows[~rows["cause"].fillna("").isin(["", "none"])]
    votes = rows.groupby(["video", "frame", "cause"]).size().reset_index(name="votes")
    votes = votes.sort_values(["votes", "cause"], ascending=[False, True])
    return votes.drop_duplicates(["video", "frame"])[["video", "frame", "cause"]]


def _tertiles(frames: pd.Series) -> pd.Series:
    """The shortest, middle or longest third of the videos (index) by their frames."""
    rank = frames.rank(method="first") - 1
    third = (rank * 3 // len(frames)).astype(int)
    return third.map({0: "1 shortest third", 1: "2 middle third", 2: "3 longest third"})
