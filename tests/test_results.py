"""The page of results and the tables of figures say what the tracked records say."""

import json
import shutil
from pathlib import Path

import pytest

from clipassistnet.publish import markdown, result_tables, results
from clipassistnet.publish.recorded_study import studies

ROOT = Path(__file__).resolve().parents[1]


def test_every_page_says_what_the_records_say():
    differs = [
        str(path)
        for path, text in results.pages(ROOT).items()
        if (ROOT / path).read_text(encoding="utf-8") != text
    ]
    assert not differs, "these pages differ from the records; write them with: make results"


def write_run(folder: Path, tables: dict[str, str], **record) -> None:
    folder.mkdir(parents=True)
    fixed = {"parameters": {}, "started": "2031-02-03T04:05:06+00:00", "wall_s": 60.0}
    fixed |= {"commit": "abcdef123456", "hardware": "a processor, 2 cores"}
    (folder / "run.json").write_text(json.dumps(fixed | record))
    for name, text in tables.items():
        (folder / f"{name}.csv").write_text(text)


@pytest.fixture
def record(tmp_path) -> Path:
    """A record of one study whose main recipe is `features`, on seven real patients, nested."""
    study = tmp_path / "new"
    write_run(
        study / "01_annotation_agreement" / "once",
        {
            "agreement": "quantity,ours,paper\nno full agreement,0.1,0.18\n",
            "table1": "split,annotator,videos,frames,absent\nundecided,majority,7,316,1650\n",
        },
    )
    for recipe in ("features", "paper"):
        parameters = {"loss": "bce", "recipe": recipe, "backbone": "resnet50", "image_size": 224}
        write_run(
            study / "05_train_fold" / f"loss=bce,recipe={recipe},held_out=0,fold=1",
            {},
            parameters=parameters | {"inner_folds": 2},
        )
    header = "recipe,metric,pooled,low,high,judged\n"
    write_run(
        study / "06_loss_comparison" / "once",
        {
            "recipes": header
            + "features,auroc,0.88,0.8,0.95,clipper frames\n"
            + "paper,auroc,0.7,0.6,0.8,clipper frames\n"
            + "paper,specificity_at_95,0.2,0.1,0.5,clipper frames\n"
        },
    )
    write_run(
        study / "08_ensemble_test" / "once",
        {
            "table3": "model,metric,estimate,low,high\n"
            "ensemble,auroc,0.88,0.80,0.95\nensemble,specificity_at_95,0.6,0.3,0.9\n",
            "by_patient": "judged,frames,auroc,low,high,specificity_at_95\n"
            "all frames,316,0.88,0.8,0.95,0.6\nP1,316,0.88,,,0.6\n",
            "per_video_medians": "quantity,ours,paper\n"
            "median sensitivity,0.9,0.95\nof the paper alone,-,1\n",
            "confusion_at_frozen_threshold": "video,tn,fp,fn,tp\nall,100.0,22.0,10.0,184.0\n",
        },
        parameters={"recipe": "features"},
    )
    return tmp_path


def test_a_new_study_with_another_main_recipe_stands_beside_the_papers(record):
    table = results.headline(studies(record))
    assert "`features`: 2 x ResNet-50, 224 px | 0.88 (0.80 to 0.95) | 0.60 (0.30 to 0.90)" in table
    assert "`paper`: 2 x ResNet-50, 224 px | 0.70 (0.60 to 0.80) | 0.20 (0.10 to 0.50)" in table
    assert "316 frames of 1 patient" in table


def test_a_chapter_begins_with_its_finding_and_names_the_origin(record):
    page = results.page(studies(record))
    finding = "On 316 frames of 1 patient the AUROC of recipe `features` is 0.88 (0.80 to 0.95)."
    assert f"{finding} The paper's 0.91, on its own videos, lies in this interval." in page
    assert "From notebook 08, commit `abcdef123456`, 2031-02-03, a processor, 2 cores." in page


def test_tables_beside_the_paper_have_the_rows_that_we_measured(record):
    page = results.page(studies(record))
    assert "| median sensitivity | 0.900 | 0.950 |" in page
    assert "of the paper alone" not in page
    assert "| visible | 100 | 22 |\n| invisible | 10 | 184 |" in page


def test_a_study_that_vanished_leaves_no_row(record):
    shutil.rmtree(record / "new")
    page = results.page(studies(record))
    assert "| the paper, private videos |" in page
    assert "new" not in page.split()


def test_what_was_not_recorded_is_said(record):
    write_run(
        record / "old" / "08_ensemble_test" / "once",
        {"table3": "model,metric,estimate,low,high\nensemble,auroc,0.5,,\n"},
        commit=None,
        hardware=None,
        started=None,
    )
    page = results.page(studies(record))
    assert "commit not recorded, date not recorded, hardware not recorded" in page


def test_differences_that_exclude_zero_are_named():
    rows = [
        {"loss": "class_weighted", "metric": "auroc", "low": "0.01", "high": "0.2"},
        {"loss": "video_weighted", "metric": "auroc", "low": "-0.1", "high": "0.2"},
    ]
    [layout] = [one for one in result_tables.LAYOUTS if one.table == "comparison"]
    text = "The interval excludes zero for: class-weighted (AUROC)."
    assert result_tables.beyond_zero(rows, layout) == text
    assert "No interval" in result_tables.beyond_zero(rows[1:], layout)


@pytest.mark.parametrize(
    ("value", "low", "high", "signed", "text"),
    [
        ("0.7186", "0.578", "0.8265", False, "0.72 (0.58 to 0.83)"),
        ("0.0462", "-0.1096", "0.202", True, "+0.05 (-0.11 to 0.20)"),
        ("-0.001", "-0.2", "0.2", True, "0.00 (-0.20 to 0.20)"),
        ("0.5", "", "", False, "0.50"),
        ("", "", "", False, "-"),
        ("-", "", "", False, "-"),
    ],
)
def test_estimates_as_text(value, low, high, signed, text):
    assert markdown.estimate(value, low, high, signed=signed) == text


def test_a_page_without_its_marks_is_named():
    with pytest.raises(ValueError, match="expected the lines <!-- headline"):
        markdown.fill("no marks", "headline", "a table")
