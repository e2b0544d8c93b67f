"""Runs in Lab: they chain, their errors are short, and what an error advises works."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import nbformat
import pytest

from clipassistnet import runs
from clipassistnet.__main__ import main
from clipassistnet.data import cross_validation
from clipassistnet.data.dataset import DatasetError
from clipassistnet.files import BATCH
from clipassistnet.model.losses import LOSSES
from clipassistnet.runs import RunError, notebooks
from clipassistnet.runs import study as studies
from clipassistnet.runs.execute import execute
from test_runs import project, write_notebook

__all__ = ["project"]  # A fixture, which pytest finds here.
ROOT = Path(__file__).resolve().parents[1]


def in_lab(study: str, text: str) -> Path:
    """The file of a run of 02_x in Lab on this study."""
    run = runs.start("02_x", study)
    path = run.folder / "folds.csv"
    path.write_text(text)
    run.finish()
    return path


@pytest.fixture
def of_study(project, monkeypatch):
    """The file of the study's own run of 02_x."""
    monkeypatch.delenv(BATCH, raising=False)
    (project / "notebooks/studies/other.yaml").write_text("simulate: {}\n")
    path = project / "papermill_runs/tiny/02_x/once/folds.csv"
    path.parent.mkdir(parents=True)
    path.write_text("of the study")
    return path


def test_a_run_in_lab_reads_what_another_in_lab_made(of_study, capsys):
    assert runs.start("05_x", "tiny").input("02_x", "folds.csv") == of_study
    own = in_lab("tiny", "mine")
    run = runs.start("05_x", "tiny")
    capsys.readouterr()
    assert run.input("02_x", "folds.csv") == own
    said = capsys.readouterr().out
    assert said.startswith("From your run in Lab of 20")
    assert "papermill_runs/lab/02_x/once/folds.csv" in said
    assert "(delete papermill_runs/lab/02_x/once to read the study's)" in said
    assert list(run.used) == ["lab/02_x/once/folds.csv"]
    run.input("02_x", "folds.csv")
    assert capsys.readouterr().out == ""


def test_a_run_in_lab_on_another_study_or_unfinished_is_left_alone(of_study):
    own = in_lab("other", "of another study")
    assert runs.start("05_x", "tiny").input("02_x", "folds.csv") == of_study
    (own.parent / "result.json").unlink()
    assert runs.start("05_x", "other").folder.parts[-3:-1] == ("lab", "05_x")
    with pytest.raises(RunError, match="is missing in study 'other'"):
        runs.start("05_x", "other").input("02_x", "folds.csv")


def test_a_batch_never_reads_a_run_in_lab(of_study, tmp_path, monkeypatch):
    in_lab("tiny", "mine")
    monkeypatch.setenv(BATCH, str(tmp_path / "run"))
    run = runs.start("05_x", "tiny")
    assert run.input("02_x", "folds.csv") == of_study
    run.finish()
    assert "study" not in json.loads((tmp_path / "run" / "result.json").read_text())


def test_trainings_that_are_compared_are_the_studys(of_study, monkeypatch):
    Fold = namedtuple("Fold", "fold")
    folder = of_study.parents[2] / "05_x" / "fold=0"
    folder.mkdir(parents=True)
    (folder / "p.csv").touch()
    (folder / "run.json").write_text(json.dumps({"parameters": {}, "inputs": {}, "code": {}}))
    run = runs.start("05_x", "tiny", fold=0)
    (run.folder / "p.csv").touch()
    run.finish()
    found = runs.start("06_x", "tiny").inputs("05_x", "p.csv", [Fold(0)])
    assert found == {Fold(0): folder / "p.csv"}


def test_an_error_with_an_explanation_is_one_short_output(project):
    cells = ['run = runs.start("01_tiny", study)\nrun.input("02_x", "a.csv")', "run.finish()"]
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *cells)
    with pytest.raises(
        RunError, match="01_tiny once failed: RunError: run: clipassistnet run 02_x"
    ):
        execute("tiny", "01_tiny", {})
    [partial] = project.glob("papermill_runs/tiny/01_tiny/.*.partial")
    cells = nbformat.read(partial / "notebook.ipynb", as_version=4).cells
    [error] = [o for c in cells for o in c.get("outputs", []) if o.output_type == "error"]
    assert error.traceback == [
        "RunError: run: clipassistnet run 02_x --study tiny\n"
        "02_x/once/a.csv is missing in study 'tiny'"
    ]


def test_other_errors_keep_their_traceback():
    assert DatasetError(["a"])._render_traceback_() == [
        "DatasetError: 1 problem in the dataset:\na"
    ]
    assert not hasattr(ZeroDivisionError(), "_render_traceback_")


def test_the_names_of_losses():
    assert set(cross_validation.LOSS_NAMES) == set(LOSSES)


def test_what_is_misspelt_is_named_at_the_start(project):
    (project / "notebooks/studies/tiny.yaml").write_text("recipes: {long: {}}\n")
    with pytest.raises(RunError, match=r"^no study 'nonsense'; there are tiny$"):
        runs.start("05_x", "nonsense")
    with pytest.raises(RunError, match=r"^no study 'tinny' \(did you mean 'tiny'\?\)"):
        runs.start("05_x", "tinny")
    with pytest.raises(RunError, match=r"^loss 'foo': expected one of bce, class_weighted"):
        runs.start("05_x", "tiny", loss="foo")
    with pytest.raises(RunError, match=r"^recipe 'lung' \(did you mean 'long'\?\): expected"):
        runs.start("05_x", "tiny", loss="bce", recipe="lung")
    assert runs.start("05_x", "tiny", loss="bce", recipe="long").notebook == "05_x"


def test_advice_for_data_is_what_the_study_needs(project, capsys):
    shutil.rmtree(project / "papermill_runs")
    (project / "notebooks/studies/own sim.yaml").write_text("simulate: {}\n")
    with pytest.raises(RunError, match=r"^run: make study STUDY=tiny DATA=<dataset folder>: "):
        runs.data_folder("tiny")
    with pytest.raises(RunError, match=r"^run: make study STUDY='own sim': "):
        runs.data_folder("own sim")
    with pytest.raises(RunError, match=r"^run: make study STUDY='own sim': "):
        runs.start("03_x", "own sim").frames(64)
    with pytest.raises(RunError, match=r"^no study 'nonsense'"):
        runs.data_folder("nonsense")
    assert main(["check", "--study", "tiny"]) == 1
    assert "make study STUDY=tiny DATA=<dataset folder>" in capsys.readouterr().err


def test_advice_for_frames_of_another_size_works(tiny_dataset, project, capsys):
    (project / "papermill_runs/tiny/study.json").write_text(json.dumps({"data": str(tiny_dataset)}))
    run = runs.start("05_x", "tiny")
    with pytest.raises(RunError, match=r"sizes it has: none") as error:
        run.frames(24)
    advice = str(error.value).splitlines()[0]
    assert advice == "run: clipassistnet frames --study tiny --size 24"
    assert main(advice.split()[2:]) == 0, capsys.readouterr().err
    assert run.frames(24).name == "24"
    with pytest.raises(RunError, match=r"no frames of 99 pixels \(sizes it has: 24\)"):
        run.frames(99)


def test_notebooks_of_the_users_own_do_not_stop_a_study(tmp_path, monkeypatch):
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "notebooks"
    write_notebook(folder / "Untitled.ipynb", "1 + 1")
    shutil.copy(folder / "Untitled.ipynb", folder / "01_annotation_agreement-Copy1.ipynb")
    shutil.copy(folder / "Untitled.ipynb", folder / "02_video_folds (1).ipynb")
    (folder / "05_train_fold-Copy1.ipynb").write_text("")
    without = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1")])
    nbformat.write(without, folder / "07_my_own.ipynb")
    nbformat.write(without, folder / "Untitled.ipynb")
    study = studies.read("smoke")
    assert "07_my_own" not in study.declared
    assert len(study.declared) == 9
    with pytest.raises(RunError, match=r"07_my_own\.ipynb: expected one cell tagged parameters"):
        study.resolve("07_my_own", {})
    (folder / "07_my_own.ipynb").write_text("{}")
    with pytest.raises(RunError, match=r"07_my_own\.ipynb: not readable as a notebook"):
        notebooks.has_parameters(folder / "07_my_own.ipynb")
