"""Labels that are probably wrong, found by scores of networks that did not train on them.

Two published methods: confident learning (Northcutt, Jiang & Chuang, J Artif Intell Res 70, 2021)
ranks frames; CROWDLAB (Goh, Tkachenko & Mueller, 2022) weighs several annotators and the network
against each other. The package cleanlab has both, but its licence is the AGPL, unlike this
project's; the parts that are needed here are short.
"""

import numpy as np
import pandas as pd

from clipassistnet.data.schema import CLASSES

FRAME = ["video", "frame"]


def out_of_sample(predictions: pd.DataFrame) -> pd.DataFrame:
    """One row per frame: video, frame, score (mean of the members that did not train on it).

    `predictions` holds validation and test rows of all folds; validation frames have one member.
    """
    rows = predictions[predictions["split"].isin(["validation", "test"])]
    return rows.groupby(FRAME, sort=True, as_index=False)["score"].mean()


def doubted(predictions: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The ranking (`rank`) of all frames with a clip applier, and the scores it rests on.

    `predictions` as for `out_of_sample`, with label.
    """
    unseen = out_of_sample(predictions)
    labelled = unseen.merge(predictions[[*FRAME, "label"]].drop_duplicates())
    return rank(labelled[labelled["label"] != "absent"]), unseen


def rank(frames: pd.DataFrame) -> pd.DataFrame:
    """The frames, sorted: those whose label is most probably wrong come first.

    Args:
        frames: video, frame, label (visible, invisible), score: p(invisible) out of sample.

    Returns:
        video, frame, label, suggested (the other label), quality, issue, score. `quality` is the
        probability of the given label, after both classes were brought to the same mean: a network
        with low scores for a rare class would doubt all its labels. `issue`: confident learning
        counts the label as wrong. That is, the other class is at least as probable as it is on
        average for frames with its label, and by this measure the more probable of the two.
    """
    label = frames["label"]
    unknown = sorted(set(label) - set(CLASSES))
    if unknown or label.nunique() < 2:
        raise ValueError(f"labels {sorted(set(label))}: expected both visible and invisible")
    given = (label == "invisible").to_numpy().astype(int)
    probable = np.column_stack([1 - frames["score"], frames["score"]])
    own = probable[np.arange(len(frames)), given]
    usual = np.array([own[given == k].mean() for k in (0, 1)])
    margin = probable - usual
    other = 1 - given
    index = np.arange(len(frames))
    table = frames[[*FRAME, "label", "score"]].assign(
        suggested=np.array(CLASSES)[other],
        quality=(1 + margin[index, given] - margin[index, other]) / 2,
        issue=(margin[index, other] >= 0) & (margin[index, other] > margin[index, given]),
    )
    table["quality"] = table["quality"].clip(0, 1)
    order = table.assign(raw=margin[index, given] - margin[index, other]).sort_values(
        ["raw", *FRAME]
    )
    columns = [*FRAME, "label", "suggested", "quality", "issue", "score"]
    return order[columns].reset_index(drop=True)


def success(ranking: pd.DataFrame, truth: pd.DataFrame, first: int = 100) -> dict[str, float]:
    """How many wrong labels the audit finds where the truth is known (simulated data).

    frames, errors (labels that differ from truth), chance (their share), first, found (errors
    among the first), precision, lift (precision over chance; nan where no label is wrong), issues
    and issues_wrong (frames marked as issues, and the share of them that is wrong).

    Args:
        ranking: as from `rank`.
        truth: video, frame, label of at least these frames.
        first: how many frames at the top of the ranking are checked.
    """
    known = ranking.merge(truth[[*FRAME, "label"]], on=FRAME, suffixes=("", "_true"), how="left")
    if known["label_true"].isna().any():
        raise ValueError(f"{known['label_true'].isna().sum()} frames have no truth")
    wrong = known["label"] != known["label_true"]
    head = wrong.head(first)
    return {
        "frames": len(known),
        "errors": int(wrong.sum()),
        "chance": float(wrong.mean()),
        "first": len(head),
        "found": int(head.sum()),
        "precision": float(head.mean()),
        "lift": float(head.mean() / wrong.mean()) if wrong.any() else float("nan"),
        "issues": int(known["issue"].sum()),
        "issues_wrong": float(wrong[known["issue"]].mean()),
    }


def crowd(annotations: pd.DataFrame, scores: pd.DataFrame) -> pd.DataFrame:
    """CROWDLAB beside the majority: one row per frame with several annotators and a score.

    Every annotator and the network give a probability for each class. The weight of each says how
    much better it agrees with the majority than a constant answer, the more frequent class, does.

    Args:
        annotations: video, frame, annotator, label; frames with the label absent are left out.
        scores: video, frame, score, as from `out_of_sample`.

    Returns:
        video, frame, majority (ties: invisible), label (the model's), invisible (its p), changed.
        `attrs["weights"]` holds the weight of each annotator and of the network, which sum to 1.
    """
    votes = annotations.pivot(index=FRAME, columns="annotator", values="label")
    votes = votes[~(votes == "absent").any(axis=1) & (votes.notna().sum(axis=1) > 1)]
    table = votes.join(scores.set_index(FRAME)["score"], how="inner")
    if table.empty:
        raise ValueError("no frame has several annotators and a score")
    chosen = table[votes.columns]
    given, says = chosen.notna().to_numpy(), (chosen == "invisible").to_numpy()
    network = table["score"].to_numpy()
    count = given.sum(axis=1)
    majority = 2 * says.sum(axis=1) >= count
    agreement = _agreement(given, says)
    # Skill over the constant answer: 1 is perfect, 0 is no better.
    constant = 1 - max(majority.mean(), 1 - majority.mean())
    floor = max(constant, 0.5 / len(table))
    skill = np.clip(
        1 - (1 - np.append(agreement, np.mean((network >= 0.5) == majority))) / floor, 0, 1
    )
    skill[-1] *= np.sqrt(count.mean())
    trust = np.mean((says == majority[:, None])[given])
    each = np.where(says, trust, 1 - trust)
    weights = np.where(given, skill[:-1], 0)
    total = weights.sum(axis=1) + skill[-1]
    mean = (weights * each).sum(axis=1) + skill[-1] * network
    p = np.where(total > 0, mean / np.where(total > 0, total, 1), majority)
    names = np.array(CLASSES)
    result = table.reset_index()[FRAME].assign(
        majority=names[majority.astype(int)], label=names[(p >= 0.5).astype(int)], invisible=p
    )
    result["changed"] = result["majority"] != result["label"]
    shares = skill / skill.sum() if skill.sum() else skill
    result.attrs["weights"] = dict(zip([*votes.columns, "network"], shares.tolist(), strict=True))
    return result


def accuracy(crowd: pd.DataFrame, truth: pd.DataFrame) -> dict[str, float]:
    """Share of frames on which the majority and the model are right (simulated data)."""
    known = crowd.merge(truth[[*FRAME, "label"]], on=FRAME, suffixes=("", "_true"))
    return {
        "majority": float((known["majority"] == known["label_true"]).mean()),
        "with the network": float((known["label"] == known["label_true"]).mean()),
    }


def report(
    ranking: pd.DataFrame,
    annotations: pd.DataFrame,
    scores: pd.DataFrame,
    truth: pd.DataFrame | None = None,
) -> dict[str, float]:
    """The audit in figures: of the ranking, and of frames with several annotators.

    With `truth` (simulated data) also `success` and `accuracy`, the latter as "right: ...".
    """
    figures: dict[str, float] = {"frames": len(ranking), "issues": int(ranking["issue"].sum())}
    if truth is not None:
        figures |= success(ranking, truth)
    if annotations.groupby(FRAME)["annotator"].nunique().max() == 1:
        return figures
    found = crowd(annotations, scores)
    figures |= {"frames of several annotators": len(found), "changed": int(found["changed"].sum())}
    figures |= {f"weight of {name}": w for name, w in found.attrs["weights"].items()}
    if truth is not None:
        figures |= {f"right: {name}": share for name, share in accuracy(found, truth).items()}
    return figures


def _agreement(given: np.ndarray, says: np.ndarray) -> np.ndarray:
    """Of each annotator, the share of other annotators' labels on the same frames that agree."""
    shares = []
    for j in range(given.shape[1]):
        both = given & given[:, [j]]
        both[:, j] = False
        same = says == says[:, [j]]
        shares.append(same[both].mean() if both.any() else 0.0)
    return np.array(shares)
