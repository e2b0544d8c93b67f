"""The smoke study, all nine notebooks, through the command that people use; killed once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score

ROOT = Path(__file__).resolve().parents[1]
COMMAND = [sys.executable, "-m", "clipassistnet", "study", "smoke", "--cores", "2"]


def processes_in(folder: Path) -> dict[int, str]:
    """Command lines of the living processes that work in a folder."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(place / "cwd")).is_relative_to(folder):
                command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:  # a zombie has none
                    found[int(place.name)] = command
        except OSError:
            continue
    return found


def finished(project: Path) -> dict[str, int]:
    """{run: time of its run.json}."""
    place = project / "papermill_runs" / "smoke"
    return {
        str(path.parent.relative_to(place)): path.stat().st_mtime_ns
        for path in place.glob("0?_*/*/run.json")
        if not path.parent.name.startswith(".")
    }


def run_study(project: Path) -> subprocess.CompletedProcess:
    return subprocess.run(COMMAND, cwd=project, capture_output=True, text=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project in which the smoke study was killed half-way and then completed."""
    project = tmp_path_factory.mktemp("project").resolve()
    shutil.copy(ROOT / "Snakefile", project)
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    first = subprocess.Popen(
        COMMAND, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    end = time.monotonic() + 1800  # a busy machine takes long
    while not any(run.startswith("05_train_fold") for run in finished(project)):
        assert first.poll() is None, "the study ended before its first training"
        assert time.monotonic() < end, "no training was finished in half an hour"
        time.sleep(0.05)
    before = finished(project)
    [snakemake] = [pid for pid, text in processes_in(project).items() if "-m snakemake" in text]
    os.kill(snakemake, signal.SIGKILL)
    assert first.wait(timeout=30) != 0
    end = time.monotonic() + 20
    while left := processes_in(project):
        assert time.monotonic() < end, f"still running after kill -9: {left}"
        time.sleep(0.1)
    second = run_study(project)
    assert second.returncode == 0, second.stderr
    after = finished(project)
    assert {run: after[run] for run in before} == before, "a finished run was run again"
    (project / "output").write_text(second.stdout)
    (project / "progress").write_text(second.stderr)
    return project


def test_every_notebook_ran_without_an_error_or_a_warning(project):
    notebooks = list((project / "papermill_runs" / "smoke").glob("0?_*/*/notebook.ipynb"))
    names = {path.parent.parent.name for path in notebooks}
    assert names == {path.stem for path in (ROOT / "notebooks").glob("0[1-9]_*.ipynb")}
    assert len(notebooks) == 7 + 1 + 2 * 2 + 2 + 2  # last: recipe features; student and arming
    for path in notebooks:
        notebook = nbformat.read(path, 4)
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                where = f"{path.parent.parent.name}: {cell.source[:80]}"
                assert output.output_type != "error", where
                assert output.get("name") != "stderr", (where, output.get("text"))
        assert path.stat().st_size < 1_500_000


def test_tables_are_recomputed_from_the_predictions(project):
    study = project / "papermill_runs" / "smoke"
    runs = [
        study / "05_train_fold" / f"loss=bce,recipe=paper,held_out=test,fold={fold}"
        for fold in (0, 1)
    ]
    tables = [pd.read_parquet(run / "predictions.parquet") for run in runs]
    table2 = pd.read_csv(study / "06_loss_comparison" / "once" / "table2.csv")
    [mean] = table2.query("loss == 'bce' and metric == 'auroc'")["mean"]
    judged = "split == 'validation' and label != 'absent'"
    validation = [table.query(judged) for table in tables]
    by_hand = [roc_auc_score(part["label"] == "invisible", part["score"]) for part in validation]
    assert mean == pytest.approx(sum(by_hand) / 2, abs=1e-4)

    keys = ["video", "frame"]
    assert not pd.concat(validation).duplicated(keys).any()
    test = [table.query("split == 'test' and label != 'absent'") for table in tables]
    merged = test[0].merge(test[1], on=[*keys, "label"], validate="one_to_one")
    average = (merged["score_x"] + merged["score_y"]) / 2
    table3 = pd.read_csv(study / "08_ensemble_test" / "once" / "table3.csv")
    [auroc] = table3.query("model == 'ensemble' and metric == 'auroc'")["estimate"]
    assert auroc == pytest.approx(roc_auc_score(merged["label"] == "invisible", average), abs=1e-4)


def test_each_run_tells_where_it_comes_from(project):
    for path in (project / "papermill_runs" / "smoke").glob("05_train_fold/*/run.json"):
        record = json.loads(path.read_text())
        assert {"parameters", "seed", "metrics", "inputs", "code", "versions"} <= set(record)
        assert record["hardware"]
        assert record["wall_s"] > 0
        assert "02_video_folds/once/folds.csv" in record["inputs"]
        # It trains on labels.csv; only a recipe with crops reads the clip applier's boxes.
        crops = "recipe=features" in path.parent.name
        assert ("02_video_folds/once/boxes.parquet" in record["inputs"]) == crops
        assert not [name for name in record["inputs"] if name.startswith("data/")]
        assert str(project) not in path.read_text()


def test_no_run_depends_on_a_file_that_holds_times(project):
    """run.json says when a run ran: what reads it is out of date after each repetition."""
    for path in (project / "papermill_runs" / "smoke").glob("0?_*/*/run.json"):
        inputs = json.loads(path.read_text())["inputs"]
        assert not [name for name in inputs if name.endswith("run.json")], path


def test_the_end_is_a_summary_beside_the_paper(project):
    output = (project / "output").read_text()
    for part in ("Table 2", "Table 3", "SIMULATED", "0.9107", "Frames per second", "figures"):
        assert part in output
    assert "09_jetson_deploy" in (project / "progress").read_text()
    assert "papermill_runs/smoke/report.html" in output
    # One epoch on six patients: what the last line says of a network that has learnt nothing.
    assert output.splitlines()[-1].startswith("This network has not learnt to see the tips: on 2 ")
    report = (project / "papermill_runs" / "smoke" / "report.html").read_text()
    table3 = pd.read_csv(project / "papermill_runs/smoke/08_ensemble_test/once/table3.csv")
    [auroc] = table3.query("model == 'ensemble' and metric == 'auroc'")["estimate"]
    assert f">{auroc:.4g}<" in report
    assert report.count('<section id="n0') == 9


def test_again_there_is_nothing_to_do(project):
    before = finished(project)
    began = time.monotonic()
    assert run_study(project).returncode == 0
    assert finished(project) == before
    assert time.monotonic() - began < 60


def test_a_changed_parameter_reruns_only_what_depends_on_it(project):
    before = finished(project)
    path = project / "notebooks" / "studies" / "smoke.yaml"
    study = yaml.safe_load(path.read_text())
    study["parameters"]["extreme_frames"] = 4  # a parameter of notebook 07 alone
    path.write_text(yaml.safe_dump(study))
    result = run_study(project)
    assert result.returncode == 0, result.stderr
    after = finished(project)
    rerun = {run for run in before if after[run] != before[run]}
    assert rerun == {"07_saliency/once"}


def test_a_study_without_its_data_says_what_it_needs(project):
    command = [*COMMAND[:4], "paper"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 1
    assert "study 'paper' needs data: make study STUDY=paper DATA=" in result.stderr


def test_the_users_own_videos_go_the_same_way(project):
    study = yaml.safe_load((project / "notebooks" / "studies" / "smoke.yaml").read_text())
    del study["simulate"]
    (project / "notebooks" / "studies" / "own.yaml").write_text(yaml.safe_dump(study))
    data = project / "papermill_runs" / "smoke" / "data"
    command = [*COMMAND[:4], "own", "--data", str(data), "video_folds"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    place = project / "papermill_runs" / "own"
    made = (place / "02_video_folds" / "once" / "folds.csv").read_text()
    assert made == (place.parent / "smoke" / "02_video_folds" / "once" / "folds.csv").read_text()
    # They are simulated all the same, and every table says so.
    assert "SIMULATED" in (place / "01_annotation_agreement/once/agreement.csv").read_text()


@pytest.mark.slow
def test_a_nested_study_with_recipes_from_its_videos_to_the_device(project):
    """All nine notebooks; a recipe starts from a network of the smoke study, another has none."""
    weights = "papermill_runs/smoke/05_train_fold/loss=bce,recipe=paper,held_out=test,fold=0"
    weights += "/model.safetensors"
    study = yaml.safe_load((project / "notebooks" / "studies" / "smoke.yaml").read_text())
    del study["simulate"]
    study["parameters"] |= {"folds_count": 3, "inner_folds": 1, "test_share": 0.0}
    study["parameters"] |= {"losses": ["bce"], "learning_rates": {"bce": 1e-3}}
    study["recipes"] = {
        "all_frames": {"protocol": "all"},
        "simulated_first": {"weights": weights, "image_size": 64},
        "simulated_only": {"weights": weights, "epochs": 0},
    }
    (project / "notebooks" / "studies" / "nested.yaml").write_text(yaml.safe_dump(study))
    data = project / "nested_data"
    shutil.copytree(project / "papermill_runs" / "smoke" / "data", data)
    videos = pd.read_csv(data / "videos.csv").assign(split="")
    videos.to_csv(data / "videos.csv", index=False)
    command = [*COMMAND[:4], "nested", "--data", str(data)]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "first, from the study smoke: 05_train_fold" in result.stdout
    place = project / "papermill_runs" / "nested"
    runs = list(place.glob("05_train_fold/*/run.json"))
    assert len(runs) == 3 * 4 + 2  # the last are the student and the network that arms
    only = [load_file(p) for p in place.glob("05_train_fold/*simulated_only*/model.safetensors")]
    for network in only[1:]:  # one network, never trained here
        assert all(torch.equal(network[name], tensor) for name, tensor in only[0].items())
    recipes = pd.read_csv(place / "06_loss_comparison" / "once" / "recipes.csv")
    assert recipes["recipe"].nunique() == 4
    before = {path: path.stat().st_mtime_ns for path in place.glob("0?_*/*/run.json")}
    assert subprocess.run(command, cwd=project, capture_output=True).returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_the_record_is_small_and_names_no_machine(project):
    command = [*COMMAND[:3], "record", "smoke"]
    result = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    record = project / "papermill_runs" / "record" / "smoke"
    notebooks = list(record.glob("*/*/notebook.ipynb"))
    assert len(notebooks) == 7 + 1 + 2 * 2 + 2 + 2  # last: recipe features; student and arming
    for path in notebooks:
        assert path.stat().st_size <= 200_000
        assert str(project) not in path.read_text()
    assert (project / "figures" / "smoke" / "07_saliency_pixels.png").exists()
    videos = project / "papermill_runs" / "smoke" / "data" / "videos.csv"
    videos.write_text(videos.read_text().replace(",simulated,", ",a hospital,", 1))
    refused = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert refused.returncode == 1
    assert "neither simulated nor under a Creative Commons licence" in refused.stderr
