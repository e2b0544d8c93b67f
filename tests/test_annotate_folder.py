"""From a folder of videos to annotations.csv, without a browser."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from clipassistnet.__main__ import main
from clipassistnet.annotate import applier_scores, opening, sampling, tables, videos
from clipassistnet.annotate.opening import Choice, open_pass
from clipassistnet.annotate.pass_state import Mark, PassError
from clipassistnet.data import annotation, dataset
from conftest import ROOT
from tiny_videos import FPS, FRAMES, encode, index_of

CHOICE = Choice(per_second=5)


@pytest.fixture(scope="session")
def one_video(tmp_path_factory):
    return encode(tmp_path_factory.mktemp("one") / "operation 1.mp4")


@pytest.fixture
def folder(tmp_path, one_video):
    (tmp_path / "own").mkdir()
    shutil.copy(one_video, tmp_path / "own")
    return tmp_path / "own"


def do_all(folder, annotator, label, choice=CHOICE):
    """Label every place by `label(frame)` and close the pass."""
    current, _, _ = open_pass(folder, annotator, choice)
    for place, (_, frame) in enumerate(current.items):
        current.label(place, Mark(*label(frame)), 1.0)
    current.finish()
    current.release()
    return current


def seen(frame):
    return ("invisible", "blur") if frame % 10 else ("visible", "none")


def test_a_folder_of_videos_becomes_a_dataset_folder(folder):
    table, problems = videos.update(folder, clipper="metal")
    assert problems == []
    assert table.to_dict("records") == [
        {"video": "operation_1", "path": "operation 1.mp4", "patient": "operation_1", "split": "",
         "fps": FPS, "frames": FRAMES, "clipper": "metal", "source": "own", "licence": ""}
    ]  # fmt: skip
    frames = sampling.frames_of(folder, table)
    assert [frame for _, frame in frames] == [*range(0, FRAMES, 5)]
    how = json.loads((folder / "annotation" / "sampling.json").read_text())
    assert how["operation_1"]["how"] == "one frame in 5, 5 a second"


def test_rows_that_a_person_changed_stay_and_new_videos_are_added(folder, one_video):
    videos.update(folder)
    text = (folder / "videos.csv").read_text().replace(",,25,", ",train,25.0,")
    (folder / "videos.csv").write_text(text)
    shutil.copy(one_video, folder / "operation-1.mp4")
    table, _ = videos.update(folder, patients={"operation-1": "p9"})
    assert (folder / "videos.csv").read_text().startswith(text)
    assert table["patient"].tolist() == ["operation_1", "p9"]


def test_a_broken_video_is_named_and_the_others_are_used(folder):
    (folder / "b.mp4").write_bytes(b"no video")
    table, problems = videos.update(folder)
    assert len(table) == 1
    (problem,) = problems
    assert "b.mp4" in problem
    assert "not a video" in problem


def test_a_folder_of_pictures_becomes_a_set(tmp_path):
    for number in (3, 7, 10):
        Image.new("RGB", (8, 8)).save(tmp_path / f"op_{number:04d}.png")
    table, _ = videos.update(tmp_path, pictures_per_second=2)
    assert table["fps"].tolist() == [2]
    assert table[["video", "path"]].to_numpy().tolist() == [["op", "op_{frame:04d}.png"]]
    assert sampling.frames_of(tmp_path, table) == [("op", 3), ("op", 7), ("op", 10)]


def test_an_empty_folder_says_what_it_lacks(tmp_path):
    with pytest.raises(ValueError, match=r"nothing to label \(expected a video"):
        videos.update(tmp_path)


def test_ranges_and_scores_choose_frames(folder):
    table, _ = videos.update(folder)
    ranges = {"operation_1": [[0, "0:00.4"], [1, 1.2]]}
    frames = sampling.frames_of(folder, table, ranges=ranges)
    assert [frame for _, frame in frames] == [0, 5, 10, 25, 30]
    shutil.rmtree(folder / "annotation")
    scores = pd.DataFrame({"video": "operation_1", "frame": [0, 39], "score": [0.2, 0.9]})
    scores.to_csv(folder / "annotation.csv", index=False)
    frames = sampling.frames_of(folder, table, scores=str(folder / "annotation.csv"))
    assert [frame for _, frame in frames] == [*range(0, FRAMES, 5)], "2 s reach to the start"
    how = json.loads((folder / "annotation" / "sampling.json").read_text())
    assert "score-guided" in how["operation_1"]["how"]


@pytest.mark.parametrize(
    ("ranges", "what"),
    [({"other": []}, "no such video"), ({"operation_1": [[5, 1]]}, "start before an end"),
     ({"operation_1": [["a", 1]]}, "time 'a'")],
)  # fmt: skip
def test_a_wrong_range_is_refused(folder, ranges, what):
    table, _ = videos.update(folder)
    with pytest.raises(ValueError, match=what):
        sampling.frames_of(folder, table, ranges=ranges)


def test_a_closed_pass_becomes_a_dataset_that_check_accepts_stable_to_the_byte(folder):
    do_all(folder, "anna", seen)
    data = tables.write(folder)
    assert data.annotations["label"].tolist() == ["visible", "invisible"] * 4
    text = (folder / "annotations.csv").read_bytes()
    assert text.splitlines()[:2] == [
        b"video,frame,annotator,label,cause,confidence",
        b"operation_1,0,anna,visible,none,",
    ]
    tables.write(folder)
    assert (folder / "annotations.csv").read_bytes() == text
    assert data.passes.loc[0, ["annotator", "labels", "seconds"]].tolist() == ["anna", 8, 1.0]


def test_others_see_the_same_frames_in_an_order_of_their_own(folder):
    first = do_all(folder, "anna", seen)
    second = do_all(folder, "ben", lambda _: ("absent", "no_clipper"), Choice(per_second=1))
    assert set(first.items) == set(second.items)
    assert first.items != second.items
    data = tables.write(folder)
    assert data.annotations.groupby("annotator").size().to_dict() == {"anna": 8, "ben": 8}


def test_a_pass_closed_early_goes_on_as_the_next_one(folder):
    do_all(folder, "anna", seen)
    current, _, _ = open_pass(folder, "ben", CHOICE)
    current.label(0, Mark("visible"))
    current.finish()
    current.release()
    with pytest.raises(dataset.DatasetError, match="'ben' left out 7 of 8 frames"):
        tables.write(folder)
    assert not (folder / "annotations.csv").exists()
    again = do_all(folder, "ben", seen)
    assert len(again.items) == 7
    assert len(tables.write(folder).annotations) == 16


def test_a_finished_annotator_sees_the_closed_pass(folder):
    do_all(folder, "anna", seen)
    current, _, _ = open_pass(folder, "anna", CHOICE)
    assert current.closed
    with pytest.raises(PassError, match="the pass is closed"):
        current.label(0, Mark("visible", "none"))
    current.release()


def test_adjudication_shows_votes_without_names_and_adds_one(folder):
    do_all(folder, "anna", seen)
    do_all(folder, "ben", lambda frame: ("visible", "none"))
    tables.write(folder)
    choice = Choice(task="adjudicate")
    current, _, _ = open_pass(folder, "chief", choice)
    assert current.items == [("operation_1", frame) for frame in (5, 15, 25, 35)]
    assert current.notes[0] == "votes: invisible (blur) · visible"
    current.release()
    before = (folder / "annotations.csv").read_bytes()
    do_all(folder, "chief", lambda _: ("visible", "none"), choice)
    data = tables.write(folder)
    assert (folder / "annotations.csv").read_bytes() == before
    assert len(data.adjudications) == 4
    labels = annotation.consensus(data.annotations, adjudications=data.adjudications)
    assert set(labels["label"]) == {"visible"}
    assert set(annotation.consensus(data.annotations)["label"]) == {"visible", "invisible"}


def test_nothing_to_adjudicate_is_said(folder):
    do_all(folder, "anna", seen)
    tables.write(folder)
    with pytest.raises(PassError, match="no frame is disputed"):
        open_pass(folder, "chief", Choice(task="adjudicate"))


def test_audit_takes_the_doubted_labels(folder, tmp_path):
    do_all(folder, "anna", seen)
    tables.write(folder)
    audit = tmp_path / "label_audit.csv"
    audit.write_text(
        "video,frame,label,suggested,quality,issue,score\n"
        "operation_1,10,visible,invisible,0.1,True,0.9\n"
        "operation_1,5,invisible,visible,0.2,True,0.1\n"
        "operation_1,0,visible,invisible,0.9,False,0.1\n"
    )
    choice = Choice(task="audit", audit_file=str(audit))
    current, _, _ = open_pass(folder, "chief", choice)
    assert current.notes == [
        "labelled visible; is it invisible?",
        "labelled invisible; is it visible?",
    ]
    current.label(0, Mark("keep"))
    current.label(1, Mark("cannot tell"))
    with pytest.raises(PassError, match="expected one of keep"):
        current.label(1, Mark("visible"))
    current.finish()
    current.release()
    tables.write(folder)
    written = pd.read_csv(folder / "annotation" / "audit.csv")
    assert written["verdict"].tolist() == ["cannot tell", "keep"]


def test_a_name_that_cannot_name_a_file_is_refused(folder):
    with pytest.raises(PassError, match="expected letters"):
        open_pass(folder, "../anna", CHOICE)


def test_own_labels_that_are_there_are_not_asked_again(folder):
    videos.update(folder)
    rows = "operation_1,0,anna,visible\noperation_1,9,anna,invisible\n"
    (folder / "annotations.csv").write_text("video,frame,annotator,label\n" + rows)
    with pytest.raises(PassError, match="anna has done all 2 frames"):
        open_pass(folder, "anna", CHOICE)
    current, _, _ = open_pass(folder, "ben", CHOICE)
    assert sorted(current.items) == [("operation_1", 0), ("operation_1", 9)]
    current.release()
    assert opening.journals(folder, "label") == [current.path]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with notebook 00 alone, as the working directory."""
    (tmp_path / "project" / "notebooks" / "studies").mkdir(parents=True)
    shutil.copy(ROOT / "notebooks" / "00_annotate.ipynb", tmp_path / "project" / "notebooks")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def test_the_command_opens_notebook_00_with_its_parameters(folder, project, monkeypatch, capsys):
    started = []
    monkeypatch.setattr("subprocess.call", lambda command: started.append(command) or 0)
    arguments = ["annotate", str(folder), "--annotator", "anna", "--per-second", "25"]
    assert main([*arguments, "--no-browser", "--allow-root"]) == 0
    assert f"videos: 1, frames to label: {FRAMES}" in capsys.readouterr().out
    assert "/lab/tree/papermill_runs/lab/00_annotate/anna.ipynb" in " ".join(started[0])
    assert started[0][-2:] == ["--no-browser", "--allow-root"]
    copy = project / "papermill_runs" / "lab" / "00_annotate" / "anna.ipynb"
    cells = ["".join(cell["source"]) for cell in json.loads(copy.read_text())["cells"]]
    assert any(f'data = "{folder}"' in cell and 'annotator = "anna"' in cell for cell in cells)


def test_the_command_names_what_is_wrong_before_jupyterlab_starts(tmp_path, project, capsys):
    assert main(["annotate", str(tmp_path / "no"), "--annotator", "anna"]) == 1
    assert "no such folder (expected a folder of videos or pictures)" in capsys.readouterr().err
    assert main(["annotate", str(tmp_path), "--annotator", "anna b"]) == 1
    assert "annotator 'anna b' (expected letters" in capsys.readouterr().err


def test_the_command_exports_for_cvat(folder, project, tmp_path, capsys):
    do_all(folder, "anna", seen)
    tables.write(folder)
    arguments = ["annotate", str(folder), "--annotator", "anna", "--cvat", str(tmp_path / "out")]
    assert main(arguments) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out" / "operation_1.anna.xml")


class Finder:
    """A locator that sees an applier in the pictures from index 30 on."""

    searched = 0

    def presence(self, pictures):
        Finder.searched += len(pictures)
        return np.array([float(index_of(picture) >= 30) for picture in pictures])


def test_a_network_finds_where_to_label(folder, tmp_path, monkeypatch, capsys):
    table, _ = videos.update(folder)
    monkeypatch.setattr(applier_scores.locator, "load", lambda path: Finder())
    monkeypatch.setattr(applier_scores, "resize", lambda picture, side: picture)
    monkeypatch.setattr(applier_scores, "PER_SECOND", FPS / 10)
    network = tmp_path / "m2cai"
    path = applier_scores.write(folder, table, network)
    assert path.name == "applier_scores_m2cai.csv"
    found = pd.read_csv(path)
    own = found[found["video"] == "operation_1"]
    assert own["frame"].tolist() == list(range(0, FRAMES, 10))
    assert own["score"].tolist() == [float(frame >= 30) for frame in range(0, FRAMES, 10)]
    assert "a clip applier in" in capsys.readouterr().out
    before = Finder.searched
    assert applier_scores.write(folder, table, network) == path
    assert Finder.searched == before  # kept
    monkeypatch.setattr(sampling, "AROUND", 0.0)
    frames = sampling.frames_of(folder, table, per_second=FPS, scores=str(path))
    kept = {frame for video, frame in frames if video == "operation_1"}
    assert kept == set(range(30, FRAMES, 10))
    how = json.loads((folder / "annotation" / "sampling.json").read_text())
    assert "score-guided" in how["operation_1"]["how"]
    assert "applier_scores_m2cai.csv" in how["operation_1"]["how"]


def test_scores_of_a_file_and_of_the_network_exclude_each_other(folder):
    with pytest.raises(SystemExit):
        main(["annotate", str(folder), "--annotator", "anna", "--find-applier", "--scores", "x"])


def test_a_folder_without_films_has_nothing_to_search(folder, tmp_path, monkeypatch):
    table, _ = videos.update(folder)
    monkeypatch.setattr(applier_scores.locator, "load", lambda path: Finder())
    path = applier_scores.write(folder, table.assign(frames=None), tmp_path / "m2cai")
    assert pd.read_csv(path).empty
