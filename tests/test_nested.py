"""Notebooks 06 and 08 in a nested study: every frame judged once, by who never saw its patient.

Their code runs here in this process, on predictions made up for the purpose.
"""

import json
import os
import shutil
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from clipassistnet import model
from clipassistnet.data import annotation, dataset, folds, frame_extraction
from clipassistnet.data.schema import TABLES
from clipassistnet.files import BATCH
from clipassistnet.runs import name_key, notebooks
from clipassistnet.runs import study as studies

ROOT = Path(__file__).resolve().parents[1]
STUDY = {
    "parameters": {
        "folds_count": 4,
        "inner_folds": 2,
        "losses": ["bce", "video_weighted"],
        "learning_rates": {"bce": 1e-3, "video_weighted": 1e-3},
        "resamples": 50,
    },
    "recipes": {"paper": {}, "all_frames": {"protocol": "all"}},
}
FRAMES = {"a": 40, "b": 30, "c": 20, "d": 10}  # of each video, each a fold of its own
ERRORS = pd.Series({"A": -1, "B": 5, "C": 6})  # the frame of each video on which one errs
LABELS = ["visible", "invisible", "invisible", "absent", "visible"]


def frames_of(video: str, rng: np.random.Generator, shift: float) -> pd.DataFrame:
    """A network's scores of a video; `shift` is the network's own bias."""
    count = FRAMES[video]
    label = [LABELS[i % len(LABELS)] for i in range(count)]
    score = 0.3 + shift + 0.25 * (np.array(label) != "visible") + rng.normal(0, 0.1, count)
    return pd.DataFrame({"video": video, "frame": range(count), "label": label, "score": score})


def write_training(folder: Path, training, seed: int, checkpoint: Path) -> None:
    rng = np.random.default_rng(seed)
    parts = {"validation": training.fold, "test": int(training.held_out)}
    shift = 0.05 * training.fold
    tables = [frames_of("abcd"[i], rng, shift).assign(split=name) for name, i in parts.items()]
    folder.mkdir(parents=True)
    pd.concat(tables).to_parquet(folder / "predictions.parquet")
    history = pd.DataFrame({"epoch": [0, 1], "train_loss": 0.5, "validation_auroc": [0.6, 0.7]})
    history.to_csv(folder / "history.csv", index=False)
    shutil.copy(checkpoint, folder / "model.safetensors")
    record = {"parameters": {}, "inputs": {}, "code": {}}
    (folder / "run.json").write_text(json.dumps(record))


def write_data(place: Path) -> None:
    """The dataset folder with black pictures, their cache, and the labels of notebook 01."""
    for video, count in FRAMES.items():
        for frame in range(count):
            picture = np.zeros((36, 64, 3), np.uint8)
            cv2.imwrite(str(place / "data" / f"{video}_{frame}.jpg"), picture)
    videos = [
        (v, v + "_{frame}.jpg", f"patient {v}", "", 5, "", "", "somewhere", "") for v in FRAMES
    ]
    labels = pd.concat([frames_of(v, np.random.default_rng(0), 0) for v in FRAMES])
    annotations = pd.concat(labels.drop(columns="score").assign(annotator=a) for a in "ABC")
    erring = ERRORS[annotations["annotator"]].to_numpy() == annotations["frame"]
    other = annotations["label"].map({"visible": "invisible", "invisible": "visible"})
    annotations["label"] = annotations["label"].mask(erring, other)
    dataset.write(
        place / "data",
        videos=pd.DataFrame(videos, columns=list(TABLES["videos"].columns)),
        annotations=annotations[["video", "frame", "annotator", "label"]],
    )
    frame_extraction.extract(dataset.read(place / "data"), place / "frames" / "64", 64)
    agreed = place / "01_annotation_agreement" / "once"
    agreed.mkdir(parents=True)
    annotation.consensus(annotations).to_csv(agreed / "labels.csv", index=False)
    annotation.confusion(annotations, "").to_csv(agreed / "confusion.csv", index=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A nested study whose trainings are done."""
    project = tmp_path_factory.mktemp("nested")
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    (project / "notebooks" / "studies" / "own.yaml").write_text(yaml.safe_dump(STUDY))
    place = project / "papermill_runs" / "own"
    for folder in ("data", "02_video_folds/once"):
        (place / folder).mkdir(parents=True)
    write_data(place)
    labels = pd.read_csv(place / "01_annotation_agreement" / "once" / "labels.csv")
    clipper = labels[labels["label"] != "absent"].groupby("video").size()
    rows = [(v, f"patient {v}", count, str(i)) for i, (v, count) in enumerate(clipper.items())]
    table = pd.DataFrame(rows, columns=folds.COLUMNS)
    folds.write(table, place / "02_video_folds" / "once" / "folds.csv")
    before = os.getcwd()
    os.chdir(project)
    checkpoint = (
        project / "model.safetensors"
    )  # trained end to end: there is no curve over patients
    model.save(model.build("tf_efficientnet_lite0", "none"), checkpoint)
    for seed, training in enumerate(studies.read("own").trainings):
        folder = place / "05_train_fold" / name_key(training._asdict())
        write_training(folder, training, seed, checkpoint)
    yield project
    os.chdir(before)


def run_here(notebook: str, project: Path) -> Path:
    """Execute a notebook's cells in this process; returns the folder it wrote to."""
    folder = project / notebook
    folder.mkdir()
    space = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(BATCH, str(folder))
        for source, tags in notebooks.sources(notebooks.notebook_path(notebook)):
            exec(source, space)
            if "parameters" in tags:
                space.update(studies.read("own").resolve(notebook, {}))
    plt.close("all")
    return folder


@pytest.fixture(scope="module")
def compared(project) -> Path:
    return run_here("06_loss_comparison", project)


@pytest.fixture(scope="module")
def tested(project) -> Path:
    return run_here("08_ensemble_test", project)


def pooled(project: Path, loss: str, recipe: str) -> pd.DataFrame:
    """The judged frames of the study, averaged by hand."""
    place = project / "papermill_runs" / "own" / "05_train_fold"
    runs = place.glob(f"loss={loss},recipe={recipe},*/predictions.parquet")
    rows = pd.concat([pd.read_parquet(path).query("split == 'test'") for path in runs])
    table = rows.groupby(["video", "frame", "label"])["score"].agg(["mean", "size"]).reset_index()
    assert (table["size"] == 2).all()  # networks
    assert len(table) == sum(FRAMES.values())
    return table.assign(target=table["label"] != "visible", score=table["mean"])


def test_losses_and_recipes_are_compared_on_held_out_frames(project, compared):
    table2 = pd.read_csv(compared / "table2.csv").query("metric == 'auroc'").set_index("loss")
    for loss in ("bce", "video_weighted"):
        judged = pooled(project, loss, "paper").query("label != 'absent'")
        expected = roc_auc_score(judged["target"], judged["score"])
        assert table2.loc[loss, "pooled"] == pytest.approx(expected, abs=1e-4)
        by_video = [roc_auc_score(f["target"], f["score"]) for _, f in judged.groupby("video")]
        assert table2.loc[loss, "mean"] == pytest.approx(np.mean(by_video), abs=1e-4)
    recipes = pd.read_csv(compared / "recipes.csv").query("metric == 'auroc'")
    assert sorted(recipes["judged"] + " " + recipes["recipe"]) == [
        "all frames all_frames",
        "all frames paper",
        "clipper frames all_frames",
        "clipper frames paper",
    ]
    judged = pooled(project, "bce", "all_frames")
    [found] = recipes.query("recipe == 'all_frames' and judged == 'all frames'")["pooled"]
    assert found == pytest.approx(roc_auc_score(judged["target"], judged["score"]), abs=1e-4)
    assert pd.read_csv(compared / "recipes_minus_paper.csv")["recipe"].unique() == ["all_frames"]
    by_patient = pd.read_csv(compared / "by_patient.csv")
    scorers = by_patient.groupby(["judged", "recipe"])["patients"].apply(set)
    assert len(scorers) == 4
    assert all({"all frames", "mean over patients", "patient a"} <= names for names in scorers)


def test_the_labels_of_three_annotators_are_audited(project, compared):
    """Every clipper frame is ranked, by networks that did not train on it; no truth is needed."""
    ranking = pd.read_csv(compared / "label_audit.csv")
    expected = pooled(project, "bce", "paper").query("label != 'absent'")
    assert set(ranking["video"] + ranking["frame"].astype(str)) == set(
        expected["video"] + expected["frame"].astype(str)
    )
    assert len(ranking) == len(expected)
    audit = pd.read_csv(compared / "audit.csv").set_index("audit").iloc[:, 0]
    assert audit["frames of several annotators"] == len(ranking)
    weights = audit[["weight of A", "weight of B", "weight of C", "weight of network"]]
    assert weights.sum() == pytest.approx(1, abs=1e-3)
    assert weights["weight of A"] > weights["weight of B"] == weights["weight of C"]
    assert "precision" not in audit.index


def test_the_ensembles_judge_every_frame_once(project, tested):
    judged = pooled(project, "bce", "paper").query("label != 'absent'")
    expected = roc_auc_score(judged["target"], judged["score"])
    table3 = pd.read_csv(tested / "table3.csv").query("metric == 'auroc'").set_index("model")
    assert list(table3.index) == ["member 0", "member 1", "ensemble"]
    assert table3.loc["ensemble", "estimate"] == pytest.approx(expected, abs=1e-4)
    by_patient = pd.read_csv(tested / "by_patient.csv").set_index("judged")
    assert by_patient.loc["all frames", "auroc"] == pytest.approx(expected, abs=1e-4)
    rest = judged[judged["video"] != "a"]
    assert by_patient.loc["all frames but patient a's", "auroc"] == pytest.approx(
        roc_auc_score(rest["target"], rest["score"]), abs=1e-4
    )
    assert by_patient.loc["patient d", "frames"] == 8  # of ten, two without a clipper


def test_what_the_study_has_not_is_not_shown(project, compared, tested):
    """No boxes, so no baseline of them; no arming; figures of all that there is."""
    baselines = pd.read_csv(compared / "baselines.csv")
    assert baselines["scorer"].tolist() == ["ensemble", "prevalence", "patient", "frame thumbnail"]
    assert pd.read_csv(tested / "arming.csv").empty
    assert pd.read_csv(compared / "training_patients.csv").empty
    counts = pd.read_csv(tested / "confusion_at_frozen_threshold.csv").set_index("video")
    assert counts.loc["all", "frames"] == counts.drop(index="all")["frames"].sum()
    assert pd.read_csv(tested / "medians_by_model.csv")["model"].tolist()[-1] == "ensemble"
    for folder, figure in ((compared, "learning_curves"), (tested, "decision_curve")):
        assert (folder / "figures" / f"{figure}.png").exists()


def test_each_fold_has_a_frozen_threshold_of_its_own(project, tested):
    frozen = pd.read_csv(tested / "frozen_thresholds.csv", dtype={"held_out": str})
    frozen = frozen.set_index("held_out")["threshold"]
    assert sorted(frozen.index) == ["0", "1", "2", "3"]
    judged = pooled(project, "bce", "paper").query("label != 'absent'")
    own = judged["video"].map(dict(zip("abcd", "0123", strict=True))).map(frozen)
    warned = judged["score"] >= own
    found = pd.read_csv(tested / "thresholds.csv").set_index(["threshold from", "rate"])["estimate"]
    told = found["frozen (out-of-fold)"]
    assert told["sensitivity"] == pytest.approx(warned[judged["target"]].mean(), abs=1e-4)
    assert told["specificity"] == pytest.approx((~warned[~judged["target"]]).mean(), abs=1e-4)
