"""Names and places that a shell, a parser or a socket takes for something else."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from clipassistnet.annotate import sampling
from clipassistnet.data import csv_tables, dataset, frame_extraction, image_pattern
from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.video_source import original
from clipassistnet.runs import RunError, kernel_environment
from clipassistnet.runs import study as studies
from tiny_videos import encode, index_of, picture, write_dataset

ROOT = Path(__file__).resolve().parents[1]
ODD = "a b'\"$x&ü;(c){x}[y]*?#%\\"
IDS = ["001", "1e5", "NA", "True", "null", "2024-01-01", "1_000", "0x1F"]


def odd_project(folder: Path, study: str) -> Path:
    """A copy of the project in a folder with an odd name, and its interpreter beside it."""
    folder.mkdir()
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / f"notebooks/studies/{study}.yaml").write_text("parameters: {folds_count: 2}\n")
    venv.create(folder / ".venv", symlinks=True)
    site = next(folder.glob(".venv/lib/python*/site-packages"))
    paths = [sysconfig.get_paths()["purelib"], sysconfig.get_paths()["platlib"], *sys.path[1:]]
    (site / "outer.pth").write_text("\n".join(path for path in paths if path))
    return folder


def odd_dataset(folder: Path) -> Path:
    """The tiny dataset, its videos, patients and annotators named by what parsers misread."""
    write_dataset(folder)
    new = dict(zip([f"v{number:02d}" for number in range(1, 9)], IDS, strict=True))
    people = {"A": "NA", "B": "007", "C": "1e5"}
    for path in folder.glob("*.csv"):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        table["video"] = table["video"].map(new)
        if "patient" in table:
            table["patient"] = [IDS[0], *IDS[:7]]
        if "annotator" in table:
            table["annotator"] = table["annotator"].map(people)
        table.to_csv(path, index=False)
    return folder


@pytest.mark.parametrize("study", ["123_456"])
def test_a_study_in_an_odd_place_with_odd_ids(tmp_path, study):
    project = odd_project(tmp_path.resolve() / ODD, study)
    data = odd_dataset(project / "data of 'mine' $HOME {x}")
    long = tmp_path / ("x" * 120)
    long.mkdir()
    target = project / "papermill_runs" / study / "02_video_folds" / "once"
    command = [str(project / ".venv/bin/python"), "-m", "clipassistnet", "study", study]
    done = subprocess.run(
        [*command, "--data", str(data), "--cores", "1", str(target / ".done")],
        cwd=project,
        env={
            **os.environ,
            "TMPDIR": str(long),
            "JUPYTER_PATH": f"{sys.prefix}/share/jupyter",  # the report's templates
        },
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    folds = pd.read_csv(target / "folds.csv", dtype=str, keep_default_na=False)
    assert set(folds["video"]) == set(IDS)
    assert set(folds["patient"]) == set(IDS[:7])


def test_ids_stay_what_they_are(tmp_path):
    data = dataset.read(odd_dataset(tmp_path / "data"))
    assert data.videos["video"].tolist() == IDS
    assert data.videos["patient"].tolist() == [IDS[0], *IDS[:7]]
    assert set(data.annotations["annotator"]) == {"NA", "007", "1e5"}
    assert set(data.annotations["video"]) == set(IDS)


@pytest.mark.parametrize(
    "name", ["", "-x", ".x", "a/b", "../x", "a{b}", "a'b", "a$b", "lab", "record"]
)
def test_names_that_are_none_for_a_study(name):
    with pytest.raises(RunError, match=r"not a name for a study \(expected letters"):
        studies.read(name)


def test_a_folder_for_sockets_is_short(tmp_path, monkeypatch):
    long = tmp_path / ("ü" * 60)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert kernel_environment.socket_folder() in ("/tmp", "/dev/shm")
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert kernel_environment.socket_folder() == "/tmp"


def test_ids_of_a_result_stay_what_they_are(tmp_path):
    table = pd.DataFrame({"video": IDS, "held_out": "0", "frame": 3, "score": [0.5, None] * 4})
    table.to_csv(tmp_path / "a.csv", index=False)
    pd.testing.assert_frame_equal(csv_tables.read_result(tmp_path / "a.csv"), table)
    table.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(csv_tables.read_result(tmp_path / "a.parquet"), table)


@pytest.mark.parametrize("place", ['/a b/$HOME/"it\'s" `x` & ;(c)', "$(SHELL)", "ü"])
def test_make_hands_on_what_was_given(place):
    command = ["make", "-n", "-o", ".venv/installed", "study", "STUDY=my study", f"DATA={place}"]
    # `make test` runs this as well, and its own variables would make this make a part of it.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "ARGS"))}
    options = {"capture_output": True, "text": True, "check": True, "env": clean}
    shown = subprocess.run(command, cwd=ROOT, **options).stdout
    assert shlex.split(shown)[-4:] == ["study", "my study", "--data", place]


@pytest.mark.parametrize("name", ["{x}", "{frame}", "*?[a]", "a#b%03d\\"])
def test_videos_and_pictures_in_folders_with_odd_names(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    encode(folder / f"op{name}.mp4")
    (folder / "set").mkdir()
    for number in (3, 12):
        Image.fromarray(picture(number)).save(folder / "set" / f"[b]_{number:04d}.png")
    videos = (
        f'video,path,patient,fps\nv,op{name}.mp4,p,\ns,"{folder}/set/[b]_{{frame:04d}}.png",q,25\n'
    )
    (folder / "videos.csv").write_text(videos)
    labels = "video,frame,annotator,label\nv,7,anna,visible\ns,12,anna,visible\n"
    if name == "{frame}":
        with pytest.raises(DatasetError, match=r"one \{frame\} or \{frame:06d\}"):
            dataset.read_videos(folder)
        return
    sampled = sampling.frames_of(folder, dataset.read_videos(folder))
    assert [frame for video, frame in sampled if video == "s"] == [3, 12]
    (folder / "annotations.csv").write_text(labels)
    data = dataset.read(folder)
    for video, number in (("v", 7), ("s", 12)):
        assert index_of(original(data, video, number)) == number
    frame_extraction.extract(data, tmp_path / "cache", 48)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a_{frame:04d}.png", "a_0012.png"),
        ("{x}/a_{frame}.png", "{x}/a_12.png"),
        ("{x}/{frame}/b", "{x}/12/b"),
    ],
)
def test_only_the_frames_number_is_filled_in(path, expected):
    assert image_pattern.image_path(path, 12) == expected
