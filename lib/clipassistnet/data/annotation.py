"""Agreement of the annotators, and the labels on which training and evaluation rest.

After Aspart et al. (2022). The functions take the rows of annotations.csv: video, frame, annotator,
label, and optionally cause.
"""

from collections.abc import Collection

import numpy as np
import pandas as pd

from clipassistnet.data.schema import CLASSES, LABELS

FRAME = ["video", "frame"]
EVERY = "*"  # stands for all annotators, each of whom trains


def consensus(
    annotations: pd.DataFrame,
    training_annotator: str = "",
    adjudications: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """One row a frame: video, frame, label, annotators, dissent, training_label.

    `label` is the label of more than half of the frame's votes. An adjudication (adjudications.csv)
    is one more vote, and decides where there is no such majority. Where nothing decides, the frame
    is invisible, by the guideline's rule for frames on which one cannot conclude. `dissent` counts
    the annotators (not the adjudications) who differ from `label`. `training_label` is the label of
    `training_annotator` on the frames that this annotator labelled, and `label` on all others. With
    "*" it is the labels of all annotators, joined by "+": `folds.split` makes a row of each.
    """
    own = _votes(annotations)
    decided = own * 0
    if adjudications is not None and len(adjudications):
        decided = _votes(adjudications).reindex(own.index, fill_value=0)
    votes = own + decided
    label = _majority(votes, _majority(decided, "invisible"))
    agreeing = own.to_numpy()[np.arange(len(own)), own.columns.get_indexer(label)]
    annotators = own.sum(axis=1)
    frames = pd.DataFrame(
        {"label": label, "annotators": annotators, "dissent": annotators - agreeing}
    )
    frames["training_label"] = frames["label"]
    if training_annotator == EVERY:
        ordered = annotations.sort_values("annotator").groupby(FRAME)["label"]
        frames["training_label"] = ordered.agg("+".join)
    elif training_annotator:
        own = _of(annotations, training_annotator).set_index(FRAME)["label"]
        frames.loc[own.index, "training_label"] = own
    return frames.reset_index()


def _majority(votes: pd.DataFrame, otherwise: pd.Series | str) -> pd.Series:
    """The label of more than half of the votes, `otherwise` where there is none."""
    return votes.idxmax(axis=1).where(votes.max(axis=1) * 2 > votes.sum(axis=1), otherwise)


def table1(annotations: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """Table 1: one row a split and annotator, "majority" first, then every annotator.

    Columns: split ("undecided" where videos.csv leaves it empty), annotator, videos, frames,
    visible (share of frames), absent (frames without a clip applier, which `frames` leaves out),
    and frames_mean, frames_sd, frames_min and frames_max (frames a video).
    """
    split = videos.set_index("video")["split"].replace("", "undecided")
    unknown = sorted(set(annotations["video"]) - set(split.index))
    if unknown:
        raise ValueError(f"annotated videos {unknown[:5]} are not in the table of videos")
    majority = consensus(annotations)[[*FRAME, "label"]].assign(annotator="majority")
    labels = pd.concat([majority, annotations[[*FRAME, "label", "annotator"]]])
    labels["split"] = labels["video"].map(split)
    groups = labels.groupby(["split", "annotator"], sort=False)
    rows = [{"split": s, "annotator": a, **_described(rows)} for (s, a), rows in groups]
    table = pd.DataFrame(rows)
    first = table["annotator"] != "majority"
    order = table.assign(first=first).sort_values(["split", "first", "annotator"]).index
    return table.loc[order].reset_index(drop=True)


def agreement(annotations: pd.DataFrame) -> dict:
    """Agreement on the triple-annotated frames, by the paper's definitions.

    - no_full_agreement: share of frames on which at least one annotator differs
    - error_rates: {annotator: share of the annotator's frames on which the other two agree with
      each other and not with this one}; mean_error_rate: their mean. Where the same three label
      every frame, one annotator differs on each disputed frame, so the mean is a third of
      no_full_agreement
    - agreed_error_rates: the same, as a share of only those frames on which the other two agree;
      nan where they never do. mean_agreed_error_rate: their mean, the paper's 6.8 %
    - fleiss_kappa: Fleiss, Psychol Bull 76 (1971)
    - frames: number of frames; left_out_absent: frames with three annotators, at least one of whom
      saw no clip applier; left_out_not_triple: frames with fewer or more than three annotators

    Shares are nan where no frame is left.
    """
    votes, left_out = _triple(annotations)
    rows = annotations.join(votes, on=FRAME, how="inner")
    # Votes for the annotator's own label: 3 agree, 2: another annotator differs, 1: this one does.
    own = rows["visible"].where(rows["label"] == "visible", rows["invisible"])
    differs = (own == 1).groupby(rows["annotator"])
    errors = differs.mean()
    agreed = differs.sum() / (own != 2).groupby(rows["annotator"]).sum()  # 0 / 0 is nan
    return {
        "frames": len(votes),
        **left_out,
        "no_full_agreement": float((votes.min(axis=1) > 0).mean()),
        "error_rates": {str(name): float(rate) for name, rate in errors.items()},
        "mean_error_rate": float(errors.mean()),
        "agreed_error_rates": {str(name): float(rate) for name, rate in agreed.items()},
        "mean_agreed_error_rate": float(agreed.mean()),
        "fleiss_kappa": fleiss_kappa(votes.to_numpy()),
    }


def fleiss_kappa(counts: np.ndarray) -> float:
    """Fleiss' kappa (Fleiss, 1971) of counts (subjects, categories).

    nan without subjects, and where all ratings fall into one category.

    Raises:
        ValueError: where subjects have different numbers of ratings, or fewer than two.
    """
    counts = np.asarray(counts, dtype=float)
    if not len(counts):
        return float("nan")
    raters = counts[0].sum()
    if raters < 2 or not np.all(counts.sum(axis=1) == raters):
        raise ValueError("expected the same number of ratings, at least 2, for every subject")
    observed = ((counts**2).sum(axis=1) - raters).mean() / (raters * (raters - 1))
    chance = ((counts.sum(axis=0) / counts.sum()) ** 2).sum()
    return float((observed - chance) / (1 - chance)) if chance < 1 else float("nan")


def confusion(annotations: pd.DataFrame, annotator: str = "") -> pd.DataFrame:
    """Counts for `transition`, by video: video, truth, observed, frames.

    Truth is the majority label of the triple-annotated frames. Observed are the labels of all
    annotators ("" or "*"), or of the given one.
    """
    votes, _ = _triple(annotations)
    if votes.empty:
        return pd.DataFrame(columns=["video", "truth", "observed", "frames"])
    truth = votes.idxmax(axis=1).rename("truth")
    rows = annotations if annotator in ("", EVERY) else _of(annotations, annotator)
    rows = rows.join(truth, on=FRAME, how="inner").rename(columns={"label": "observed"})
    return rows.groupby(["video", "truth", "observed"]).size().rename("frames").reset_index()


def transition(confusion: pd.DataFrame, videos: Collection[str] | None = None) -> np.ndarray:
    """T[i, j] = P(observed j | true i), shape (2, 2), rows sum to 1, order visible, invisible.

    The majority includes the annotator's own vote, so T underestimates the label noise.

    Args:
        confusion: the counts of the function `confusion`.
        videos: count these only; they must lie outside the fold that is judged. None: all.

    Without any count (fewer than three annotators) no noise is known, and T is the identity: the
    noise-corrected loss is cross-entropy then (`explain_noise`).

    Raises:
        ValueError: where there are counts, but one of the classes does not occur.
    """
    if confusion.empty:
        return np.eye(len(CLASSES))
    rows = confusion if videos is None else confusion[confusion["video"].isin(list(videos))]
    counts = rows.pivot_table(index="truth", columns="observed", values="frames", aggfunc="sum")
    counts = counts.reindex(index=CLASSES, columns=CLASSES).fillna(0).to_numpy(dtype=float)
    for name, total in zip(CLASSES, counts.sum(axis=1), strict=True):
        if not total:
            raise ValueError(f"no triple-annotated frame is {name} by majority: T has no such row")
    return counts / counts.sum(axis=1, keepdims=True)


def explain_agreement(annotations: pd.DataFrame) -> str:
    """What the annotators of a data set allow to say of their agreement, in a sentence or two."""
    votes = _votes(annotations)
    judged = votes.loc[votes["absent"] == 0, list(CLASSES)]
    several = judged[judged.sum(axis=1) > 1]
    triple = int((judged.sum(axis=1) == 3).sum())
    if triple:
        return f"{triple} frames have three labels: agreement and label noise are measured on them."
    missing = "an annotator's error rate and the label confusion matrix need three annotators"
    if several.empty:
        return f"One label a frame: nothing is known of the agreement ({missing})."
    differ = (several.min(axis=1) > 0).mean()
    kappa = fleiss_kappa(several[several.sum(axis=1) == 2].to_numpy())
    return (
        f"Two labels on {len(several)} frames: they differ on {differ:.1%}, kappa {kappa:.2f}. "
        f"Who is right is not known: {missing}."
    )


def explain_noise(confusion: pd.DataFrame) -> str:
    """What the label noise of a data set is counted on, in a sentence."""
    if len(confusion):
        return f"Label noise: counted on {confusion['frames'].sum()} labels of triple frames."
    return (
        "No frame has three labels, so no label noise is known: the noise-corrected loss takes "
        "the identity for the label confusion matrix and is BCE under another name."
    )


def disputed(annotations: pd.DataFrame) -> pd.DataFrame:
    """Disputed frames by cause, most disputed first: cause, frames, disputed, share.

    `frames` counts the triple-annotated frames that at least one annotator calls invisible for this
    cause. `disputed` counts those without full agreement, and `share` is their share. A frame with
    several causes counts under each of them. Labels without a cause count as "not given".
    """
    votes, _ = _triple(annotations)
    rows = annotations[annotations["label"] == "invisible"]
    cause = rows["cause"] if "cause" in rows else pd.Series("", index=rows.index)
    rows = rows.assign(cause=cause.fillna("").replace("", "not given"))
    rows = rows.drop_duplicates([*FRAME, "cause"])
    rows = rows.join((votes["visible"] > 0).rename("disputed"), on=FRAME, how="inner")
    table = rows.groupby("cause")["disputed"].agg(frames="size", disputed="sum", share="mean")
    return table.sort_values(["disputed", "frames"], ascending=False).reset_index()


def review_actions(actions: pd.DataFrame) -> dict:
    """The surgeon's review of clipping actions (rows of actions.csv), as the paper reports it.

    Seen means that the tip was visible before clipping.

    Returns:
        Counts (actions, videos, safe, seen, safe_and_seen) and shares (safe_share of all actions,
        seen_among_safe, safe_among_seen); a share of nothing is nan.

    Raises:
        ValueError: for a value that is neither 0 nor 1.
    """
    judged = actions[["tip_visible_before", "safe"]]
    unknown = judged[~judged.isin([0, 1]).all(axis=1)]
    if len(unknown):
        raise ValueError(
            f"{len(unknown)} actions with {unknown.iloc[0].to_dict()} or the like: expected 0 or 1"
        )
    seen, safe = (judged[column].astype(bool) for column in judged)
    return {
        "actions": len(actions),
        "videos": actions["video"].nunique(),
        "safe": int(safe.sum()),
        "seen": int(seen.sum()),
        "safe_and_seen": int((safe & seen).sum()),
        "safe_share": float(safe.mean()),
        "seen_among_safe": float(seen[safe].mean()),
        "safe_among_seen": float(safe[seen].mean()),
    }


def _votes(annotations: pd.DataFrame) -> pd.DataFrame:
    """Number of votes for each label: index video and frame, one column a label."""
    twice = annotations[annotations.duplicated([*FRAME, "annotator"])]
    if len(twice):
        row = twice.iloc[0].to_dict()
        raise ValueError(f"annotations: {row}: expected one label of an annotator for each frame")
    unknown = sorted({str(label) for label in annotations["label"]} - set(LABELS))
    if unknown:
        raise ValueError(f"labels {unknown}: expected visible, invisible or absent")
    votes = annotations.groupby([*FRAME, "label"]).size().unstack(fill_value=0)
    return votes.reindex(columns=list(LABELS), fill_value=0)


def _triple(annotations: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, int]]:
    """Votes (visible, invisible) of the triple-annotated frames, and counts of the others."""
    votes = _votes(annotations)
    triple = votes.sum(axis=1) == 3
    absent = votes["absent"] > 0
    left_out = {
        "left_out_absent": int((triple & absent).sum()),
        "left_out_not_triple": int((~triple).sum()),
    }
    return votes.loc[triple & ~absent, list(CLASSES)], left_out


def _of(annotations: pd.DataFrame, annotator: str) -> pd.DataFrame:
    own = annotations[annotations["annotator"] == annotator]
    if own.empty:
        names = sorted(annotations["annotator"].unique())
        raise ValueError(f"annotator {annotator!r}: expected one of {', '.join(names)}")
    return own


def _described(labels: pd.DataFrame) -> dict[str, float]:
    judged = labels[labels["label"] != "absent"]
    per_video = judged.groupby("video").size()
    return {
        "videos": labels["video"].nunique(),
        "frames": len(judged),
        "visible": (judged["label"] == "visible").mean(),
        "absent": len(labels) - len(judged),
        "frames_mean": per_video.mean(),
        "frames_sd": per_video.std(ddof=1),
        "frames_min": per_video.min(),
        "frames_max": per_video.max(),
    }
