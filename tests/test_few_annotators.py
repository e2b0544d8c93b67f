"""A study on few patients whose frames one or two people labelled gets as far as it can."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
OWN = """\
parameters:
  folds_count: 2
  losses: [bce]
  image_size: 64
  epochs: 1
  finder_steps: 20
  resamples: 200
  repeats: 5
  timed_frames: 32
"""
# Rules of the Snakefile. Not notebook 09: parity needs more frames than these tiny videos have.
UP_TO_08 = ["augmentation", "loss_comparison", "saliency", "ensemble_test"]
VIDEOS = ["v01", "v03", "v04", "v05"]  # of four patients


def own_data(tiny: Path, folder: Path, videos: int, annotators: list[str]) -> Path:
    """A dataset folder as notebook 00 leaves it: everybody labelled every frame."""
    folder.mkdir()
    table = pd.read_csv(tiny / "videos.csv").query("video in @VIDEOS").head(videos)
    table["path"] = [str(tiny / path) for path in table["path"]]
    table[["video", "path", "patient"]].to_csv(folder / "videos.csv", index=False)
    labels = pd.read_csv(tiny / "annotations.csv", keep_default_na=False)
    labels = labels[labels["video"].isin(table["video"])]
    every = [labels.assign(annotator=name) for name in annotators]
    wrong = every[-1]["frame"] == 8  # the last annotator differs on one frame of each video
    if len(every) > 1:
        every[-1].loc[wrong, ["label", "cause"]] = ["visible", "none"]
    pd.concat(every).to_csv(folder / "annotations.csv", index=False)
    return folder


def run_study(project: Path, data: Path) -> subprocess.CompletedProcess:
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    shutil.copy(ROOT / "Snakefile", project)
    (project / "notebooks" / "studies" / "own.yaml").write_text(OWN)
    command = [sys.executable, "-m", "clipassistnet", "study", "own", "--data", str(data)]
    return subprocess.run(
        [*command, "--cores", "1", *UP_TO_08], cwd=project, capture_output=True, text=True
    )


@pytest.mark.parametrize("patients", [1, 2])
def test_too_few_patients_for_folds_end_with_one_clear_message(tiny_dataset, tmp_path, patients):
    data = own_data(tiny_dataset, tmp_path / "data", patients, ["anna"])
    done = run_study(tmp_path, data)
    assert done.returncode == 1
    assert "02_video_folds once failed: FoldError: 1 patient" in done.stderr
    assert "too few to train and judge on different patients" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "papermill_runs/own/01_annotation_agreement/once/run.json").exists()


@pytest.mark.parametrize(("patients", "people"), [(3, ["anna"]), (4, ["anna", "ben"])])
def test_one_or_two_annotators_are_enough_for_every_comparison(
    tiny_dataset, tmp_path, patients, people
):
    data = own_data(tiny_dataset, tmp_path / "data", patients, people)
    done = run_study(tmp_path, data)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list((tmp_path / "papermill_runs/own").glob("0?_*/*/run.json"))) == 9
