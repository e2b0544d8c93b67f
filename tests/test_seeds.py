"""tools/seeds.py: networks that differ in seed or fold judge the same frames."""

import sys

import pandas as pd
import pytest

import seeds
from clipassistnet.data.cross_validation import Training
from clipassistnet.publish import file_tables
from clipassistnet.runs.folders import run_folder


def predictions(scores):
    """Four judged frames with a clip applier and one without, and a frame that validated."""
    labels = ["visible", "visible", "invisible", "invisible", "absent"]
    judged = pd.DataFrame({"video": "v1", "frame": range(5), "label": labels, "split": "test"})
    judged["score"] = [*scores, 1.0]
    return pd.concat([judged, judged[:1].assign(split="validation", score=1.0)])


def test_a_row_judges_the_held_out_frames_with_an_applier():
    row = seeds.row("paper", seeds.SEED, 3, predictions([0.1, 0.6, 0.5, 0.9]))
    assert row == {"recipe": "paper", "varied": "seed", "value": 3, "auroc": 0.75, "frames": 4}


@pytest.fixture
def finished(tmp_path, monkeypatch):
    """A study of two folds, whose further seeds rank the frames ever worse."""
    monkeypatch.setattr("clipassistnet.runs.folders.runs_folder", lambda: tmp_path)
    trained = []

    def save(study, notebook, key, threads=None):
        folder = run_folder(study, notebook, key)
        folder.mkdir(parents=True)
        scores = [0.1, 0.6, 0.5, 0.9] if key.get("seed", 0) < 2 else [0.9, 0.8, 0.1, 0.2]
        predictions(scores).to_parquet(folder / "predictions.parquet")
        trained.append(key)
        return folder

    for recipe in ("paper", "features"):
        for fold in (0, 1):
            save("smoke", seeds.NOTEBOOK, Training("bce", recipe, "test", fold)._asdict())
    monkeypatch.setattr(seeds.execute, "execute", save)
    trained.clear()
    return tmp_path, trained


def test_only_other_seeds_are_trained_and_removed_afterwards(finished, monkeypatch):
    folder, trained = finished
    before = sorted(folder.rglob("*"))
    out = folder / "seeds.csv"
    monkeypatch.setattr(sys, "argv", ["seeds", "smoke", "--out", str(out)])
    seeds.main()
    assert [(key["recipe"], key["seed"]) for key in trained] == [
        (recipe, seed) for recipe in ("paper", "features") for seed in (1, 2)
    ]
    assert sorted(folder.rglob("*")) == sorted([*before, out])
    table = pd.read_csv(out)
    paper = table.query("recipe == 'paper'")
    assert paper.query("varied == 'fold'")["auroc"].tolist() == [0.75, 0.75]
    assert paper.query("varied == 'seed'")["auroc"].tolist() == [0.75, 0.75, 0.0]
    assert table["simulated"].all()
    rows = [{k: str(v) for k, v in row.items()} for row in paper.to_dict("records")]
    assert file_tables._seeds(rows) == (
        "Recipe `paper`: 0.00 to 0.75 with 3 seeds, and 0.75 to 0.75 with 2 folds."
    )
