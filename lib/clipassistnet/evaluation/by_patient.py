"""Metrics of all patients together, of each, and without the patient with the most frames."""

import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import auroc, specificity_at_sensitivity
from clipassistnet.evaluation.intervals import Evidence, t_interval
from clipassistnet.evaluation.resampling import bootstrap
from clipassistnet.evaluation.targets import one_class

MOST_PATIENTS = 12  # that a figure or a page lists one by one


def metrics_by_patient(
    predictions: pd.DataFrame, *, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """AUROC and specificity at 95 % sensitivity, pooled and by patient.

    `predictions`: patient, video, frame, target, score, each frame once. The rows, indexed by
    `judged`: all frames pooled; the mean over patients; all frames without the patient who has the
    most (frames of one patient are not independent); then every patient. Columns: frames, auroc,
    low, high (the 95 % interval of the AUROC over patients), left_out, specificity_at_95. A patient
    with one class only has nan and is left out of the mean.
    """
    counts = predictions["patient"].value_counts()
    options = {"resamples": resamples, "seed": seed}
    rest = predictions[predictions["patient"] != counts.index[0]]
    single = {name: _row(frames) for name, frames in predictions.groupby("patient")}
    rows = {"all frames": _row(predictions) | _limits(predictions, options)}
    rows["mean over patients"] = _mean(pd.DataFrame(single.values()), resamples, seed)
    if len(rest):
        rows[f"all frames but {counts.index[0]}'s"] = _row(rest) | _limits(rest, options)
    table = pd.DataFrame({**rows, **single}).T.rename_axis("judged")
    return table[["frames", "auroc", "low", "high", "left_out", "specificity_at_95"]].astype(
        {"frames": int}
    )


def metrics_by_scorer_and_patient(
    predictions: pd.DataFrame, *, resamples: int = 2000, seed: int = 0
) -> pd.DataFrame:
    """`metrics_by_patient` of each loss and recipe, its index as the column `patients`."""
    tables = [
        metrics_by_patient(rows, resamples=resamples, seed=seed)
        .rename_axis("patients")
        .reset_index()
        .assign(loss=loss, recipe=recipe)
        for (loss, recipe), rows in predictions.groupby(["loss", "recipe"], sort=False)
    ]
    table = pd.concat(tables, ignore_index=True)
    return table[["loss", "recipe", *table.columns.drop(["loss", "recipe"])]]


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """AUROC of each loss and recipe: pooled, mean over patients, lowest and highest patient.

    `table`: rows of one protocol from `metrics_by_scorer_and_patient`.
    """
    single = ~table["patients"].str.match("all frames|mean over patients")
    scorers = table.groupby(["loss", "recipe"], sort=False)
    rows = {
        scorer: {
            "pooled": rows["auroc"].iloc[0],
            "mean over patients": rows["auroc"].iloc[1],
            "lowest patient": rows.loc[single.loc[rows.index], "auroc"].min(),
            "highest patient": rows.loc[single.loc[rows.index], "auroc"].max(),
        }
        for scorer, rows in scorers
    }
    return pd.DataFrame(rows).T.rename_axis(["loss", "recipe"])


def _row(frames: pd.DataFrame) -> dict[str, float]:
    target, score = frames["target"], frames["score"]
    if one_class(target.to_numpy()):
        return {"frames": len(frames), "auroc": np.nan, "specificity_at_95": np.nan}
    values = {"auroc": auroc, "specificity_at_95": specificity_at_sensitivity}
    return {"frames": len(frames)} | {name: f(target, score) for name, f in values.items()}


def _limits(frames: pd.DataFrame, options: dict) -> dict[str, float]:
    interval = bootstrap(frames, auroc, by="patient", **options)._asdict()
    return {name: interval[name] for name in ("low", "high", "left_out")}


def _mean(patients: pd.DataFrame, resamples: int, seed: int) -> dict[str, float]:
    """The mean over patients, with an interval from resampling the patients' values."""
    known = patients.dropna(subset="auroc")
    row = {"frames": known["frames"].sum(), **known.mean()[["auroc", "specificity_at_95"]]}
    if len(known) > 1:
        draws = np.random.default_rng(seed).choice(known["auroc"], (resamples, len(known)))
        evidence = Evidence.of([np.ones(len(known))])
        interval = t_interval(row["auroc"], draws.mean(axis=1), evidence)
        row |= {"low": interval.low, "high": interval.high}
    return row
