"""The report page says what the runs' artefacts say, and shows no patient."""

import json
import re

import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from safetensors.numpy import save_file

from clipassistnet.__main__ import main
from clipassistnet.files import digest as file_digest
from clipassistnet.publish import report
from clipassistnet.publish.html_tables import tidy
from clipassistnet.runs import RunError
from test_share_pictures import noise, png, videos_csv

TABLE = """<table><thead><tr><th></th><th>ours</th></tr><tr><th>quantity</th><th></th></tr></thead>
<tbody><tr><th>videos</th><td>24</td></tr><tr><th>of</th><td>us</td></tr></tbody></table>"""


def write_run(place, key="once", title="A title", cells=(), metrics=None, **record):
    """A finished run: notebook.ipynb, run.json and the tables given as name=[row, ...]."""
    folder = place / key
    folder.mkdir(parents=True)
    story = new_markdown_cell(
        f"# {place.name[:2]} · {title}\n\nAs notebook 03 says, $T_{{ij}}$ & <b>x</b> "
        "<i onclick='f()'>y</i><script>f()</script>."
    )
    nbformat.write(new_notebook(cells=[story, *cells]), folder / "notebook.ipynb")
    made = {
        "parameters": {},
        "metrics": metrics or {},
        "inputs": {},
        "seed": 3,
        "commit": "abc123",
        "hardware": "a processor, 2 cores",
        "python": "3.11.7",
        "versions": {"torch": "2.15.0"},
        "started": "2026-01-02T03:04:05+00:00",
        "wall_s": 1800.0,
    }
    (folder / "run.json").write_text(json.dumps(made | record))
    return folder


def pictured(figure: str, seed: int, tags: tuple) -> nbformat.NotebookNode:
    output = new_output("display_data", data={"image/png": png(noise(seed))})
    source = f'run.figure(figure, "{figure}")'
    return new_code_cell(source, outputs=[output], metadata={"tags": list(tags)})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with one study `tiny`, whose data folder holds two videos."""
    (tmp_path / "notebooks" / "studies").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papermill_runs" / "tiny" / "data").mkdir(parents=True)
    videos(tmp_path, "simulated")
    return tmp_path


def videos(project, source: str) -> None:
    rows = videos_csv("v1", source, "CC BY 4.0") + f"v2,v2.mp4,p2,train,25,,,{source},CC BY 4.0\n"
    (project / "papermill_runs" / "tiny" / "data" / "videos.csv").write_text(rows)


@pytest.fixture
def studied(project):
    """Runs of notebooks 01, 05 (two) and 08."""
    place = project / "papermill_runs" / "tiny"
    digest = file_digest(place / "data" / "videos.csv")
    table = new_output("execute_result", data={"text/html": TABLE, "text/plain": "x"})
    printed = new_output("stream", name="stdout", text="2 < 3 videos\n")
    cells = [
        new_code_cell("secret_code = 1", outputs=[printed, table]),
        pictured("curve", 1, ("shareable",)),
        pictured("frames", 2, ()),
    ]
    agreement = write_run(
        place / "01_annotation_agreement", cells=cells, inputs={"data/videos.csv": digest}
    )
    (agreement / "table1.csv").write_text(
        "split,annotator,videos,frames\ntest,majority,7,123\ntest,A,7,99\n"
    )
    for fold in (0, 1):
        folder = write_run(
            place / "05_train_fold",
            f"loss=bce,fold={fold}",
            metrics={"validation_auroc": 0.8125 + fold / 100},
            parameters={"backbone": "resnet50", "fold": fold, "loss": "bce"},
            cells=[pictured("learning_curves", 3 + fold, ("shareable",))],
        )
        spec = {"spec": json.dumps({"weights_licence": "BSD-3-Clause"})}
        save_file({"x": np.zeros(1)}, folder / "model.safetensors", metadata=spec)
    test = write_run(place / "08_ensemble_test")
    (test / "table3.csv").write_text(
        "model,metric,estimate,low,high,paper\nensemble,auroc,0.87654,0.8,0.95,0.9107\n"
        "fold 0,auroc,0.11111,0.1,0.2,-\n"
    )
    (test / "thresholds.csv").write_text(
        "threshold from,sensitivity,threshold\nfrozen,0.9,0.4321\n"
    )
    (test / "absent.csv").write_text(
        'figure,estimate\n"called visible, threshold frozen",0.25\nAUROC: no clipper,0.5\n'
    )
    return project


def page_of() -> str:
    return report.write("tiny").read_text()


def card_of(page: str) -> str:
    text = re.sub(r"<[^>]+>", " ", page[page.index('<section id="card"') :].split("</section>")[0])
    return re.sub(r"\s+", " ", text)


def test_the_card_says_what_the_artefacts_say(studied):
    card = card_of(page_of())
    for expected in (
        "2 trainings in this study.",
        "backbone resnet50",
        "majority 7 123",
        "simulated (2 videos)",
        "videos CC BY 4.0",
        "pretrained weights BSD-3-Clause",
        "ensemble auroc 0.8765 0.8 0.95 0.9107",
        "frozen 0.9 0.4321",
        "25.0% are called visible, threshold frozen",
        "Tested on 7 videos only.",
        "runs 4",
        "wall time, hours 2 ",
        "commit abc123",
        "seed 3",
        "Not a medical device",
    ):
        assert expected in card, expected
    assert "0.1111" not in card
    assert "has changed since" not in card
    assert "Arming by itself" not in card


def test_a_network_for_arming_has_a_part_of_its_own(studied):
    test = studied / "papermill_runs" / "tiny" / "08_ensemble_test" / "once"
    (test / "arming.csv").write_text("judged,measure,estimate\narmed by live,sensitivity,0.3125\n")
    assert "may arm the feedback" in card_of(page_of())
    assert "armed by live sensitivity 0.3125" in card_of(page_of())


def test_the_result_comes_first(studied):
    test = studied / "papermill_runs" / "tiny" / "08_ensemble_test" / "once"
    (test / "thresholds.csv").write_text(
        "threshold from,rate,estimate,low,high\nfrozen,sensitivity,0.95,0.9,0.98\n"
        "frozen,specificity,0.61,0.4,0.8\n"
    )
    line = pictured("one_video", 9, ())
    write_run(studied / "papermill_runs" / "tiny" / "08_ensemble_test", "recipe=x", cells=[line])
    page = page_of()
    top = page[: page.index("<details")]
    assert "<b>0.88 (0.80 to 0.95)</b>AUROC of the ensemble" in top
    assert "<b>0.61 (0.40 to 0.80)</b>specificity" in top
    assert "with sensitivity 0.95 (0.90 to 0.98)" in top
    assert "frames a second" not in top
    assert "time line" not in top


def test_the_time_line_is_shown_where_its_frames_may_be(studied):
    test = studied / "papermill_runs" / "tiny" / "08_ensemble_test" / "once" / "notebook.ipynb"
    notebook = nbformat.read(test, 4)
    notebook.cells.append(pictured("one_video", 9, ()))
    nbformat.write(notebook, test)
    assert "time line" in page_of()
    videos(studied, "our theatre")
    assert "time line" not in page_of()


def test_a_study_says_first_whether_its_network_has_learnt(studied):
    place = studied / "papermill_runs" / "tiny" / "06_loss_comparison"
    (write_run(place) / "baselines.csv").write_text(
        "scorer,patients,frames,auroc,low,high,difference,difference_low,difference_high\n"
        "ensemble,7,123,0.6,0.4,0.8,,,\nbox,7,123,0.7,0.5,0.9,-0.1,-0.2,0.1\n"
    )
    page = page_of()
    assert "This network has not learnt to see the tips" in page[: page.index("<details")]


def test_tables_keep_their_intervals_on_a_phone():
    frame = pd.DataFrame(
        {
            "model": ["a", "b"],
            "estimate": [0.5, float("nan")],
            "low": [0.4, float("nan")],
            "high": [0.6, float("nan")],
            "paper": [0.9107, float("nan")],
        }
    )
    soup = BeautifulSoup(tidy(frame.to_html()), "html.parser")
    rows = [[c.get_text() for c in row.find_all(["th", "td"])] for row in soup.find_all("tr")]
    assert rows == [
        ["model", "estimate (95 % interval)", "paper"],
        ["a", "0.5 (0.4 to 0.6)", "0.9107"],
        ["b", "-", "-"],
    ]


def test_a_table_with_spans_or_words_in_its_index_keeps_its_form():
    named = pd.DataFrame({"low": [1], "high": [2]}, index=["first"])
    assert "first" in tidy(named.to_html())
    assert "<th>low</th>" in tidy(named.to_html())
    grouped = named.rename(index={"first": 0}).to_html().replace("<td>", '<td colspan="2">', 1)
    assert "<th>0</th>" in tidy(grouped)


def test_what_has_not_run_is_said_to_be_missing(studied):
    card = card_of(page_of())
    assert "Speed Not in this study: the notebook that measures it has not run." in card
    assert "Jetson" not in card


def test_the_card_says_that_the_data_have_changed(studied):
    (studied / "papermill_runs" / "tiny" / "data" / "videos.csv").write_text(
        videos_csv("v1", "simulated", "")
    )
    card = card_of(page_of())
    assert "videos.csv has changed since these runs" in card
    assert "videos not named" in card


def test_a_chapter_is_prose_tables_and_figures_without_code(studied):
    page = page_of()
    assert "<summary><span>01</span>A title" in page
    assert '<section id="n01">' in page
    assert "secret_code" not in page
    assert "2 &lt; 3 videos" in page
    assert "<i>T<sub>ij</sub></i>" in page
    assert '<a href="#n03">03</a>' in page
    assert "<b>x</b> <i>y</i>" in page  # HTML in prose keeps its allowed elements alone
    assert "f()" not in page
    assert "<tr><th>quantity</th><th>ours</th></tr></thead>" in page.replace("\n", "")
    assert '<td class="n">24</td>' in page
    assert "<td>us</td>" in page
    assert 'alt="curve"' in page


def test_runs_of_one_notebook_stand_in_a_table_and_each_can_be_opened(studied):
    page = page_of()
    for expected in ("loss=bce, fold=0", "loss=bce, fold=1", "0.8125", "0.8225"):
        assert expected in page
    assert page.count("<details>") == 1
    assert page.count('<section id="n05">') == 1


def test_the_page_needs_and_runs_nothing(studied):
    page = page_of()
    for loaded in ("<script", "http://", "https://", "<link", "@import", "url("):
        assert loaded not in page, loaded


def test_simulated_figures_are_stamped_and_show_their_frames(studied):
    page = page_of()
    assert page.count("<img") == 4
    assert page.count('<span class="badge">SIMULATED</span></summary>') == 3
    assert "Every figure on this page was measured on simulated videos" in page
    assert "does not show that the model works on real ones" in card_of(page)


def test_no_frame_of_a_real_video_is_shown(studied):
    videos(studied, "our theatre")
    page = page_of()
    assert page.count("<img") == 3
    assert "picture withheld: 9 x 7 pixels" in page
    assert "SIMULATED" not in page
    assert "Frames of real videos are left out" in page


def test_without_runs_it_names_the_command(project, capsys):
    (project / "notebooks" / "studies" / "tiny.yaml").touch()
    with pytest.raises(RunError, match="make study STUDY=tiny"):
        report.write("tiny")
    assert main(["report", "tiny"]) == 1
    assert not (project / "papermill_runs" / "tiny" / "report.html").exists()


def test_the_command_names_the_page(studied, capsys):
    assert main(["report", "tiny"]) == 0
    assert capsys.readouterr().out == "report: papermill_runs/tiny/report.html\n"
