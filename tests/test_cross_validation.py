"""Who trains, who judges, and what their predictions make together."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.data import cross_validation
from clipassistnet.data.cross_validation import Training, arming, members, rate_of, student
from clipassistnet.evaluation import by_patient, paper_tables, predictions, thresholds


def test_what_the_figures_are_worth_is_said():
    assert "each fold is judged by 2 networks" in cross_validation.explain(2)
    assert cross_validation.explain(0) != cross_validation.explain(2)


def test_the_papers_protocol_is_one_ensemble_of_all_folds():
    assert cross_validation.ensembles(5, 0) == {"test": [0, 1, 2, 3, 4]}
    assert cross_validation.first(5, 0) == ("test", 0)


def test_a_student_learns_from_the_ensemble_that_judges_its_subset():
    # By hand: nested with 4 folds and 2 inner ones, fold 0 is held out first, 1 and 2 validate.
    single = student("paper", 4, 2)
    assert single == ("distilled", "paper", "0", 1)
    teachers = members("paper", single.held_out, 4, 2)
    assert teachers == [("bce", "paper", "0", 1), ("bce", "paper", "0", 2)]
    assert student("paper", 3, 0) == ("distilled", "paper", "test", 0)


def test_the_network_that_arms_belongs_to_the_subset_of_the_student():
    for folds in ((4, 2), (3, 0)):
        assert arming(*folds) == student("paper", *folds)._replace(loss="presence")
    assert [rate_of(loss) for loss in ("presence", "distilled", "bce")] == ["bce"] * 3
    assert rate_of("video_weighted") == "video_weighted"


def test_nested_the_next_folds_in_the_ring_validate():
    expected = {"0": [1, 2], "1": [2, 3], "2": [3, 0], "3": [0, 1]}
    assert cross_validation.ensembles(4, 2) == expected
    assert cross_validation.first(4, 2) == ("0", 1)


@pytest.mark.parametrize("inner_folds", [-1, 2, 3])
def test_a_fold_at_least_must_train(inner_folds):
    with pytest.raises(ValueError, match=f"inner_folds {inner_folds} of 3 folds: expected 0 "):
        cross_validation.ensembles(3, inner_folds)


def test_all_losses_run_by_the_papers_recipe_alone():
    found = cross_validation.trainings(["bce", "video_weighted"], ["paper", "long"], 3, 1)
    assert len(found) == len(set(found)) == 3 * 3
    assert {training[:2] for training in found} == {
        ("bce", "paper"),
        ("video_weighted", "paper"),
        ("bce", "long"),
    }
    assert found[0] == Training("bce", "paper", "0", 1)
    assert cross_validation.trainings(["bce"], ["long"], 2, 0)[1] == Training(
        "bce", "long", "test", 1
    )


def written(folder, training: Training, rows: list[tuple]):
    path = folder / f"{'-'.join(map(str, training))}.parquet"
    columns = ["video", "frame", "split", "label", "score"]
    pd.DataFrame(rows, columns=columns).to_parquet(path)
    return path


VIDEOS = pd.DataFrame({"video": ["a", "b", "c"], "patient": ["P", "Q", "R"]})


def nested(folder) -> pd.DataFrame:
    """Three folds of a video each, two frames a video; each fold judged by one network."""
    frames = {video: [(0, "visible"), (1, "invisible")] for video in "abc"}
    paths = {}
    for held_out, fold in ((0, 1), (1, 2), (2, 0)):
        training = Training("bce", "paper", str(held_out), fold)
        rows = [
            ("abc"[i], frame, split, label, 0.1 * (fold + 1) + 0.5 * (label == "invisible"))
            for split, i in (("validation", fold), ("test", held_out))
            for frame, label in frames["abc"[i]]
        ]
        paths[training] = written(folder, training, rows)
    return predictions.read(paths, VIDEOS)


def test_nested_each_frame_is_judged_once_by_who_never_saw_it(tmp_path):
    table = nested(tmp_path)
    found = predictions.out_of_fold(table)
    assert not found.duplicated(["video", "frame"]).any()
    assert dict(zip(found["video"], found["fold"], strict=True)) == {"a": "0", "b": "1", "c": "2"}
    assert dict(zip(found["video"], found["patient"], strict=True)) == {
        "a": "P",
        "b": "Q",
        "c": "R",
    }
    # a is judged by the network that fold 1 validated, b by that of fold 2, c by that of fold 0.
    visible = found[found["label"] == "visible"].set_index("video")["score"]
    assert visible.to_dict() == pytest.approx({"a": 0.2, "b": 0.3, "c": 0.1})
    one = predictions.by_one_network(table)
    assert one[["video", "frame", "score"]].equals(found[["video", "frame", "score"]])


def test_nested_thresholds_come_from_other_patients(tmp_path):
    # The invisible frame of the validating fold: 0.6, 0.7 and 0.8 for the networks of folds 0 to 2.
    frozen = thresholds.frozen_thresholds(nested(tmp_path))
    assert frozen.to_dict() == pytest.approx({"0": 0.7, "1": 0.8, "2": 0.6})


def test_several_networks_are_averaged_and_counted(tmp_path):
    rows = [("a", 0, "test", "visible"), ("a", 1, "test", "invisible")]
    paths = {}
    for fold, scores in ((1, (0.2, 0.6)), (2, (0.4, 0.9))):
        training = Training("bce", "paper", "0", fold)
        scored = [(*row, score) for row, score in zip(rows, scores, strict=True)]
        paths[training] = written(tmp_path, training, scored)
    table = predictions.read(paths, VIDEOS)
    assert table.groupby("fold")["member"].first().to_dict() == {1: 0, 2: 1}
    assert predictions.judged(table)["score"].tolist() == pytest.approx([0.3, 0.75])
    assert predictions.by_one_network(table)["fold"].tolist() == [1, 1]


def test_in_the_papers_protocol_the_validation_frames_are_out_of_fold(tmp_path):
    paths = {}
    for fold, video in ((0, "a"), (1, "b")):
        training = Training("bce", "paper", "test", fold)
        rows = [(video, 0, "validation", "visible", 0.1 + fold), ("c", 0, "test", "visible", 0.5)]
        paths[training] = written(tmp_path, training, rows)
    table = predictions.read(paths, VIDEOS)
    for found in (predictions.out_of_fold(table), predictions.by_one_network(table)):
        assert found["video"].tolist() == ["a", "b"]
        assert found["fold"].tolist() == [0, 1]
    with pytest.raises(ValueError, match="no validation frame among 2 predictions"):
        thresholds.frozen_thresholds(table.query("split == 'test'"))


def frames_of(patient: str, visible: list[float], invisible: list[float]) -> pd.DataFrame:
    target = np.repeat([0, 1], [len(visible), len(invisible)])
    table = pd.DataFrame({"target": target, "score": [*visible, *invisible]})
    return table.assign(patient=patient, video=patient, frame=range(len(table)))


def test_one_large_patient_stands_beside_the_others():
    # P orders 9 of 9 pairs rightly, Q 1 of 2; R has one class and no figure of its own.
    tables = [
        frames_of("P", [0.1, 0.2, 0.3], [0.7, 0.8, 0.9]),
        frames_of("Q", [0.4, 0.6], [0.5]),
        frames_of("R", [], [0.95]),
    ]
    table = by_patient.metrics_by_patient(pd.concat(tables), resamples=50)
    auroc = table["auroc"].to_dict()
    # All: 5 visible, 5 invisible, one pair of 25 is wrong. Without P: 2 x 2 pairs, one wrong.
    expected = {"all frames": 24 / 25, "all frames but P's": 3 / 4, "P": 1, "Q": 0.5}
    assert {name: auroc[name] for name in expected} == pytest.approx(expected)
    assert auroc["mean over patients"] == pytest.approx(0.75)
    assert np.isnan(auroc["R"])
    assert table["frames"].to_dict()["mean over patients"] == 9
    low, high = table.loc["mean over patients", ["low", "high"]]
    assert low < 0.5 < 0.99 < high  # two patients that disagree tell next to nothing
    assert table.loc[["P", "Q"], ["low", "high"]].isna().all(axis=None)


def test_every_scorer_has_its_figures_by_patient():
    frames = pd.concat([frames_of("P", [0.1, 0.2], [0.7]), frames_of("Q", [0.4, 0.6], [0.5])])
    frames = frames.assign(label=np.where(frames["target"], "invisible", "visible"), loss="bce")
    turned = frames.assign(score=1 - frames["score"], recipe="turned")
    both = pd.concat([frames.assign(recipe="paper"), turned])
    table = paper_tables.by_protocol(both, by_patient.metrics_by_scorer_and_patient, resamples=50)
    assert set(table["judged"]) == {"clipper frames", "all frames"}  # here the same frames
    for _, rows in table.groupby("judged"):
        own = rows.set_index(["recipe", "patients"])["auroc"]
        # P: both pairs; Q: one of two; all: 0.7 above four, 0.5 above three of four visible ones.
        assert own["paper"][["P", "Q", "all frames"]].tolist() == [1, 0.5, 7 / 8]
        assert own["turned"][["P", "Q", "mean over patients"]].tolist() == [0, 0.5, 0.25]
