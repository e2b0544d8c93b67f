"""The notebooks tell the story: prose, short cells, nothing defined, no output in git."""

import ast
import contextlib
import itertools
import json
import re
import statistics
from pathlib import Path

import pytest

from clipassistnet.runs import RunError, notebooks
from clipassistnet.runs import study as studies

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
STUDIES = sorted((ROOT / "notebooks" / "studies").glob("*.yaml"))
STUDIED = [path for path in NOTEBOOKS if path.stem != "00_annotate"]  # no study runs that one
NAMES = [
    "00_annotate",
    "01_annotation_agreement",
    "02_video_folds",
    "03_augmentation",
    "04_learning_rate",
    "05_train_fold",
    "06_loss_comparison",
    "07_saliency",
    "08_ensemble_test",
    "09_jetson_deploy",
]


def cells(path: Path, kind: str) -> list[dict]:
    return [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == kind]


def test_the_notebooks_are_there():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_carries_no_outputs(path):
    for cell in cells(path, "code"):
        assert cell["outputs"] == []
        assert cell["execution_count"] is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_tells_and_defines_nothing(path):
    code = ["".join(cell["source"]) for cell in cells(path, "code")]
    lengths = [len([line for line in text.splitlines() if line.strip()]) for text in code]
    assert sum(lengths) <= 107  # "about 100"
    assert statistics.median(lengths) <= (5 if path.stem != "00_annotate" else 6)
    assert len(cells(path, "markdown")) >= 0.4 * len(code)
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda)
    found = [n for text in code for n in ast.walk(ast.parse(text)) if isinstance(n, kinds)]
    assert not [n for n in found if not isinstance(n, ast.Lambda)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_is_explained(path):
    """The cell after a figure is prose."""
    all_cells = json.loads(path.read_text())["cells"]
    for cell, following in itertools.pairwise(all_cells):
        if re.search(r"run\.figure\(", "".join(cell["source"])) and cell["cell_type"] == "code":
            assert following["cell_type"] == "markdown", "".join(cell["source"])


@pytest.mark.parametrize("path", STUDIED, ids=lambda path: path.stem)
def test_a_notebook_starts_and_finishes_its_run(path):
    source = "\n".join(text for text, _ in notebooks.sources(path))
    assert f'runs.start("{path.stem}", study' in source
    assert "run.finish(" in source
    assert notebooks.declared(path)["study"] == "smoke"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_every_study_fits_the_notebooks(path):
    study = studies.read(path.stem)
    weights = str(study.parameters.get("weights", "none"))
    absent = weights.startswith("../") and not (ROOT / weights).exists()  # not in the repository
    with pytest.raises(RunError, match="no such file") if absent else contextlib.nullcontext():
        study.check()
    for name in [notebook.stem for notebook in STUDIED]:
        assert study.resolve(name, {})["study"] == path.stem


def test_shared_parameters_have_one_default():
    """A parameter that two notebooks declare means the same in both."""
    defaults: dict[str, dict[str, object]] = {}
    for path in STUDIED:
        for name, value in notebooks.declared(path).items():
            defaults.setdefault(name, {})[path.stem] = value
    for name, by_notebook in defaults.items():
        assert len({json.dumps(value) for value in by_notebook.values()}) == 1, (name, by_notebook)
