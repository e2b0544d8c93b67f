"""The model card: what the runs' own artefacts say of the model, its data, its use and its limits.

The intended use and the limits of the method are the project's; every figure is the study's own.
"""

import csv
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open

from clipassistnet import files
from clipassistnet.publish.finished_runs import Made, Rows

SETTINGS = ("backbone", "weights", "image_size", "trainable_stages", "batch_size", "accumulate")
SETTINGS += ("epochs", "folds_count", "inner_folds", "loss", "recipe", "protocol")
SETTINGS += ("learning_rates",)
SPEED = ("device", "backend", "precision", "frames", "flips", "p50_ms", "p95_ms")
SPEED += ("frames_per_second",)


@dataclass
class Part:
    """One part of the card: sentences, and a table where there is one; `measured` on the data."""

    title: str
    sentences: list[str]
    rows: Rows = field(default_factory=list)
    measured: bool = False


def card(made: dict[str, list[Made]], data: Path, simulated: bool) -> list[Part]:
    """The card's parts; one whose notebook has not run says so.

    Args:
        made: the study's runs by notebook.
        data: the dataset folder, read for the sources and licences of the videos.
    """
    parts = [
        _model(made.get("05_train_fold", [])),
        _use(made.get("05_train_fold", [])),
        _data(_only(made, "01_annotation_agreement"), data),
        _licences(made.get("05_train_fold", []), data),
        _ensemble(_only(made, "08_ensemble_test")),
        _thresholds(_only(made, "08_ensemble_test")),
        *_arming(_only(made, "08_ensemble_test")),
        _speed(_only(made, "09_jetson_deploy")),
        _limits(made, simulated),
        _provenance([run for runs in made.values() for run in runs]),
    ]
    for part in parts:
        if not part.rows and not part.sentences:
            part.sentences = ["Not in this study: the notebook that tells has not run."]
    return parts


def _only(made: dict[str, list[Made]], notebook: str) -> Made | None:
    return made[notebook][0] if notebook in made else None


def _model(trainings: list[Made]) -> Part:
    told = Counter(
        (name, str(run.record["parameters"][name]))
        for run in trainings
        for name in SETTINGS
        if name in run.record["parameters"]
    )
    rows = [
        {"setting": name, "value": ", ".join(value for known, value in told if known == name)}
        for name in dict.fromkeys(name for name, _ in told)
    ]
    sentence = (
        "Classifiers of single frames of laparoscopic cholecystectomy. The score is p(invisible), "
        "the probability that the tips of the clip applier's jaws cannot be seen; tip invisible is "
        "the positive class. The ensemble is the average of the networks trained with the loss bce."
    )
    return Part("The model", [sentence, f"{len(trainings)} trainings in this study."], rows)


def _use(trainings: list[Made]) -> Part:
    seen = {run.record["parameters"].get("protocol", "clipper") for run in trainings}
    sentences = [
        "Research on feedback during clipping. Not a medical device: no decision about a patient "
        "may rest on it.",
        "Frames with a clip applier in the picture; warnings are to be armed only while clipping.",
    ]
    if seen == {"clipper"}:
        sentences[1] += " Frames without one were not trained on."
    return Part("Intended use", sentences)


def _data(agreement: Made | None, folder: Path) -> Part:
    if agreement is None:
        return Part("The data", [])
    table = agreement.table("table1")
    rows = [row for row in table if row["annotator"] == "majority"] or table
    sources = Counter(row["source"] or "not named" for row in _videos(folder))
    told = ", ".join(f"{source} ({count} videos)" for source, count in sources.items())
    sentences = [f"Source, as videos.csv names it: {told}."]
    videos = folder / "videos.csv"
    if agreement.record["inputs"].get("data/videos.csv") != files.digest(videos):
        sentences.append("videos.csv has changed since these runs.")
    return Part("The data", sentences, rows, measured=True)


def _licences(trainings: list[Made], folder: Path) -> Part:
    data = sorted({row["licence"] or "not named" for row in _videos(folder)})
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


def _videos(folder: Path) -> Rows:
    with open(folder / "videos.csv", newline="", encoding="utf-8-sig") as file:
        return [{"source": "", "licence": "", **row} for row in csv.DictReader(file)]


def _ensemble(test: Made | None) -> Part:
    if test is None:
        return Part("What it achieves", [])
    rows = [row for row in test.table("table3") if row["model"] == "ensemble"]
    sentences = [
        "On frames of patients that none of its networks saw; 95 % intervals resample patients."
    ]
    return Part("What it achieves", sentences, rows, measured=True)


def _thresholds(test: Made | None) -> Part:
    if test is None:
        return Part("Thresholds", [])
    sentence = (
        "A threshold holds for the very scorer it was fitted on. “test (as in the paper)” was "
        "fitted on the test videos themselves and flatters; a threshold from out-of-fold scores of "
        "single networks is a heuristic for their average. Only a frozen one may be used live."
    )
    return Part("Thresholds", [sentence], test.table("thresholds"), measured=True)


def _arming(test: Made | None) -> list[Part]:
    """The part on arming, in a study that has a network for it."""
    rows = test.table("arming") if test else []
    sentence = (
        "The network of the loss presence tells something else, whether a clip applier is in the "
        "picture, and may arm the feedback. On frames of patients that it never saw:"
    )
    return [Part("Arming by itself", [sentence], rows, measured=True)] if rows else []


def _speed(deployed: Made | None) -> Part:
    if deployed is None:
        return Part("Speed", [])
    table = deployed.table("timing")
    rows = [{name: row[name] for name in SPEED} for row in table if row["frames_per_second"]]
    sentence = "Of the whole ensemble, a frame at a time, on the device that is named; no other's."
    return Part("Speed", [sentence], rows)


def _limits(made: dict[str, list[Made]], simulated: bool) -> Part:
    sentences = [
        "Each frame is judged on its own; no surgeon has verified the feedback in use.",
        "Validation figures are optimistic: each checkpoint was chosen by them.",
    ]
    if simulated:
        sentences.insert(
            0, "Trained and judged on simulated videos: that it works on real ones is not shown."
        )
    test, agreement = _only(made, "08_ensemble_test"), _only(made, "01_annotation_agreement")
    for row in agreement.table("table1") if agreement else []:
        if (row["split"], row["annotator"]) == ("test", "majority"):
            sentences.append(f"{row['videos']} test videos: what they do not show is not known.")
    for row in test.table("absent") if test else []:
        if row["figure"].startswith("called visible"):
            share = float(row["estimate"])
            sentences.append(f"Of frames without a clipper, {share:.1%} are {row['figure']}.")
    deployed = _only(made, "09_jetson_deploy")
    if deployed and not any(row["backend"] == "torch2trt" for row in deployed.table("timing")):
        sentences.append("Not run on a Jetson in this study.")
    return Part("Limits", sentences)


def _provenance(runs: list[Made]) -> Part:
    def told(value: Callable[[dict], Any]) -> str:
        told = dict.fromkeys(value(run.record) for run in runs)
        return ", ".join(str(each) for each in told if each is not None)

    started = sorted(run.record["started"] for run in runs)
    rows = {
        "runs": len(runs),
        "first run": started[0],
        "last run": started[-1],
        "wall time, hours": round(sum(run.record["wall_s"] for run in runs) / 3600, 2),
        "commit": told(lambda record: record["commit"]),
        "hardware": told(lambda record: record["hardware"]),
        "seed": told(lambda record: record["seed"]),
        "Python": told(lambda record: record["python"]),
        "PyTorch": told(lambda record: record["versions"]["torch"]),
    }
    return Part("How it was made", [], [{"what": k, "value": str(v)} for k, v in rows.items()])
