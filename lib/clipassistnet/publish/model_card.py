"""The model card: what a study's runs say about the model, its data, its use and its limits.

The project states the intended use and the limits of the method; every figure is the study's own.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open

from clipassistnet import files
from clipassistnet.data import csv_rows
from clipassistnet.publish.finished_runs import FinishedRun, Rows

SETTINGS = [
    *("backbone", "weights", "image_size", "trainable_stages", "batch_size", "accumulate"),
    *("epochs", "folds_count", "inner_folds", "loss", "recipe", "protocol", "learning_rates"),
]
SPEED = [
    *("device", "backend", "precision", "frames", "flips", "p50_ms", "p95_ms"),
    "frames_per_second",
]


@dataclass
class Part:
    """One part of the card: sentences and a table; `measured` where its figures depend on data."""

    title: str
    sentences: list[str]
    rows: Rows = field(default_factory=list)
    measured: bool = False


def card(runs: dict[str, list[FinishedRun]], data: Path, simulated: bool) -> list[Part]:
    """The card's parts; a part says so where its notebook has not run.

    Args:
        runs: the study's runs by notebook.
        data: the dataset folder, read for the sources and licences of the videos.
        simulated: all videos are simulated.
    """
    trainings = runs.get("05_train_fold", [])
    agreement, test, deployed = (
        _only(runs, name)
        for name in ("01_annotation_agreement", "08_ensemble_test", "09_jetson_deploy")
    )
    videos = csv_rows.read(data / "videos.csv")
    parts = [
        _model(trainings),
        _use(trainings),
        _data(agreement, videos, files.digest(data / "videos.csv")),
        _licences(trainings, videos),
        _ensemble(test),
        _thresholds(test),
        *_arming(test),
        _speed(deployed),
        _limits(agreement, test, deployed, simulated),
        _provenance([run for own in runs.values() for run in own]),
    ]
    for part in parts:
        if not part.rows and not part.sentences:
            part.sentences = ["Not in this study: the notebook that measures it has not run."]
    return parts


def _only(runs: dict[str, list[FinishedRun]], notebook: str) -> FinishedRun | None:
    return runs[notebook][0] if notebook in runs else None


def _model(trainings: list[FinishedRun]) -> Part:
    values: dict[str, dict[str, None]] = {}
    for name in SETTINGS:
        for run in trainings:
            if name in run.record["parameters"]:
                values.setdefault(name, {})[_words(run.record["parameters"][name])] = None
    rows = [{"setting": name, "value": ", ".join(known)} for name, known in values.items()]
    sentence = (
        "Classifiers of single frames of laparoscopic cholecystectomy. The score is p(invisible), "
        "the probability that the tips of the clip applier's jaws cannot be seen; tip invisible is "
        "the positive class. The ensemble is the average of the networks trained with the loss bce."
    )
    return Part("The model", [sentence, f"{len(trainings)} trainings in this study."], rows)


def _words(value: Any) -> str:
    """A parameter in words: a dict or a list as its parts."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _use(trainings: list[FinishedRun]) -> Part:
    seen = {run.record["parameters"].get("protocol", "clipper") for run in trainings}
    sentences = [
        "Research on feedback during clipping. Not a medical device: no decision about a patient "
        "may rest on it.",
        "Frames with a clip applier in the picture; arm the warnings only while clipping.",
    ]
    if seen == {"clipper"}:
        sentences[1] += " The networks were not trained on frames without one."
    return Part("Intended use", sentences)


def _data(agreement: FinishedRun | None, videos: Rows, digest: str) -> Part:
    if agreement is None:
        return Part("The data", [])
    table = agreement.table("table1")
    rows = [row for row in table if row["annotator"] == "majority"] or table
    counts = Counter(row.get("source") or "not named" for row in videos)
    sources = ", ".join(f"{source} ({count} videos)" for source, count in counts.items())
    sentences = [f"Source, as videos.csv names it: {sources}."]
    if agreement.record["inputs"].get("data/videos.csv") != digest:
        sentences.append("videos.csv has changed since these runs.")
    return Part("The data", sentences, rows, measured=True)


def _licences(trainings: list[FinishedRun], videos: Rows) -> Part:
    data = sorted({row.get("licence") or "not named" for row in videos})
    weights = sorted({_weights_licence(run.folder / "model.safetensors") for run in trainings})
    rows = [{"what": "videos", "licence": text} for text in data]
    rows += [{"what": "pretrained weights", "licence": text} for text in weights if text]
    rows.append({"what": "code", "licence": "Apache-2.0"})
    return Part("Licences", [], rows)


def _weights_licence(checkpoint: Path) -> str:
    if not checkpoint.exists():
        return ""
    with safe_open(checkpoint, "numpy") as file:
        return json.loads(file.metadata()["spec"])["weights_licence"]


def _ensemble(test: FinishedRun | None) -> Part:
    if test is None:
        return Part("What it achieves", [])
    rows = [row for row in test.table("table3") if row["model"] == "ensemble"]
    sentences = [
        "Measured on frames of patients that none of its networks saw; 95 % intervals resample "
        "patients."
    ]
    return Part("What it achieves", sentences, rows, measured=True)


def _thresholds(test: FinishedRun | None) -> Part:
    if test is None:
        return Part("Thresholds", [])
    sentence = (
        "A threshold holds only for the scorer it was fitted on. “test (as in the paper)” was "
        "fitted on the test videos themselves and is optimistic; a threshold from out-of-fold "
        "scores of single networks is a heuristic for their average. Only a frozen threshold may "
        "be used live."
    )
    return Part("Thresholds", [sentence], test.table("thresholds"), measured=True)


def _arming(test: FinishedRun | None) -> list[Part]:
    """The part on arming, in a study in which a locator or a network can arm."""
    rows = test.table("arming") if test else []
    sentence = (
        "The locator of the crops, or else the network with the loss presence, sees whether a clip "
        "applier is in the picture, and may arm the feedback. On frames of patients that it never "
        "saw:"
    )
    return [Part("Arming by itself", [sentence], rows, measured=True)] if rows else []


def _speed(deployed: FinishedRun | None) -> Part:
    if deployed is None:
        return Part("Speed", [])
    table = deployed.table("timing")
    rows = [{name: row[name] for name in SPEED} for row in table if row["frames_per_second"]]
    sentence = (
        "Speed of the whole ensemble, one frame at a time, on the named device; other devices "
        "differ."
    )
    return Part("Speed", [sentence], rows)


def _limits(
    agreement: FinishedRun | None,
    test: FinishedRun | None,
    deployed: FinishedRun | None,
    simulated: bool,
) -> Part:
    sentences = [
        "Each frame is judged on its own; no surgeon has verified the feedback in use.",
        "Validation figures of networks trained end to end are optimistic: they chose the epoch.",
    ]
    if simulated:
        sentences.insert(
            0,
            "Trained and judged on simulated videos: this study does not show that the model works "
            "on real ones.",
        )
    for row in agreement.table("table1") if agreement else []:
        if (row["split"], row["annotator"]) == ("test", "majority"):
            sentences.append(f"Tested on {row['videos']} videos only.")
    for row in test.table("absent") if test else []:
        if row["figure"].startswith("called visible"):
            share = float(row["estimate"])
            sentences.append(f"Of frames without a clipper, {share:.1%} are {row['figure']}.")
    if deployed and not any(row["backend"] == "torch2trt" for row in deployed.table("timing")):
        sentences.append("Not run on a Jetson in this study.")
    return Part("Limits", sentences)


def _provenance(runs: list[FinishedRun]) -> Part:
    records = [run.record for run in runs]
    started = sorted(record["started"] for record in records)
    rows = {
        "runs": len(runs),
        "first run": started[0],
        "last run": started[-1],
        "wall time, hours": round(sum(record["wall_s"] for record in records) / 3600, 2),
        "commit": _different(record["commit"] for record in records),
        "hardware": _different(record["hardware"] for record in records),
        "seed": _different(record["seed"] for record in records),
        "Python": _different(record["python"] for record in records),
        "PyTorch": _different(record["versions"]["torch"] for record in records),
    }
    return Part("How it was made", [], [{"what": k, "value": str(v)} for k, v in rows.items()])


def _different(values: Iterable[Any]) -> str:
    return ", ".join(str(value) for value in dict.fromkeys(values) if value is not None)
