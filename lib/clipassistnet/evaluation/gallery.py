"""Which labelled frames show the guideline best (the paper's Fig. 1)."""

import pandas as pd

from clipassistnet.data.dataset import Dataset
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


def failures(
    judged: pd.DataFrame, data: Dataset, labels: pd.DataFrame, count: int = 12
) -> pd.DataFrame:
    """The most confident wrong prediction of each kind of applier and cause, the worst first.

    Returns video, frame, label, title; empty where every frame is judged right.

    Args:
        judged: video, frame, label, target, score, each frame once.
        data, labels: as of `examples`.
    """
    wrong = judged[(judged["score"] >= 0.5) != (judged["target"] == 1)]
    if wrong.empty:
        return pd.DataFrame(columns=["video", "frame", "label", "title"])
    known = describe(wrong[["video", "frame", "label", "target", "score"]], data.videos,
                     data.annotations, labels)  # fmt: skip
    known["confidence"] = (known["score"] - 0.5).abs()
    known = known.sort_values(["confidence", "video", "frame"], ascending=[False, True, True])
    chosen = known.drop_duplicates(["clipper", "target", "cause"]).head(count)
    cause = chosen["cause"].str.replace("_", " ")
    missed = "missed, " + cause
    title = missed.where(chosen["target"] == 1, "false alarm")
    title = title + chosen["score"].map(", p {:.2f}".format)
    return chosen[["video", "frame", "label"]].assign(title=title).reset_index(drop=True)


def most_confident(judged: pd.DataFrame, each: int) -> pd.DataFrame:
    """The most confident predictions of each kind, at most one a video: rows with `kind`.

    A "false alarm" has visible tips and a score from 0.5 on; a "missed" frame has invisible tips
    and a lower score.
    """
    names = pd.Series(["right visible", "false alarm", "missed", "right invisible"])
    kind = names[2 * judged["target"] + (judged["score"] >= 0.5)].to_numpy()
    rows = judged.assign(kind=kind, confidence=(judged["score"] - 0.5).abs())
    order = ["kind", "confidence", "video", "frame"]
    rows = rows.sort_values(order, ascending=[True, False, True, True])
    chosen = rows.drop_duplicates(["kind", "video"]).groupby("kind").head(each)
    return chosen.drop(columns="confidence").reset_index(drop=True)


def extremes(judged: pd.DataFrame, count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The frames of the highest loss, and those of the lowest: at most `count`, or half, of each.

    Each sorted from the most extreme on. The loss is the cross-entropy of a frame's own label.
    """
    p = judged["score"].where(judged["target"] == 1, 1 - judged["score"])
    ordered = judged.assign(p=p).sort_values(["p", "video", "frame"]).drop(columns="p")
    count = min(count, len(judged) // 2)
    return ordered.head(count), ordered.tail(count)[::-1]
