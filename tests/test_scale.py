"""The benchmark of scale runs every step on a small stand-in and measures what it says."""

import pandas as pd
import pytest

import scale
from clipassistnet.data import dataset


@pytest.fixture(scope="module")
def stand_in(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scale, "FRAMES", 30)
        patch.setattr(scale, "RESAMPLES", 20)
        folder = tmp_path_factory.mktemp("scale")
        scale.make(folder, 10)
        yield folder


def test_the_stand_in_is_a_dataset_of_that_many_frames(stand_in):
    data = dataset.read(stand_in)
    assert len(data.videos) == 10
    assert len(data.annotations[["video", "frame"]].drop_duplicates()) == 10 * 30
    assert data.annotations.groupby("annotator")["video"].nunique().to_dict() == {
        "A": 10,
        "B": 1,
        "C": 1,
    }
    assert len(scale.scores(10)) == 10 * 30


def test_every_step_runs_and_is_measured(stand_in):
    for step in scale.STEPS:  # in order: the cache is read once it is made
        found = scale.measure(step, stand_in, 10)
        assert found["cpu_s"] > 0
        assert found["peak_mib"] >= 0
    assert len(list((stand_in / "cache").glob("*.npy"))) == 10


def test_it_is_a_command_that_measures_in_a_process_of_its_own(tmp_path):
    # The child process is the script itself, which does not see what a test has patched.
    scale.main(["--videos", "2", "--steps", "read", "--out", str(tmp_path)])
    [row] = pd.read_csv(tmp_path / "scale.csv").to_dict("records")
    assert (row["videos"], row["frames"]) == (2, 2 * scale.FRAMES)
    assert row["data"] == "SIMULATED"
