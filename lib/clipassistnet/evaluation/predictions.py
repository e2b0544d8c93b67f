"""The predictions of all networks of a study in one table, and which of them judge a frame."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.data.cross_validation import TEST, Training
from clipassistnet.evaluation.targets import require_each_once

FRAME = ["video", "frame", "label", "patient"]
BOXES = "boxes.parquet"  # as in model.crops, which this floor does not import


def read(paths: Mapping[Training, Path], videos: pd.DataFrame) -> pd.DataFrame:
    """predictions.parquet of these trainings in one table, with their fields and the patient.

    `member` (from 0) counts the networks of each ensemble. `videos` is the table of folds: video
    and patient.
    """
    tables = []
    sizes: dict[tuple, int] = {}
    for training, path in paths.items():
        *ensemble, _ = training
        member = sizes[tuple(ensemble)] = sizes.get(tuple(ensemble), -1) + 1
        tables.append(pd.read_parquet(path).assign(**training._asdict(), member=member))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(patient=table["video"].map(videos.set_index("video")["patient"]))


def histories(paths: Mapping[Training, Path]) -> pd.DataFrame:
    """history.csv of these trainings in one table, with their fields."""
    tables = [pd.read_csv(path).assign(**key._asdict()) for key, path in paths.items()]
    return pd.concat(tables, ignore_index=True)


def by_member(predictions: pd.DataFrame) -> pd.DataFrame:
    """The held-out frames once for each network of their ensemble, named in the column `model`."""
    rows = predictions[predictions["split"] == "test"].drop(columns=["fold", "member"])
    return rows.assign(model="member " + predictions["member"].astype(str))


def judged(predictions: pd.DataFrame) -> pd.DataFrame:
    """The held-out frames, scored by the mean of their networks.

    One row per frame, loss and recipe: loss, recipe, held_out, video, frame, label, patient,
    score.
    """
    keys = ["loss", "recipe", "held_out", *FRAME]
    rows = predictions[predictions["split"] == "test"]
    return rows.groupby(keys, sort=False)["score"].mean().reset_index()


def out_of_fold(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each frame of the folds once for each loss and recipe, by networks that did not train on it.

    The columns of `judged`, and `fold`, the subset in which the frame lies. In the paper's protocol
    these are the validation frames, in the nested one the held-out ones (see
    `cross_validation.explain`).
    """
    if (predictions["held_out"] != TEST).all():
        rows = judged(predictions)
        return rows.assign(fold=rows["held_out"])
    rows = predictions[predictions["split"] == "validation"]
    return rows[["loss", "recipe", "held_out", *FRAME, "score", "fold"]].reset_index(drop=True)


def by_one_network(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each frame of the folds once for each loss and recipe, by a single network.

    This network did not train on the frame; `held_out` and `fold` name its run. In the paper's
    protocol it is the network that the frame validates, in the nested one the first that judges it.
    """
    if (predictions["held_out"] != TEST).all():
        return predictions.query("split == 'test' and member == 0").reset_index(drop=True)
    return predictions.query("split == 'validation'").reset_index(drop=True)


def side_by_side(members: pd.DataFrame, ensemble: pd.DataFrame) -> pd.DataFrame:
    """The members' frames, then the ensemble's; a single member is the ensemble and is left out."""
    return pd.concat([members, ensemble]) if members["model"].nunique() > 1 else ensemble


def ensemble(members: pd.DataFrame, weights: Sequence[float] = ()) -> pd.DataFrame:
    """One row per frame, of the model "ensemble": the weighted mean of the members' scores.

    Args:
        members: the frames once for each `model`: model, video, frame, score and the other columns
            of a frame.
        weights: one for each model, in the order in which the models first appear; equal if empty.

    Raises:
        ValueError: the members did not judge the same frames, or a weight is impossible.
    """
    names = list(members["model"].unique())
    weights = list(weights) or [1.0] * len(names)
    if len(weights) != len(names) or min(weights) < 0 or not sum(weights) > 0:
        raise ValueError(f"weights {weights}: expected one, not negative, for each of {names}")
    rows = require_each_once(members.assign(target=0), "model").drop(columns="target")
    parts = [rows[rows["model"] == name].sort_values(["video", "frame"]) for name in names]
    shared = [part.drop(columns=["model", "score"]).reset_index(drop=True) for part in parts]
    for name, other in zip(names, shared, strict=True):
        if not other.equals(shared[0]):
            raise ValueError(f"models {names[0]} and {name} did not judge the same frames")
    score = np.average([part["score"] for part in parts], axis=0, weights=weights)
    return shared[0].assign(score=score, model="ensemble")


def by_locator(predictions: pd.DataFrame, paths: Mapping[Training, Path]) -> pd.DataFrame:
    """The validation and held-out frames, with what the locators of crops say about them.

    `score` is p(clip applier in the frame), of a locator that saw no patient of this frame. Each
    frame is there once for each held-out subset that it validates or lies in: held_out, split,
    video, frame, label, patient, score. No rows where the networks judge whole frames.

    Args:
        predictions: as from `read`.
        paths: those of `read`; the boxes lie beside the predictions.
    """
    key = ["held_out", "fold", "video", "frame"]
    tables = [
        pd.read_parquet(found).assign(held_out=training.held_out, fold=training.fold)
        for training, path in paths.items()
        if (found := path.with_name(BOXES)).exists()
    ]
    once = ["held_out", "split", *FRAME]
    if not tables:
        return pd.DataFrame(columns=[*once, "score"])
    found = pd.concat(tables).dropna(subset="presence").rename(columns={"presence": "score"})
    rows = predictions[[*key, "split", "label", "patient"]]
    seen = rows.merge(found[[*key, "score"]], on=key, validate="1:1")
    return seen.drop_duplicates(once)[[*once, "score"]].reset_index(drop=True)
