"""Baselines: how well the frames can be ranked without looking at the tips.

A network that ranks no better than these has learnt nothing about the tips. Every baseline is
trained on the frames of the patients on whom the networks were trained and validated, and judged on
the frames of the patients whom no network saw.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol, Unpack

import cv2
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from clipassistnet.data import folds as partition
from clipassistnet.evaluation.discrimination import auroc
from clipassistnet.evaluation.resampling import Sampling, bootstrap, paired_bootstrap
from clipassistnet.evaluation.targets import one_class

KEY = ["video", "frame"]
ENSEMBLE = "ensemble"
SIDE = 16  # of a thumbnail, in pixels
# Inverse strength of the penalty of a logistic regression on standardised numbers: 768 pixels need
# a strong one, 14 numbers of a box do not.
PIXEL_STRENGTH, BOX_STRENGTH = 0.01, 1.0


class Pictures(Protocol):
    """A frame cache: pictures uint8 RGB (S, S, 3)."""

    def get(self, video: str, frame: int) -> np.ndarray: ...


class Part(NamedTuple):
    """The frames of one held-out subset, and those from which its judges may learn.

    Both tables have video, frame, patient and target (1 = tip invisible).
    """

    train: pd.DataFrame
    judged: pd.DataFrame


def parts(
    folds: pd.DataFrame, labels: pd.DataFrame, ensembles: Mapping[str, Sequence[int]]
) -> list[Part]:
    """The frames with a clip applier of each held-out subset, and of all other training patients.

    `folds` and `labels` as for `data.folds.split`; `ensembles` from `cross_validation.ensembles`.
    """
    found = []
    for held_out, (fold, *_) in ensembles.items():
        train, validation, judged = partition.split(folds, labels, fold, held_out)
        judged = judged[judged["label"] != "absent"]
        found.append(Part(pd.concat([train, validation]), judged))
    return found


def score(parts: Sequence[Part], frames: Pictures, boxes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The judged frames (video, frame, score) by baseline.

    - prevalence: every frame gets the same score
    - patient: an oracle that knows the share of invisible frames of the judged patient. The judged
      frame is counted: a share without it would rank the frames of a patient in reverse
    - box: logistic regression on place and size of the annotated box, with squares and products
    - frame thumbnail, crop thumbnail: logistic regression on 16 x 16 RGB pixels

    Args:
        frames: pictures of all frames.
        boxes: video, frame, x0, y0, x1, y1 as shares of the picture. Only frames with a box are
            judged by the box and by the crop; there may be none.
    """
    judged = pd.concat([part.judged for part in parts])
    everything = pd.concat([*(part.train for part in parts), judged])[KEY].drop_duplicates()
    share = judged.groupby("patient")["target"].transform("mean")
    found = {
        "prevalence": judged[KEY].assign(score=0.5),
        "patient": judged[KEY].assign(score=share),
        "frame thumbnail": _probe(parts, _thumbnails(everything, frames), PIXEL_STRENGTH),
    }
    boxed = everything.merge(boxes)
    if len(boxed):
        found["box"] = _probe(parts, _places(boxed), BOX_STRENGTH)
        found["crop thumbnail"] = _probe(parts, _thumbnails(boxed, frames), PIXEL_STRENGTH)
    return {name: table for name, table in found.items() if len(table)}


def compare(
    ensemble: pd.DataFrame, scores: Mapping[str, pd.DataFrame], **sampling: Unpack[Sampling]
) -> pd.DataFrame:
    """AUROC of the ensemble and of every baseline, and the ensemble minus the baseline.

    One row each: scorer, patients, frames, auroc, low, high, difference, difference_low,
    difference_high, p, left_out. A difference is paired over the frames of its row.

    Args:
        ensemble: video, frame, patient, target, score.
        scores: from `score`.
    """
    rows = [_row(ENSEMBLE, ensemble, sampling)]
    for name, own in scores.items():
        both = ensemble.merge(own, on=KEY, suffixes=("_ensemble", ""))
        if one_class(both["target"].to_numpy()):
            continue
        paired = paired_bootstrap(
            both.assign(score=both["score_ensemble"]), both, auroc, **sampling
        )._asdict()
        difference = {f"difference_{limit}": paired[limit] for limit in ("low", "high")}
        difference |= {"difference": paired["difference"], "p": paired["p"]}
        rows.append(_row(name, both, sampling) | difference)
    columns = ["scorer", "patients", "frames", "auroc", "low", "high"]
    columns += ["difference", "difference_low", "difference_high", "p", "left_out"]
    return pd.DataFrame(rows, columns=columns)


def not_beaten(table: pd.DataFrame) -> list[str]:
    """The baselines of `compare` that the ensemble does not exceed."""
    rows = table[table["scorer"] != ENSEMBLE]
    return rows.loc[~(rows["difference"] > 0), "scorer"].tolist()


def finding(table: pd.DataFrame) -> str:
    """What the table of `compare` shows, in a sentence or two."""
    ensemble = table[table["scorer"] == ENSEMBLE].iloc[0]
    rows = table[table["scorer"] != ENSEMBLE]
    start = f"The ensemble's AUROC is {interval(ensemble)} on {ensemble['patients']} patients."
    if names := not_beaten(table):
        worse = rows[rows["scorer"].isin(names)]
        listed = ", ".join(f"{row.scorer} ({row.auroc:.2f})" for row in worse.itertuples())
        return (
            f"{start} This network has learnt nothing that these baselines do not know: {listed}."
        )
    best = rows.sort_values("auroc").iloc[-1]
    start += (
        f" The ensemble beats every baseline; the best is {best['scorer']}, {best['auroc']:.2f}."
    )
    if "box" not in set(rows["scorer"]):
        start += " The data set has no boxes of clip appliers, so no baseline uses them."
    unsure = rows.loc[~(rows["difference_low"] > 0), "scorer"].tolist()
    if unsure:
        start += f" The interval of the difference includes zero for: {', '.join(unsure)}."
    return start


def interval(row: Any) -> str:
    """`0.85 (0.79 to 0.90)` of a row with auroc, low, high; without limits where there are none."""
    limits = "" if pd.isna(row["low"]) else f" ({row['low']:.2f} to {row['high']:.2f})"
    return f"{row['auroc']:.2f}{limits}"


def _row(name: str, frames: pd.DataFrame, sampling: Sampling) -> dict[str, Any]:
    found = bootstrap(frames, auroc, **sampling)
    row = {"scorer": name, "patients": frames["patient"].nunique(), "frames": len(frames)}
    limits = {"low": found.low, "high": found.high, "left_out": found.left_out}
    return {**row, "auroc": found.estimate, **limits}


def _thumbnails(table: pd.DataFrame, pictures: Pictures) -> pd.DataFrame:
    """Pixels (16 x 16 x 3 columns) of each frame, or of its box if the table has boxes."""
    rows = []
    for row in table.itertuples():
        picture = pictures.get(row.video, row.frame)
        if "x0" in table:
            picture = _cut(picture, np.array([row.x0, row.y0, row.x1, row.y1]))
        small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        rows.append(small.ravel())
    return pd.DataFrame(np.array(rows), index=_index(table))


def _cut(picture: np.ndarray, box: np.ndarray) -> np.ndarray:
    """What of a picture lies in a box (x0, y0, x1, y1 as shares): at least one pixel."""
    side = np.array([*picture.shape[1::-1], *picture.shape[1::-1]])
    x0, y0, x1, y1 = np.clip((box * side).round().astype(int), 0, side - [1, 1, 0, 0])
    return picture[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def _places(boxes: pd.DataFrame) -> pd.DataFrame:
    """Centre, width and height of each box, their squares and products (the area is one)."""
    size = boxes[["x1", "y1"]].to_numpy() - boxes[["x0", "y0"]].to_numpy()
    centre = boxes[["x0", "y0"]].to_numpy() + size / 2
    values = PolynomialFeatures(2, include_bias=False).fit_transform(np.hstack([centre, size]))
    return pd.DataFrame(values, index=_index(boxes))


def _probe(parts: Sequence[Part], features: pd.DataFrame, strength: float) -> pd.DataFrame:
    """Scores of a logistic regression; a part that cannot be learnt from is left out."""
    scored = []
    for part in parts:
        train, judged = (_known(table, features) for table in part)
        if train["target"].nunique() < 2 or judged.empty:
            continue
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000))
        model.fit(features.loc[_index(train)].to_numpy(), train["target"])
        found = model.predict_proba(features.loc[_index(judged)].to_numpy())[:, 1]
        scored.append(judged[KEY].assign(score=found))
    return pd.concat(scored) if scored else pd.DataFrame(columns=[*KEY, "score"])


def _known(table: pd.DataFrame, features: pd.DataFrame) -> pd.DataFrame:
    return table[_index(table).isin(features.index)]


def _index(table: pd.DataFrame) -> pd.MultiIndex:
    return pd.MultiIndex.from_frame(table[KEY])
