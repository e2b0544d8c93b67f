"""m2cai16-tool-locations with its tip labels: the real set, and damaged ones."""

import os
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from clipassistnet.data import annotation, dataset, importers
from clipassistnet.data.importers import m2cai16

WIDTH, HEIGHT = 60, 40
# Frames of v04 and v05, and the tool in each; the first of a video comes first.
TINY = {
    "v04_000025": "Grasper",
    "v04_000050": "Clipper",
    "v04_000075": "Clipper",
    "v05_000100": "Clipper",
    "v05_000125": "Hook",
}
OBJECT = (
    "<object><name>{tool}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin>"
    "<xmax>{x1}</xmax><ymax>{y1}</ymax></bndbox></object>"
)


def write_xml(source: Path, stem: str, tool: str = "Clipper", corners=(10, 5, 30, 20)) -> None:
    box = OBJECT.format(tool=tool, **dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True)))
    size = f"<size><width>{WIDTH}</width><height>{HEIGHT}</height><depth>3</depth></size>"
    (source / "Annotations" / f"{stem}.xml").write_text(
        f"<annotation><filename>{stem}.jpg</filename>{size}{box}</annotation>"
    )


def write_picture(source: Path, stem: str) -> None:
    Image.new("RGB", (WIDTH, HEIGHT)).save(source / "JPEGImages" / f"{stem}.jpg")


def made_up(folder: Path) -> Path:
    """Five frames in the data set's layout, and labels of the three with a Clipper box."""
    for name in ("JPEGImages", "Annotations"):
        (folder / name).mkdir(parents=True)
    for stem, tool in TINY.items():
        write_picture(folder, stem)
        write_xml(folder, stem, tool)
    labels = ["video,frame,annotator,label,cause,confidence"]
    for annotator in "ABC":
        labels += [f"v04,50,{annotator},visible,none,3", f"v04,75,{annotator},invisible,blur,1"]
        labels += [f"v05,100,{annotator},invisible,occluded_tissue,2"]
    (folder / "tip_visibility.csv").write_text("\n".join(labels) + "\n")
    return folder


def copied(shared: Path, folder: Path) -> Path:
    """A copy of the real v04: its box files and labels may be damaged, pictures are links."""
    real = shared / "data" / m2cai16.NAME
    for name, copy in (("Annotations", shutil.copy), ("JPEGImages", os.symlink)):
        (folder / name).mkdir(parents=True)
        for path in (real / name).glob("v04_*"):
            copy(path, folder / name / path.name)
    shutil.copy(real / "tip_visibility.csv", folder)
    return folder


@pytest.fixture
def tiny(tmp_path) -> Path:
    return made_up(tmp_path / "source")


@pytest.fixture(params=["made up", "real"])
def source(request, tmp_path) -> Path:
    """A source to damage: the made-up one, or a copy of the real v04."""
    if request.param == "made up":
        return made_up(tmp_path / "source")
    return copied(request.getfixturevalue("shared"), tmp_path / "source")


def problems(source: Path, **options) -> str:
    with pytest.raises(dataset.DatasetError) as error:
        m2cai16.read(source, **options)
    return str(error.value)


def stem_with(source: Path, tool: str) -> str:
    """First frame with a box of this tool."""
    files = sorted((source / "Annotations").glob("v*.xml"))
    return next(path.stem for path in files if f"<name>{tool}</name>" in path.read_text())


@pytest.fixture(scope="module")
def real(shared) -> importers.Imported:
    return m2cai16.read(shared / "data" / m2cai16.NAME)


def test_the_real_set_becomes_a_dataset_without_copied_pixels(real, tmp_path):
    data = importers.save(real, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").rglob("*")} == {
        "videos.csv",
        "annotations.csv",
        "boxes.csv",
    }
    assert len(data.videos) == 7
    assert set(data.videos["patient"]) == {f"cholec80_{n}" for n in (67, 69, 70, 71, 73, 74, 76)}
    frames = annotation.consensus(data.annotations)
    assert frames["label"].value_counts().to_dict() == {
        "absent": 1650,
        "invisible": 194,
        "visible": 122,
    }
    clipper = data.boxes.loc[data.boxes["tool"] == "Clipper", ["video", "frame"]]
    judged = frames.loc[frames["label"] != "absent", ["video", "frame"]]
    assert set(map(tuple, clipper.to_numpy())) == set(map(tuple, judged.to_numpy()))
    assert annotation.agreement(data.annotations)["left_out_absent"] == 1650


def test_real_boxes_outside_their_pictures_are_clamped_and_counted(real):
    assert real.notes[0].startswith(
        "16 of 2678 boxes reached outside the picture, by up to 3 pixels"
    )
    boxes = real.boxes.set_index(["video", "frame"])
    assert boxes.loc[("v03", 46025), "y0"].min() == 0  # written as -3
    assert boxes.loc[("v05", 31225), "y1"].max() == 476  # written as 478


def test_published_labels_are_those_of_the_real_set(shared):
    real = shared / "data" / m2cai16.NAME / "tip_visibility.csv"
    assert m2cai16.PUBLISHED.read_bytes() == real.read_bytes()


def test_published_labels_load_with_one_call_and_agree_as_their_readme_says():
    labels = m2cai16.tip_visibility()
    figures = annotation.agreement(labels)
    readme = (m2cai16.PUBLISHED.parent / "README.md").read_text()
    visible = annotation.consensus(labels)["label"].eq("visible")
    rates, agreed = (
        ", ".join(f"{rate:.1%}".replace("%", " %") for rate in figures[name].values())
        for name in ("error_rates", "agreed_error_rates")
    )
    for figure in (
        f"| {figures['frames']}, all those with a Clipper box: {visible.sum()} visible",
        f"({visible.mean():.1%}), {(~visible).sum()} invisible".replace("%", " %"),
        f"full agreement | {figures['no_full_agreement']:.1%} |".replace("%", " %"),
        f"{rates} (mean {figures['mean_error_rate']:.1%})".replace("%)", " %)"),
        f"{agreed} (mean {figures['mean_agreed_error_rate']:.1%})".replace("%)", " %)"),
        f"| {figures['fleiss_kappa']:.2f} |",
        f"{(labels['video'] == 'v03').sum() // 3} of the {figures['frames']} frames",
    ):
        assert figure in readme
    card = (Path(__file__).parents[1] / "docs" / "dataset_card.md").read_text()
    assert f"| frames | {figures['frames']}: all frames with a Clipper box" in card
    most = (labels["video"] == "v03").sum() // 3
    assert f"One of them has {most} of the {figures['frames']} frames" in card


def test_tiny_source_becomes_a_dataset(tiny, tmp_path):
    data = importers.save(m2cai16.read(tiny), tmp_path / "out")
    labels = annotation.consensus(data.annotations).set_index(["video", "frame"])["label"]
    assert labels.to_dict() == {
        ("v04", 25): "absent",
        ("v04", 50): "visible",
        ("v04", 75): "invisible",
        ("v05", 100): "invisible",
        ("v05", 125): "absent",
    }
    assert data.path("v05").format(frame=125) == str(tiny / "JPEGImages" / "v05_000125.jpg")
    assert data.videos["patient"].tolist() == ["cholec80_70", "cholec80_71"]
    assert data.boxes.iloc[0].tolist() == ["v04", 25, "Grasper", 10, 5, 30, 20]


def test_videos_can_be_chosen(tiny):
    assert m2cai16.read(tiny, videos=["v05"]).annotations["video"].unique().tolist() == ["v05"]
    assert "no video v06 (found: v04, v05)" in problems(tiny, videos=["v06"])


def test_int_hostile_names_are_skipped_and_named(source):
    stem = stem_with(source, "Clipper")
    for name, kind in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        for copy in (f"{stem} (1)", stem.replace("_0", "_-", 1), stem.replace("_0", "_٠", 1)):
            shutil.copy(source / name / f"{stem}.{kind}", source / name / f"{copy}.{kind}")
    clean = m2cai16.read(source)
    assert sum("3 files skipped" in note for note in clean.notes) == 2
    assert any(f"'{stem} (1).jpg'" in note for note in clean.notes)
    assert (
        clean.boxes[["video", "frame"]].drop_duplicates().shape[0]
        == clean.annotations[["video", "frame"]].drop_duplicates().shape[0]
    )


def test_a_picture_under_a_hostile_name_only_is_refused_with_that_name(source):
    stem = stem_with(source, "Clipper")
    path = source / "JPEGImages" / f"{stem}.jpg"
    path.rename(path.with_name(f"{stem} (1).jpg"))
    found = problems(source)
    assert f"box file alone: {stem}" in found
    assert f"'{stem} (1).jpg'" in found


def test_one_extra_picture_is_refused(source):
    stem = stem_with(source, "Clipper")
    extra = f"{stem[:4]}999975"
    shutil.copy(source / "JPEGImages" / f"{stem}.jpg", source / "JPEGImages" / f"{extra}.jpg")
    assert f"picture alone: {extra}" in problems(source)


def test_names_shifted_by_a_frame_are_refused(source):
    for folder, kind in (("JPEGImages", "jpg"), ("Annotations", "xml")):
        for path in sorted((source / folder).iterdir(), reverse=True):
            video, frame = path.stem.split("_")
            path.rename(path.with_name(f"{video}_{int(frame) + 1:06d}.{kind}"))
    assert "expected a multiple of 25" in problems(source)


def test_the_box_file_of_another_frame_is_refused(source):
    stem = stem_with(source, "Clipper")
    other = stem_with(source, "Grasper")
    shutil.copy(source / "Annotations" / f"{other}.xml", source / "Annotations" / f"{stem}.xml")
    assert f"filename '{other}.jpg' (expected '{stem}.jpg'" in problems(source)


def test_a_box_file_of_another_size_is_refused(tiny):
    Image.new("RGB", (HEIGHT, WIDTH)).save(tiny / "JPEGImages" / "v04_000050.jpg")
    assert "v04_000050.xml: size ('60', '40') (expected (40, 60)" in problems(tiny)


def test_labels_shifted_by_a_labelled_frame_are_refused(source):
    path = source / "tip_visibility.csv"
    labels = pd.read_csv(path)
    labels.assign(frame=labels["frame"] + 25).to_csv(path, index=False)
    assert "shifted?" in problems(source)


def test_labels_on_a_frame_without_a_clip_applier_are_refused(tiny):
    path = tiny / "tip_visibility.csv"
    path.write_text(path.read_text().replace("v05,100", "v05,125"))
    assert "v05: labels on the frames 125 (expected a Clipper box in each" in problems(tiny)


def test_labels_in_a_wrong_order_of_columns_are_refused(source):
    path = source / "tip_visibility.csv"
    labels = pd.read_csv(path)
    labels[["frame", "video", *labels.columns[2:]]].to_csv(path, index=False)
    assert "tip_visibility.csv:1: the columns frame, video" in problems(source)
    labels.to_csv(path, index=False, header=False)
    assert "expected, in this order: video, frame" in problems(source)
    labels.assign(label=labels["annotator"], annotator=labels["label"]).to_csv(path, index=False)
    assert "tip_visibility.csv:2: label 'A'" in problems(source)


@pytest.mark.parametrize(
    ("corners", "expected"),
    [
        ((30, 5, 10, 20), "expected x0 below x1, y0 below y1"),
        ((10, 20, 30, 5), "expected x0 below x1, y0 below y1"),
        ((60, 5, 70, 20), "expected a box that overlaps the picture"),
        (("", 5, 30, 20), "corner '' (expected a number)"),
        (("nan", 5, 30, 20), "corner 'nan' (expected a number)"),
    ],
)
def test_boxes_that_cannot_be_clamped_are_refused(tiny, corners, expected):
    write_xml(tiny, "v04_000050", corners=corners)
    found = problems(tiny)
    assert "v04_000050.xml" in found
    assert expected in found


def test_a_damaged_box_file_is_named(source):
    stem = stem_with(source, "Clipper")
    path = source / "Annotations" / f"{stem}.xml"
    path.write_text(path.read_text()[:-30])
    assert re.search(rf"{stem}.xml: .*: line \d+, column \d+", problems(source))


def test_an_unknown_tool_is_named(tiny):
    write_xml(tiny, "v04_000050", tool="Clip")
    assert "v04_000050.xml: tool 'Clip' (expected one of Grasper" in problems(tiny)


def test_clipper_frames_without_a_label_are_left_out_and_to_be_annotated(tiny, tmp_path):
    path = tiny / "tip_visibility.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("v04,75")))
    imported = m2cai16.read(tiny)
    data = importers.save(imported, tmp_path / "out")
    assert "v04: 1 frames with a Clipper box have no tip label: left out" in imported.notes
    assert 75 not in data.annotations["frame"].to_numpy()
    written = (tmp_path / "out" / "to_annotate" / "clipper_frames.csv").read_text()
    assert written == "video,frame,listed\nv04,75,1\n"


def test_a_video_without_any_tip_label_stays_without_annotations(tiny, tmp_path):
    path = tiny / "tip_visibility.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for line in lines if not line.startswith("v05")))
    imported = m2cai16.read(tiny)
    assert "without annotations: v05" in imported.notes
    with pytest.warns(dataset.DatasetWarning, match="no annotation of the videos v05"):
        data = importers.save(imported, tmp_path / "out")
    assert data.videos["video"].tolist() == ["v04", "v05"]
    assert data.annotations["video"].unique().tolist() == ["v04"]


def test_a_source_without_any_tip_label_is_to_be_annotated(tiny, tmp_path):
    """Patients who are kept aside come without labels of ours."""
    path = tiny / "tip_visibility.csv"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    imported = m2cai16.read(tiny)
    assert imported.annotations.empty
    assert len(imported.to_annotate) == 3
    assert "no label of the videos v04, v05" in problems(tiny, labels=path)


@pytest.mark.parametrize(
    "corners", [(10, 5, 5000, 20), (10, 5, "1e400", 20), (-4, 5, 30, 20), (10, 5, 30, 43)]
)
def test_boxes_far_outside_are_refused_not_clamped(tiny, corners):
    """5 % of 60 x 40 pixels are 3 and 2: further out, it is no box of this picture."""
    write_xml(tiny, "v04_000050", corners=corners)
    assert "at most 5% of its side outside" in problems(tiny)


def test_labels_of_a_source_come_before_the_published_ones(tiny, tmp_path):
    labels = (tiny / "tip_visibility.csv").rename(tmp_path / "mine.csv")
    assert "v04: labels on the frames" in problems(tiny)  # The published ones are of other frames.
    assert len(m2cai16.read(tiny, labels).annotations) == 15
