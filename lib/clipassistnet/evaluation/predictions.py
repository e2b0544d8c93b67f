"""What all networks of a study predict, in one table, each frame judged as its protocol says."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from clipassistnet.data.cross_validation import TEST, Training
from clipassistnet.evaluation import discrimination, per_video

FRAME = ["video", "frame", "label", "patient"]


def read(paths: Mapping[Training, Path], videos: pd.DataFrame) -> pd.DataFrame:
    """predictions.parquet of these trainings in one table, with their fields and the patient.

    `member` (from 0) counts the networks of each ensemble. `videos` is the table of folds.
    """
    tables = []
    sizes: dict[tuple, int] = {}
    for training, path in paths.items():
        *ensemble, _ = training
        member = sizes[tuple(ensemble)] = sizes.get(tuple(ensemble), -1) + 1
        tables.append(pd.read_parquet(path).assign(**training._asdict(), member=member))
    table = pd.concat(tables, ignore_index=True)
    return table.assign(patient=table["video"].map(videos.set_index("video")["patient"]))


def by_member(predictions: pd.DataFrame) -> pd.DataFrame:
    """The held-out frames once for each network of their ensemble: its name as `model`."""
    rows = predictions[predictions["split"] == "test"].drop(columns=["fold", "member"])
    return rows.assign(model="member " + predictions["member"].astype(str))


def judged(predictions: pd.DataFrame) -> pd.DataFrame:
    """The held-out frames, scored by the mean of their networks.

    One row a frame for each loss and recipe: loss, recipe, held_out, video, frame, label, patient,
    score.
    """
    keys = ["loss", "recipe", "held_out", *FRAME]
    rows = predictions[predictions["split"] == "test"]
    return rows.groupby(keys, sort=False)["score"].mean().reset_index()


def out_of_fold(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each frame of the folds once for each loss and recipe, by networks that did not train on it.

    The columns of `judged`, and `fold`, the subset in which the frame lies. In the paper's protocol
    these are the validation frames, in the nested one the held-out ones (see
    `crossvalidation.explain`).
    """
    if (predictions["held_out"] != TEST).all():
        rows = judged(predictions)
        return rows.assign(fold=rows["held_out"])
    rows = predictions[predictions["split"] == "validation"]
    return rows[["loss", "recipe", "held_out", *FRAME, "score", "fold"]].reset_index(drop=True)


def by_one_network(predictions: pd.DataFrame) -> pd.DataFrame:
    """Each frame of the folds once for each loss and recipe, by a single network.

    One that did not train on it: `held_out` and `fold` name its run. In the paper's protocol the
    one whose validation frame it is, in the nested one the first that judges it.
    """
    if (predictions["held_out"] != TEST).all():
        return predictions.query("split == 'test' and member == 0").reset_index(drop=True)
    return predictions.query("split == 'validation'").reset_index(drop=True)


def frozen_thresholds(predictions: pd.DataFrame) -> pd.Series:
    """The threshold of each held-out subset, fixed by others: a Series by `held_out`.

    The paper's rule (`metrics.paper_threshold`) on the validation frames of the networks that judge
    the subset, which are none of its own. ValueError where no such video has both classes.
    """
    validation = predictions[predictions["split"] == "validation"]
    if validation.empty:
        raise ValueError(f"no validation frame among {len(predictions)} predictions")
    validation = discrimination.with_target(validation, absent="leave out")
    thresholds = {
        held_out: per_video.paper_threshold(per_video.per_video(frames))
        for held_out, frames in validation.groupby("held_out", sort=False)
    }
    return pd.Series(thresholds, name="threshold").rename_axis("held_out")
