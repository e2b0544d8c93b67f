"""Labels go to CVAT and come back unchanged."""

import pandas as pd
import pytest
from PIL import Image

from clipassistnet.data import dataset
from clipassistnet.data.importers import cvat, cvat_export
from tiny_videos import FRAMES, encode

ROWS = {
    "frame": [0, 3, 17, 39],
    "label": ["visible", "invisible", "absent", "invisible"],
    "cause": ["none", "blur", "no_clipper", ""],
    "confidence": [3, None, 1, 2],
}


def write(folder, path: str, frames: int | None) -> pd.DataFrame:
    row = {"video": "v", "path": path, "patient": "p", "split": "", "fps": 25, "frames": frames}
    videos = pd.DataFrame([row | {"clipper": "", "source": "tests", "licence": ""}])
    labels = pd.DataFrame(ROWS).assign(video="v", annotator="anna")
    dataset.write(folder, videos=videos, annotations=labels)
    return dataset.read(folder).annotations


def back(folder, out) -> pd.DataFrame:
    (path,) = cvat_export.export(folder, "anna", out)
    assert path.name == "v.anna.xml"
    (folder / "annotations.csv").unlink()
    data, _ = cvat.merge(folder, [path], "anna", video="v")
    return data.annotations


def test_labels_of_a_video_come_back(tmp_path):
    encode(tmp_path / "v.mp4")
    before = write(tmp_path, "v.mp4", FRAMES)
    pd.testing.assert_frame_equal(back(tmp_path, tmp_path / "out"), before)


def test_labels_of_pictures_come_back(tmp_path):
    for frame in ROWS["frame"]:
        Image.new("RGB", (32, 24)).save(tmp_path / f"v_{frame:04d}.png")
    before = write(tmp_path, "v_{frame:04d}.png", None)
    pd.testing.assert_frame_equal(back(tmp_path, tmp_path / "out"), before)


def test_an_unknown_annotator_is_refused(tmp_path):
    encode(tmp_path / "v.mp4")
    write(tmp_path, "v.mp4", FRAMES)
    with pytest.raises(dataset.DatasetError, match=r"no label of 'ben' \(there: anna\)"):
        cvat_export.export(tmp_path, "ben", tmp_path / "out")
