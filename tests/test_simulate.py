"""The simulator as a whole: the folder it writes, determinism, resuming, refusals."""

import json
import shutil
from dataclasses import asdict, replace
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest

from clipassistnet.commands import simulate as command
from clipassistnet.data import dataset
from clipassistnet.simulate import Spec, simulate, video_specs

SPEC = Spec(videos=3, test_videos=1, clipper_frames=10, absent_frames=3, width=128, height=72)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("simulated") / "one", SPEC)


@pytest.fixture(scope="module")
def data(folder):
    return dataset.read(folder)


def tree(folder):
    """Bytes of every file, by its path below the folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_bytes_do_not_depend_on_the_number_of_processes(folder, tmp_path):
    other = simulate(tmp_path / "two", replace(SPEC, processes=2))
    assert tree(other) == tree(folder)


def test_another_seed_gives_other_videos(folder, tmp_path):
    spec = replace(SPEC, videos=1, seed=1)
    other = tree(simulate(tmp_path / "other", spec))
    assert other["videos/sim001.mp4"] != tree(folder)["videos/sim001.mp4"]


def test_folder_has_every_table_and_is_accepted(data):
    for table in (data.phases, data.actions, data.boxes, data.tips, data.truth):
        assert len(table) > 0
    assert set(data.videos["source"]) == {"simulated"}
    assert set(data.videos["split"]) == {"train", "test"}


def test_no_patient_is_in_train_and_test():
    specs = video_specs(Spec(videos=40, test_videos=12))
    people = {
        split: {video.patient for video in specs if video.split == split}
        for split in ("train", "test")
    }
    assert not people["train"] & people["test"]
    assert len(people["train"]) < 40  # some have two videos
    assert len({video.video for video in specs}) == 52


def test_frame_counts_are_skewed_like_the_papers_and_meet_the_mean():
    counts = np.array([video.clipper_frames for video in video_specs(Spec(videos=300))][:300])
    assert abs(counts.mean() - 40) < 1
    assert np.median(counts) < 0.85 * counts.mean()
    assert 0.7 < counts.std() / counts.mean() < 1.2  # the paper's: 252 / 271


def test_videos_are_h264_of_25_frames_a_second_and_as_long_as_listed(data):
    for row in data.videos.itertuples():
        with av.open(data.path(row.video)) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert (stream.width, stream.height) == (128, 72)
            times = [frame.time for frame in container.decode(stream)]
        assert np.allclose(times, np.arange(row.frames) / 25)


def test_three_annotators_label_test_videos_and_one_each_training_video(data):
    annotators = data.annotations.groupby("video")["annotator"].nunique()
    split = data.videos.set_index("video")["split"]
    assert (annotators[split == "test"] == 3).all()
    assert (annotators[split == "train"] == 1).all()


def test_every_fifth_frame_is_annotated_but_for_slivers_of_a_clipper(data):
    frames = data.truth.groupby("video")["frame"].apply(list)
    for row in data.videos.itertuples():
        assert all(frame % 5 == 0 for frame in frames[row.video])
        assert len(frames[row.video]) >= 0.8 * len(range(0, row.frames, 5))
    assert {"absent", "visible", "invisible"} == set(data.truth["label"])


def test_visible_means_that_both_tips_are_seen(data):
    shares = data.tips.groupby(["video", "frame"])["visible_share"].agg(["min", "size"])
    assert (shares["size"] == 2).all()
    labels = data.truth.set_index(["video", "frame"])["label"]
    assert set(shares.index) == set(labels[labels != "absent"].index)
    assert (shares.loc[labels.index[labels == "visible"], "min"] >= 0.5).all()


def test_absent_frames_have_no_clipper_box_and_clipper_frames_have_one(data):
    boxed = data.boxes[data.boxes["tool"] == "Clipper"].groupby(["video", "frame"]).size()
    labels = data.truth.set_index(["video", "frame"])["label"]
    assert set(boxed.index) == set(labels[labels != "absent"].index)
    assert (boxed == 1).all()


def test_phases_follow_each_other_and_clipping_holds_the_clippers_frames(data):
    for video, phases in data.phases.groupby("video"):
        rows = list(phases.itertuples())
        assert rows[0].start == 0
        assert rows[-1].end == data.videos.set_index("video")["frames"][video]
        assert all(first.end == second.start for first, second in pairwise(rows))
    clipping = data.phases[data.phases["phase"] == "ClippingCutting"]
    for row in data.truth[data.truth["label"] != "absent"].itertuples():
        own = clipping[clipping["video"] == row.video]
        assert ((own["start"] <= row.frame) & (row.frame < own["end"])).any()


def test_finished_videos_stay_and_what_is_missing_or_broken_is_made_again(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    before = tree(copy)
    kept = (copy / "videos" / "sim002.mp4").stat().st_mtime_ns
    (copy / "videos" / "sim001.mp4").unlink()
    (copy / "videos" / "sim003.json").write_text('{"digest": ')
    simulate(copy, SPEC)
    assert tree(copy) == before
    assert (copy / "videos" / "sim002.mp4").stat().st_mtime_ns == kept


def test_a_video_of_other_settings_is_rendered_again(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    simulate(copy, replace(SPEC, videos=1, width=160))
    with av.open(str(copy / "videos" / "sim001.mp4")) as container:
        assert container.streams.video[0].width == 160
    digests = [
        json.loads((place / "videos" / "sim001.json").read_text())["digest"]
        for place in (folder, copy)
    ]
    assert digests[0] != digests[1]


def test_bad_parameters_are_named_all_at_once():
    named = r"videos is 0.*width is 97.*even.*stills is True.*none, train, all.*processes is 0"
    with pytest.raises(ValueError, match=named):
        Spec(videos=0, width=97, stills=True, processes=0)


def test_the_command_has_an_option_for_every_setting(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "videos.csv").unlink()
    settings = {**asdict(SPEC), "processes": 2}
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    assert command.main([str(copy), *options]) == 0
    assert tree(copy) == tree(folder)


STILLS = replace(SPEC, stills="all")


@pytest.fixture(scope="module")
def stills(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("stills") / "one", STILLS)


def test_stills_are_a_dataset_folder_of_the_annotated_frames(stills, data):
    found = dataset.read(stills)
    assert found.videos["frames"].isna().all()
    assert set(found.truth["label"]) == {"absent", "visible", "invisible"}
    for table in ("phases", "actions", "boxes", "tips", "truth"):
        assert len(getattr(found, table)) == pytest.approx(len(getattr(data, table)), rel=0.02)
    for row in found.truth.itertuples():
        path = found.path(row.video).format(frame=row.frame)
        assert cv2.imread(path).shape == (72, 128, 3)
    pictures = [path for path in tree(stills) if path.endswith(".jpg")]
    assert len(pictures) == len(found.truth)  # and no other frame


def test_training_patients_may_be_stills_and_test_patients_films(stills, data):
    drawn = {
        spec.path: (spec.split, spec.stills) for spec in video_specs(replace(SPEC, stills="train"))
    }
    assert set(drawn.values()) == {("train", True), ("test", False)}
    paths = [*data.videos.query("split == 'test'")["path"]]
    paths += [*dataset.read(stills).videos.query("split == 'train'")["path"]]
    assert {f"videos/{path}" for path in drawn} == set(paths)


def test_stills_do_not_depend_on_the_number_of_processes(stills, tmp_path):
    other = simulate(tmp_path / "two", replace(STILLS, processes=2))
    assert tree(other) == tree(stills)


def test_finished_stills_stay_and_missing_ones_are_drawn_again(stills, tmp_path):
    copy = shutil.copytree(stills, tmp_path / "copy")
    kept = copy / "videos" / "sim002"
    before = kept.stat().st_mtime_ns
    next((copy / "videos" / "sim001").glob("*.jpg")).unlink()
    (copy / "videos" / ".sim003.part").mkdir()  # a killed run leaves such a folder
    (copy / "videos" / "sim003.json").unlink()
    simulate(copy, STILLS)
    assert tree(copy) == tree(stills)
    assert kept.stat().st_mtime_ns == before
