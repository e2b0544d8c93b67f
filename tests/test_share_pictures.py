"""No picture leaves that is not tagged for it, and none with more than its pixels."""

import base64
import io
import json

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, PngImagePlugin

from clipassistnet.publish.copying import Copier
from clipassistnet.publish.notebook_pictures import (
    SHAREABLE,
    figures_of,
    reencoded,
    withheld,
)
from clipassistnet.publish.record import record
from clipassistnet.runs import RunError
from test_notebooks import NOTEBOOKS, cells

SECRET = "Mustermann"

# The figures that show frames, by notebook. The cell of every other figure is tagged.
SHOW_FRAMES = {
    "01_annotation_agreement": {"gallery"},
    "03_augmentation": {"preprocessing", "each_transform", "augmented"},
    "06_loss_comparison": {"doubted_labels"},
    "07_saliency": {
        "saliency_pixels",
        "saliency_regions",
        "failures",
        "highest_loss",
        "lowest_loss",
    },
    "08_ensemble_test": {"one_video"},
}


def png(picture: np.ndarray, **texts: str) -> str:
    """A base64 PNG with text chunks and a colour profile that hold a name."""
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    buffer = io.BytesIO()
    profile = SECRET.encode() if texts else None
    Image.fromarray(picture).save(buffer, "PNG", pnginfo=info, icc_profile=profile)
    return base64.b64encode(buffer.getvalue()).decode()


def noise(seed: int = 0, shape: tuple = (7, 9, 3)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def cell(*outputs, tags: tuple = (), source: str = "x") -> nbformat.NotebookNode:
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def shown(mime: str, value: object) -> nbformat.NotebookNode:
    return new_output("display_data", data={mime: value, "text/plain": "<Figure>"})


def copied(*made) -> tuple[nbformat.NotebookNode, Copier]:
    copier = Copier(b"key")
    notebook = copier.copy(new_notebook(cells=list(made)))
    nbformat.validate(notebook)
    return notebook, copier


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_figure_is_tagged_shareable_or_known_to_show_frames(path):
    seen = set()
    for code in cells(path, "code"):
        figures = figures_of("".join(code["source"]))
        frames = figures & SHOW_FRAMES.get(path.stem, set())
        seen |= frames
        tagged = SHAREABLE in code["metadata"].get("tags", [])
        assert tagged == bool(figures - frames), (path.stem, code["id"], figures)
        assert not (tagged and frames), (path.stem, code["id"], frames)
        assert len(figures) == "".join(code["source"]).count("run.figure("), code["source"]
    assert seen == SHOW_FRAMES.get(path.stem, set()), "a listed figure is no longer made"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_shareable_cell_draws_no_frames(path):
    for code in cells(path, "code"):
        if SHAREABLE in code["metadata"].get("tags", []):
            for drawn in ("frame_grid", "plots.saliency", "imshow"):
                assert drawn not in "".join(code["source"])


def test_a_tagged_picture_keeps_its_pixels_and_nothing_else():
    picture = noise()
    notebook, copier = copied(cell(shown("image/png", png(picture, a=SECRET)), tags=["shareable"]))
    body = base64.b64decode(notebook.cells[0].outputs[0].data["image/png"])
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(body))), picture)
    assert SECRET.encode() in base64.b64decode(png(picture, a=SECRET))
    assert {body[i + 4 : i + 8] for i in chunk_starts(body)} <= {b"IHDR", b"IDAT", b"IEND"}
    assert copier.counts == {"pictures kept": 1}


def chunk_starts(body: bytes) -> list[int]:
    starts, at = [], 8
    while at < len(body):
        starts.append(at)
        at += 12 + int.from_bytes(body[at : at + 4], "big")
    return starts


def test_what_is_transparent_hides_nothing():
    picture = noise(shape=(4, 4, 4))
    picture[..., 3] = 0
    body = base64.b64decode(reencoded(png(picture)))
    assert (np.asarray(Image.open(io.BytesIO(body))) == 255).all()


@pytest.mark.parametrize("mime", ["image/png", "image/jpeg"])
def test_an_untagged_picture_is_its_size_and_a_keyed_hash(mime):
    encoded = png(noise())
    notebook, copier = copied(cell(shown(mime, encoded), tags=["parameters"]))
    data = notebook.cells[0].outputs[0].data
    assert data == {"text/plain": withheld(encoded, b"key")}
    assert data["text/plain"].startswith("[picture withheld: 9 x 7 pixels, keyed hash ")
    assert withheld(encoded, b"another") != withheld(encoded, b"key")
    assert withheld(png(noise(1)), b"key") != withheld(encoded, b"key")
    assert copier.counts == {"pictures withheld": 1}


def test_a_tagged_picture_that_cannot_be_decoded_goes():
    notebook, _ = copied(cell(shown("image/png", "bm90IGEgcGljdHVyZQ=="), tags=["shareable"]))
    assert set(notebook.cells[0].outputs[0].data) == {"text/plain"}


URI = "data:image/png;base64," + png(noise())
PLANTED = {
    "svg": shown("image/svg+xml", f"<svg><image href='{URI}'/></svg>"),
    "video": shown("video/mp4", png(noise())),
    "unknown": shown("application/x-frames+json", {"frame": png(noise())}),
    "widget": shown("application/vnd.jupyter.widget-view+json", {"model_id": SECRET}),
    "javascript": shown("application/javascript", f"show('{URI}')"),
    "latex": shown("text/latex", f"\\includegraphics{{{SECRET}.png}}"),
    "html picture": shown("text/html", f"<p>x<img alt='{SECRET}' src='{URI}'></p>"),
    "html background": shown("text/html", f"<p style='background:url({URI})'>x</p>"),
    "html style": shown("text/html", f"<style>p {{background: url({URI})}}</style><p>x</p>"),
    "html svg": shown("text/html", f"<svg><image href='{URI}'/></svg>"),
    "html canvas": shown("text/html", f"<canvas></canvas><script>draw('{URI}')</script>"),
    "html comment": shown("text/html", f"<p>x</p><!-- {SECRET} {URI} -->"),
    "html attribute": shown("text/html", f"<p title='{SECRET}' data-frame='{URI}'>x</p>"),
    "html hidden": shown("text/html", f"<template>{SECRET}</template><p>x</p>"),
    "printed uri": new_output("stream", name="stdout", text=f"see {URI}"),
    "printed base64": new_output("stream", name="stdout", text=png(noise(shape=(40, 40, 3)))),
    "lines of base64": new_output(
        "stream",
        name="stdout",
        text=base64.encodebytes(noise(shape=(40, 40, 3)).tobytes()).decode(),
    ),
    "markdown output": shown("text/markdown", f"![{SECRET}]({URI})"),
    "another's metadata": new_output(
        "display_data", data={"text/plain": "x"}, metadata={"image/png": {"alt": SECRET}}
    ),
    "printed pixels": new_output(
        "stream", name="stdout", text=str(noise(shape=(96, 96, 3)).tolist())
    ),
}


@pytest.mark.parametrize("place", PLANTED)
@pytest.mark.parametrize("tags", [(), ("shareable",)], ids=["untagged", "tagged"])
def test_no_picture_leaves_by_another_way(place, tags):
    notebook, _ = copied(cell(PLANTED[place], tags=tags))
    text = nbformat.writes(notebook)
    assert SECRET not in text
    assert "data:" not in text
    assert "image/" not in text
    assert png(noise())[30:60] not in text
    assert len(text) < 2000


def test_no_picture_leaves_in_prose_or_metadata():
    prose = new_markdown_cell(f"A ![frame]({URI}) <img src='{URI}'> <b>x</b> and {URI}")
    attached = new_markdown_cell("![frame](attachment:frame.png)")
    attached.attachments = {"frame.png": {"image/png": png(noise())}}
    source = cell(source=f"show('{URI}')")
    source.metadata |= {"tags": [SECRET], "widgets": {"x": URI}, "name": SECRET}
    source.id = SECRET
    notebook = new_notebook(cells=[prose, attached, source], metadata={"widgets": {"x": URI}})
    notebook.metadata["kernelspec"] = {"name": SECRET, "display_name": SECRET}
    text = nbformat.writes(Copier(b"key").copy(notebook))
    assert SECRET not in text
    assert "data:" not in text
    assert "image/png" not in text
    assert "<b>x</b>" in text


def test_tables_messages_and_code_stay_readable():
    html = "<div><style scoped>.x {}</style><table class='dataframe'><tr><th colspan='2'>a &lt; b"
    html += "</th></tr><tr><td>0.91</td><td>é</td></tr></table></div>"
    error = new_output(
        "error", ename="ValueError", evalue="no", traceback=["\x1b[0;31mValueError\x1b[0m: no"]
    )
    notebook, copier = copied(cell(shown("text/html", html), error, source="a < b  # x"))
    table, failed = notebook.cells[0].outputs
    rows = '<tr><th colspan="2">a &lt; b</th></tr><tr><td>0.91</td><td>é</td></tr>'
    assert table.data["text/html"] == f"<div><table><tbody>{rows}</tbody></table></div>"
    assert failed.traceback == ["ValueError: no"]
    assert notebook.cells[0].source == "a < b  # x"
    assert not copier.counts.total()


@pytest.fixture
def studied(tmp_path, monkeypatch):
    """A study with one run: one figure that shows a frame, one that does not."""
    (tmp_path / "notebooks" / "studies").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "papermill_runs" / "real"
    run = place / "07_saliency" / "once"
    (run / "figures").mkdir(parents=True)
    (place / "data").mkdir()
    made = [
        cell(shown("image/png", png(noise(i))), tags=tags, source=f'run.figure(figure, "{name}")')
        for i, (name, tags) in enumerate({"frames": (), "curve": ("shareable",)}.items())
    ]
    nbformat.write(new_notebook(cells=made), run / "notebook.ipynb")
    (run / "run.json").write_text("{}")
    (run / "table.csv").write_text("a\n1\n")
    for i, name in enumerate(("frames", "curve")):
        (run / "figures" / f"{name}.png").write_bytes(base64.b64decode(png(noise(i))))
    return place


def videos_csv(video: str, source: str, licence: str) -> str:
    """A videos.csv of one video."""
    header = "video,path,patient,split,fps,frames,clipper,source,licence"
    return f"{header}\n{video},{video}.mp4,p1,train,25,100,metal,{source},{licence}\n"


def licensed(place, source: str, licence: str) -> None:
    (place / "data" / "videos.csv").write_text(videos_csv("v1", source, licence))


@pytest.mark.parametrize(
    ("source", "licence", "figures"),
    [
        ("m2cai16", "CC BY-NC-SA 4.0", ["07_curve.png"]),
        ("simulated", "", ["07_curve.png", "07_frames.png"]),
    ],
)
def test_the_record_of_real_videos_shows_no_frame(studied, source, licence, figures):
    licensed(studied, source, licence)
    target = record("real")
    notebook = nbformat.read(target / "07_saliency" / "once" / "notebook.ipynb", 4)
    kept = ["image/png" in code.outputs[0].data for code in notebook.cells]
    assert kept == [source == "simulated", True]
    folder = studied.parents[1] / "figures" / "real"
    assert sorted(path.name for path in folder.iterdir()) == figures
    assert (target / "07_saliency" / "once" / "table.csv").exists()


def test_a_hospitals_own_videos_are_not_recorded(studied):
    licensed(studied, "our theatre", "")
    with pytest.raises(RunError, match=r"neither simulated nor.*clipassistnet share"):
        record("real")
    assert not (studied.parent / "record").exists()


def test_a_record_that_names_the_data_folder_is_not_written(studied, tmp_path_factory):
    data = tmp_path_factory.mktemp("elsewhere")
    (studied / "study.json").write_text(json.dumps({"data": str(data)}))
    (studied / "data").rename(data / "data")
    (data / "videos.csv").write_text(videos_csv("v1", "m2cai16", "CC BY-NC-SA 4.0"))
    (studied / "07_saliency" / "once" / "table.csv").write_text(f"path\n{data}/v1.mp4\n")
    with pytest.raises(RunError, match="names a path of this machine"):
        record("real")
