"""Secrets planted wherever a notebook can hold them, in every usual disguise, and looked for."""

import base64
import getpass
import html
import json
import re
import shutil
import socket
import string
import unicodedata
from pathlib import Path
from urllib.parse import quote, quote_plus

import nbformat
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from clipassistnet.__main__ import main
from clipassistnet.publish.copying import Copier
from clipassistnet.publish.redaction import REMOVED, Redactor
from clipassistnet.publish.terms import TermError, machines_terms, studys_terms, users_terms
from clipassistnet.runs.execute import execute
from test_runs import project, write_notebook  # noqa: F401 a fixture

SECRET = "Bärbel Müller-Łukasik"


def displayed(mime: str, value: object) -> nbformat.NotebookNode:
    return new_output("display_data", data={mime: value})


def with_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_code_cell("x", outputs=[output])])


def attached(secret: str) -> nbformat.NotebookNode:
    cell = new_markdown_cell(f"![{secret}](attachment:{secret}.png)")
    cell.attachments = {f"{secret}.png": {"text/plain": secret}}
    return new_notebook(cells=[cell])


def described(secret: str) -> nbformat.NotebookNode:
    """In metadata of notebook, cell and output, in a cell's id and in a tag."""
    output = new_output("display_data", data={"text/plain": "x"}, metadata={secret: secret})
    cell = new_code_cell(
        "x", outputs=[output], metadata={"tags": [secret], "papermill": {"x": secret}}
    )
    cell.id = "a-" + re.sub(r"[^a-z]", "", secret.lower())
    papermill = {"input_path": f"/home/{secret}/x.ipynb", "parameters": {"data": secret}}
    kernel = {"name": secret, "display_name": secret}
    metadata = {"papermill": papermill, "kernelspec": kernel, "authors": [{"name": secret}]}
    return new_notebook(cells=[cell], metadata=metadata)


def failed(secret: str) -> nbformat.NotebookNode:
    trace = [f"\x1b[0;31m{secret}\x1b[0m at /home/x/{secret}.py:12", secret]
    return with_output(new_output("error", ename=secret, evalue=secret, traceback=trace))


PLACES = {
    "code": lambda s: new_notebook(cells=[new_code_cell(f"name = '''{s}'''")]),
    "prose": lambda s: new_notebook(cells=[new_markdown_cell(f"# {s}\n\n*{s}*")]),
    "raw cell": lambda s: new_notebook(cells=[nbformat.v4.new_raw_cell(s)]),
    "stdout": lambda s: with_output(new_output("stream", name="stdout", text=f"a {s}\n{s}b")),
    "stderr": lambda s: with_output(new_output("stream", name="stderr", text=f"_{s}_")),
    "plain result": lambda s: with_output(displayed("text/plain", f"['{s}']")),
    "table": lambda s: with_output(
        displayed("text/html", f"<table><tr title='{s}'><td>{html.escape(s)}</td></tr></table>")
    ),
    "html comment": lambda s: with_output(displayed("text/html", f"<p>x</p><!-- {s} -->")),
    "html unclosed": lambda s: with_output(displayed("text/html", f"<p>{html.escape(s)}<b")),
    "markdown output": lambda s: with_output(displayed("text/markdown", f"**{s}** `{s}`")),
    "latex": lambda s: with_output(displayed("text/latex", f"${s}$")),
    "json": lambda s: with_output(displayed("application/json", {s: [s]})),
    "widget": lambda s: with_output(displayed("application/vnd.x+json", {"state": {s: s}})),
    "mime type": lambda s: with_output(displayed("text/x-" + s, s)),
    "error": failed,
    "attachment": attached,
    "metadata": described,
}

DISGUISES = {
    "as it is": str,
    "upper": str.upper,
    "lower": str.lower,
    "url": quote,
    "url of a form": quote_plus,
    "url lower case": lambda s: quote(s).lower(),
    "json": lambda s: json.dumps(s)[1:-1],
    "python": lambda s: ascii(s)[1:-1],
    "html": html.escape,
    "html numbers": lambda s: "".join(f"&#{ord(c)};" if ord(c) > 127 else c for c in s),
    "decomposed": lambda s: unicodedata.normalize("NFD", s),
    "a file's name": lambda s: re.sub(r"\W+", "_", s),
    "run together": lambda s: re.sub(r"\W+", "", s),
    "in a path": lambda s: f"/home/{s.replace(' ', '-')}/x",
    "in ASCII": lambda s: s.translate(str.maketrans({"ä": "ae", "ü": "ue", "Ł": "L"})),
    "without accents": lambda s: s.translate(str.maketrans("äüŁ", "auL")),
    "base64": lambda s: base64.b64encode(s.encode()).decode(),
    "base64, second letter": lambda s: base64.b64encode(b"x" + s.encode()).decode(),
    "base64, third letter": lambda s: base64.b64encode(b"xy" + s.encode()).decode(),
    "base64 for URLs": lambda s: base64.urlsafe_b64encode(s.encode()).decode(),
    "hexadecimal": lambda s: s.encode().hex(),
    "soft hyphens": lambda s: "\u00ad".join(s),
    "no-break spaces": lambda s: s.replace(" ", "\u00a0"),
    "over two lines": lambda s: s.replace(" ", "\n    "),
}


@pytest.fixture
def study(tmp_path):
    """A study with one run and a data folder; `make(notebook)` writes its notebook."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "videos.csv").write_text(
        "video,path,patient\nvid01,Hauptwache/vid01_{frame:06d}.jpg,PAT-7\n"
        "vid010,op-of-May.mp4,PAT-8\n"
    )
    (data / "annotations.csv").write_text("video,annotator\nvid01,Grünwald\nvid01,A\n")

    def make(notebook, run: str = "once") -> Path:
        folder = tmp_path / "runs" / "mine" / "01_x" / run
        folder.mkdir(parents=True)
        nbformat.write(notebook, folder / "notebook.ipynb")
        return folder.parents[1]

    return make


def shared(folder: Path, *arguments: str) -> tuple[int, dict[str, str]]:
    """Exit status, and the text of every file that was written."""
    base = folder.parents[1]
    options = ["--videos", str(base / "data" / "videos.csv"), *arguments]
    status = main(["share", str(folder), str(base / "out"), *options])
    return status, {path.name: path.read_text() for path in base.glob("out/*")}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning")
def test_a_planted_term_is_gone(study, place):
    for i, disguise in enumerate(DISGUISES):
        folder = study(PLACES[place](DISGUISES[disguise](SECRET)), run=f"disguise={i:02}")
    status, files = shared(folder, "--term", SECRET)
    assert status == 0
    assert len(files) == len(DISGUISES) + 1
    for name, text in files.items():
        for planted in {disguise(SECRET) for disguise in DISGUISES.values()} | PARTS:
            for written in (planted, json.dumps(planted, ensure_ascii=False)[1:-1]):
                assert written.lower() not in text.lower(), (name, planted)


PARTS = {"Bärbel", "Baerbel", "Müller", "Mueller", "Łukasik", "ukasik"}
ODD = {
    "escaped twice": lambda s: quote(quote(s)),
    "base64 of base64": lambda s: base64.b64encode(base64.b64encode(s.encode())).decode(),
    "base64 of JSON": lambda s: base64.b64encode(json.dumps([s]).encode()).decode(),
    "every letter escaped": lambda s: "".join(f"%{b:02X}" for b in s.encode()),
    "every letter a number": lambda s: "".join(f"&#{ord(c)};" for c in s),
    "every letter in Python": lambda s: "".join(f"\\u{ord(c):04x}" for c in s),
    "wide letters": lambda s: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in s),
}


@pytest.mark.parametrize("disguise", ODD)
@pytest.mark.parametrize("place", ["code", "prose", "stdout", "table", "error"])
def test_in_an_odd_disguise_it_is_gone_or_nothing_is_written(study, place, disguise, capsys):
    planted = ODD[disguise](SECRET)
    status, files = shared(study(PLACES[place](planted)), "--term", SECRET)
    if status:
        assert status == 3
        assert not files
        assert "NOT SHARED, nothing was written" in capsys.readouterr().err
    assert not any(planted in text for text in files.values())


def test_letters_in_tags_of_their_own_stop_everything(study, tmp_path, capsys):
    table = displayed("text/html", "<p><b>B</b>irgit <i>Hu</i>ber</p>")
    status, files = shared(study(with_output(table)), "--term", "Birgit Huber")
    assert (status, files) == (3, {})
    assert "01_x.ipynb: 'Birgit Huber'" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "runs"]


NAMES = st.text(string.ascii_letters + "äöüßéèçñøåłš", min_size=3, max_size=9)
TERMS = st.lists(NAMES, min_size=1, max_size=3).map(" ".join)


@settings(max_examples=60)
@given(term=TERMS, place=st.sampled_from([*PLACES]), disguise=st.sampled_from([*DISGUISES]))
def test_any_term_in_any_place_and_disguise(tmp_path_factory, term, place, disguise):
    assume(len(re.sub("[^a-z]", "", term.lower())) >= 4)  # what is left in ASCII can be searched
    planted = DISGUISES[disguise](term)
    [cell] = PLACES[place](planted).cells
    redactor = Redactor(users_terms([term]))
    copy = Copier(b"key", redactor.clean).copy(new_notebook(cells=[cell]))
    texts = [text for text in strings(copy) if text.lower() not in STRUCTURE]
    if not redactor.surviving("\n".join(texts)):
        assert not any(planted.lower() in text.lower() for text in texts)
        assert not any(term.lower() in text.lower() for text in texts)


STRUCTURE = {"code", "markdown", "c00", "stream", "stdout", "stderr", "display_data", "error"}
STRUCTURE |= {"text/plain", "text/html", "text/markdown", "python", "python3", "python 3"}


def strings(node: object) -> list[str]:
    """Every string of a notebook, its keys too."""
    if isinstance(node, dict):
        return [text for item in node.items() for part in item for text in strings(part)]
    if isinstance(node, list):
        return [text for part in node for text in strings(part)]
    return [node] if isinstance(node, str) else []


@settings(max_examples=100)
@given(before=st.text(max_size=8), term=TERMS, after=st.text(max_size=8))
def test_a_long_term_goes_whatever_stands_beside_it(before, term, after):
    assume(len(term) >= 4)
    cleaned = Redactor(users_terms([term])).clean(f"{before}{term}{after}")
    assert term.lower() not in cleaned.lower()


GENERIC = {
    "/home/anna/data/op 7.mp4": "/home/anna",
    "see /srv/pacs/4711/x.avi:": "4711",
    "'/mnt/Dr. Huber/July/x.mp4'": "Huber",
    r"C:\Users\Anna\x.mp4": "Anna",
    r'"C:\\Users\\Anna Maria\\x.mp4"': "Maria",
    r"\\pacs01\share\anna": "pacs01",
    "~anna/videos/x": "anna",
    "../patients/huber.mp4": "huber",
    "./huber.mp4": "huber",
    "%2Fhome%2Fanna%2Fx": "anna",
    "file:///home/anna/x": "anna",
    "https://pacs.klinik.example/anna?x=1": "klinik",
    "anna.huber@klinik.example": "huber",
    "anna%40klinik.example": "anna",
    "from 192.168.17.4 port": "192",
    "fe80::1ff:fe23:4567:890a%eth0": "4567",
    "2001:db8:0:0:8a2e:370:7334:1": "7334",
    "00:1b:44:11:3a:b7": "44:11",
    "on 2019-07-31 at": "2019",
    "op_20190731_x": "20190731",
    "31.07.2019": "2019",
    "7/31 and 31/7/19": "31/7/19",
}


@pytest.mark.parametrize("text", GENERIC)
def test_paths_addresses_and_dates_go(text):
    assert GENERIC[text] not in Redactor([]).clean(text)


@pytest.mark.parametrize(
    "text",
    [
        "a[::2], b[::-1] and 12:30:00",
        "p = 1 / 2 / x  # and/or",
        "torch 2.15.0, numpy 2.4, AUROC 0.9107 [0.8811, 0.9402]",
        "run.figure(figure, 'learning_curves')",
        "loss=bce,fold=0 epoch 20190 0.20190731234",
        "notebooks/05_train_fold.ipynb",
        "<Figure size 520x204 with 1 Axes>",
        "$T_{ij}$ = P(an annotator says $j$ | the majority says $i$)",
        "the paper (Int J CARS 17, 5-13, 2022)",
        "mean ± sd: 3 µm², 81.2 %",
    ],
)
def test_figures_and_code_stay(text):
    assert Redactor([]).clean(text) == text


@pytest.mark.parametrize("name", [path.stem for path in sorted(Path("notebooks").glob("0*.ipynb"))])
def test_the_source_notebooks_pass_through_unchanged(name):
    notebook = nbformat.read(Path("notebooks") / f"{name}.ipynb", 4)
    for cell in notebook.cells:
        assert Redactor(machines_terms([])).clean(cell.source) == cell.source


def test_ids_become_pseudonyms_the_same_everywhere(study):
    text = "vid01 vid010 VID01 vid01_000040.jpg PAT-7 pat_7 vid0101 Grünwald A"
    cells = [new_code_cell(f"# {text}"), new_markdown_cell(text)]
    status, files = shared(study(new_notebook(cells=cells)))
    assert status == 0
    first, second = (c.source for c in nbformat.reads(files["01_x.ipynb"], 4).cells)
    assert first == f"# {second}"
    video, other, again, file, patient, same, unknown, annotator, single = second.split()
    assert {video, other} == {"video_1", "video_2"}
    assert video == again
    assert file == f"{video}_000040.jpg"
    assert patient == same
    assert patient in {"patient_1", "patient_2"}
    assert (unknown, annotator, single) == ("vid0101", "annotator_1", "A")


def test_names_in_the_paths_of_videos_go(study):
    cell = new_code_cell("print('op-of-may', 'Hauptwache', 'frames')")
    _, files = shared(study(new_notebook(cells=[cell])))
    text = files["01_x.ipynb"].lower()
    assert "may" not in text
    assert "hauptwache" not in text
    assert "frames" in text


def test_ids_that_are_bare_numbers_are_refused(tmp_path):
    (tmp_path / "videos.csv").write_text("video,path,patient\n7,a.mp4,p1\n")
    with pytest.raises(TermError, match="id '7' is a bare number"):
        studys_terms(tmp_path / "videos.csv")


def test_pseudonyms_are_no_ids_of_the_study(tmp_path):
    (tmp_path / "videos.csv").write_text("video,path,patient\nvideo_1,a.mp4,x1\nvideo_2,b.mp4,x2\n")
    terms = [t for t in studys_terms(tmp_path / "videos.csv") if t.text.startswith("video_")]
    assert {t.instead for t in terms} == {"videoq_1", "videoq_2"}


def test_short_terms_are_whole_words_and_long_ones_are_not():
    redactor = Redactor(users_terms(["MM", "Huber"]))
    assert (
        redactor.clean("MM, mm, 5MM, comma, xHUBERx")
        == f"{REMOVED}, {REMOVED}, 5{REMOVED}, comma, x{REMOVED}x"
    )


@pytest.mark.parametrize("term", ["--", "!", "…"])
def test_a_term_without_a_letter_is_refused(term):
    with pytest.raises(TermError, match="expected letters or digits"):
        users_terms([term])


def test_a_file_of_terms(study, tmp_path):
    (tmp_path / "names.txt").write_text("# who\nHuber\n\n  Anna Maria  \n")
    folder = study(PLACES["prose"]("Huber and anna-maria"))
    status, files = shared(folder, "--terms", str(tmp_path / "names.txt"))
    assert status == 0
    assert "uber" not in files["01_x.ipynb"].lower()
    assert "maria" not in files["01_x.ipynb"].lower()


def test_nothing_is_mixed_or_left_behind(study, tmp_path, capsys, monkeypatch):
    folder = study(PLACES["prose"]("x"))
    assert shared(folder)[0] == 0
    assert shared(folder)[0] == 1
    assert "exists" in capsys.readouterr().err

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert main(["share", str(folder), str(tmp_path / "other"), "--no-ids"]) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out", "runs"]


def test_without_ids_it_asks(study, tmp_path, capsys):
    folder = study(PLACES["prose"]("x"))
    assert main(["share", str(folder), str(tmp_path / "out")]) == 1
    assert "name it with --videos, or share with --no-ids" in capsys.readouterr().err
    assert main(["share", str(tmp_path), str(tmp_path / "out"), "--no-ids"]) == 1
    assert "no executed notebooks" in capsys.readouterr().err


def test_names_of_folders_and_runs_are_cleaned_too(study):
    folder = study(PLACES["prose"]("x"), run="name=Huber")
    status, files = shared(folder, "--term", "Huber", "--term", "mine")
    assert status == 0
    assert not any("uber" in name + text for name, text in files.items())
    assert "mine" not in files["index.html"]


def test_a_really_executed_notebook(project, capsys):  # noqa: F811
    """Printed names, a table, two pictures, a warning and a log, by the project's runner."""
    cells = [
        'run = runs.start("01_tiny", study)\nprint(run.data.parent)',
        "import getpass, os, socket, warnings\nimport pandas as pd\n"
        "print(getpass.getuser(), socket.gethostname(), os.getcwd(), os.environ['HOME'])\n"
        "warnings.warn('v1 of Dr. Huber at ' + os.getcwd())",
        "pd.DataFrame({'video': ['v1', 'v12'], 'surgeon': ['Huber', 'x'], 'auroc': [0.9, 0.8]})",
        "import matplotlib.pyplot as plt\nplt.imshow([[0, 1]]); plt.title('v1');",
        "plt.plot([0, 1], [0, 1]);",
        "run.finish(steps=steps)",
    ]
    source = project / "notebooks" / "01_tiny.ipynb"
    write_notebook(source, *cells)
    notebook = nbformat.read(source, 4)
    notebook.cells[6].metadata["tags"] = ["shareable"]
    nbformat.write(notebook, source)
    execute("tiny", "01_tiny", {})
    study = project / "papermill_runs" / "tiny"
    assert main(["share", str(study), str(project / "out"), "--term", "Huber"]) == 0
    assert "1 notebooks" in capsys.readouterr().out
    copy = nbformat.read(project / "out" / "01_tiny.ipynb", 4)
    nbformat.validate(copy)
    text = "\n".join(part for part in strings(copy) if not part.startswith("iVBOR"))
    names = {getpass.getuser(), socket.gethostname()} - {"root"}
    for secret in (str(project), project.name, "Huber", "'v1'", "ipykernel", *names):
        assert secret not in text, secret
    assert "picture withheld" in copy.cells[6].outputs[-1].data["text/plain"]
    assert set(copy.cells[7].outputs[-1].data) == {"image/png", "text/plain"}
    table = copy.cells[5].outputs[0].data["text/html"]
    assert "<td>video_1</td>" in table
    assert "<td>0.9</td>" in table
    assert "v12" in table
    page = (project / "out" / "index.html").read_text()
    assert 'href="01_tiny.ipynb"' in page
    assert "http" not in page.replace("http-equiv", "")


def test_runs_of_the_record_can_be_shared(tmp_path):
    study = tmp_path / "demo"
    training = "05_train_fold/loss=bce,recipe=paper,held_out=test,fold=0"
    for run in ("02_video_folds/once", "07_saliency/once", training):
        shutil.copytree(Path("papermill_runs/record/demo") / run, study / run)
    assert main(["share", str(study), str(tmp_path / "out"), "--no-ids", "--term", "sim001"]) == 0
    copies = list((tmp_path / "out").glob("*.ipynb"))
    assert len(copies) == 3
    assert not any("sim001" in path.read_text() for path in copies)


ODD_NOTEBOOKS = {
    "conflict": b"<<<<<<< HEAD\n{}\n=======\n>>>>>>> x\n",
    "empty": b"",
    "latin1": '{"cells": [], "metadata": {"x": "M\xfcller"}}'.encode("latin-1"),
    "a list": b"[]",
    "no notebook": b"{}",
    "null": b"null",
    "cells that are no list": b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": 3}',
    "without a minor version": b'{"nbformat": 4, "metadata": {}, "cells": [3]}',
    "old": b'{"nbformat": 2, "nbformat_minor": 0, "worksheets": 3}',
}
CELL = {"cell_type": "code", "metadata": {}, "execution_count": 1, "id": "a1"}
ODD_CELLS = {
    "cell without outputs": {"source": ["print(1)"]},
    "error with a null traceback": {
        "source": [],
        "outputs": [{"output_type": "error", "ename": "E", "evalue": "x", "traceback": None}],
    },
    "error without a traceback": {
        "source": [],
        "outputs": [{"output_type": "error", "ename": "E", "evalue": "x"}],
    },
    "null source": {"source": None, "outputs": []},
    "stream without text": {
        "source": [],
        "outputs": [{"output_type": "stream", "name": "stdout"}],
    },
    "number as source": {"source": 3, "outputs": []},
    "unknown output": {"source": [], "outputs": [{"output_type": "x"}]},
}


def body(cell: dict) -> bytes:
    book = {"cells": [CELL | cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(book).encode()


@pytest.mark.parametrize("name", [*ODD_NOTEBOOKS, *ODD_CELLS])
def test_a_damaged_notebook_is_named_and_nothing_is_written(study, capsys, name):
    folder = study(PLACES["prose"]("x"))
    damaged = folder / "01_x" / "once" / "notebook.ipynb"
    damaged.write_bytes(ODD_NOTEBOOKS[name] if name in ODD_NOTEBOOKS else body(ODD_CELLS[name]))
    assert shared(folder) == (1, {})
    error = capsys.readouterr().err
    assert str(damaged) in error
    assert "Traceback" not in error


def test_a_byte_order_mark_is_no_damage(study):
    folder = study(PLACES["prose"]("x"))
    path = folder / "01_x" / "once" / "notebook.ipynb"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert shared(folder)[0] == 0


def test_what_looks_like_a_date_stops_everything_unless_it_is_allowed(study, capsys):
    folder = study(PLACES["prose"]("see 2021&#45;03&#45;04"))
    assert shared(folder) == (3, {})
    assert "'2021-03-04' looks like a path or a date" in capsys.readouterr().err
    assert shared(folder, "--allow", "2021-03-04")[0] == 0
