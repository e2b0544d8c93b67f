"""The greedy partition by hand, the split, and the file."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipassistnet.data import cross_validation, folds
from clipassistnet.data.leakage import LeakageError
from folded_study import FEW, LABELS, MADE, labels_of, studied, table, videos


def test_greedy_partition_by_hand():
    # 10, 9, 8 open the subsets; 7 goes to the 8, 6 to the 9, 5 to the 10: 15 frames each.
    rows = zip("fedcba", "FEDCBA", (5, 6, 7, 8, 9, 10), strict=True)
    found = folds.partition(table(*rows), 3)
    assert found.to_dict() == {"a": 0, "b": 1, "c": 2, "d": 2, "e": 1, "f": 0}
    # Not the best possible one (3+3 and 2+2+2), but the paper's: 3 | 3, 2 | 2, then the tie.
    rows = zip("abcde", "ABCDE", (3, 3, 2, 2, 2), strict=True)
    found = folds.partition(table(*rows), 2)
    assert found.to_dict() == {"a": 0, "b": 1, "c": 0, "d": 1, "e": 0}


def test_ties_go_by_id():
    # Patients' names run the other way: the videos' ids decide, as in the paper.
    rows = zip("bdac", "XWZY", (4, 4, 4, 4), strict=True)
    assert folds.partition(table(*rows), 2).to_dict() == {"a": 0, "b": 1, "c": 0, "d": 1}


def test_whole_patients_by_their_summed_frames():
    # P: 5 + 5 = 10, Q: 8, R: 3. P opens subset 0, Q subset 1, R joins Q. Alone, c would come first.
    found = folds.partition(table(*zip("abcd", "PPQR", (5, 5, 8, 3), strict=True)), 2)
    assert found.to_dict() == {"a": 0, "b": 0, "c": 1, "d": 1}


@FEW
@given(videos())
def test_partitions_keep_patients_whole_and_the_greedy_one_is_even(rows):
    greedy, lot = folds.partition(rows, 3), folds.random_partition(rows, 3, seed=0)
    for found in (greedy, lot):
        assert set(found.index) == set(rows["video"])
        assert set(found) == {0, 1, 2}
        assert (found.groupby(rows.set_index("video")["patient"]).nunique() == 1).all()
    # List scheduling: the fullest subset leads by no more than one patient.
    sizes = rows.set_index("video")["frames"].groupby(greedy).sum()
    assert sizes.max() - sizes.min() <= rows.groupby("patient")["frames"].sum().max()
    assert folds.partition(rows.iloc[::-1], 3).to_dict() == greedy.to_dict()
    patients = lot.groupby(rows.set_index("video")["patient"]).first().value_counts()
    assert patients.max() - patients.min() <= 1


def test_random_partition_depends_on_the_seed_alone():
    rows = table(*[(f"v{i}", f"p{i}", 10) for i in range(20)])
    first = folds.random_partition(rows, 5, seed=1)
    again = folds.random_partition(rows.iloc[::-1], 5, seed=1)
    assert again.to_dict() == first.to_dict()
    assert folds.random_partition(rows, 5, seed=2).to_dict() != first.to_dict()


def test_fewer_patients_than_folds_are_refused():
    for make in (folds.partition, lambda rows, k: folds.random_partition(rows, k, 0)):
        with pytest.raises(ValueError, match="2 patients for 3 folds"):
            make(table(("a", "P", 1), ("b", "P", 1), ("c", "Q", 1)), 3)


@FEW
@given(videos(), st.floats(0.01, 0.99), st.integers(0, 99))
def test_hold_out_takes_whole_patients_and_never_all(rows, share, seed):
    held = folds.hold_out(rows, share, seed)
    inside, outside = (set(rows.loc[rows["video"].isin(held) == x, "patient"]) for x in (1, 0))
    assert inside
    assert outside
    assert not inside & outside
    count = rows["patient"].nunique()
    assert abs(len(inside) - share * count) <= 1
    assert folds.hold_out(rows.iloc[::-1], share, seed) == held


def test_hold_out_refuses_what_cannot_be():
    with pytest.raises(ValueError, match="1 patient: too few to train"):
        folds.hold_out(table(("a", "P", 1), ("b", "P", 1)), 0.5, 0)
    with pytest.raises(ValueError, match=r"share 1\.5"):
        folds.hold_out(table(("a", "P", 1), ("b", "Q", 1)), 1.5, 0)


def test_make_honours_the_splits_that_are_given():
    labels, table_of_videos = studied("train")
    table_of_videos.loc[[0, 1, 9], "split"] = "test"
    made = folds.make(labels, table_of_videos, 3, test_share=0.3, seed=0)
    assert set(made.loc[made["subset"] == "test", "video"]) == {"v0", "v1", "v9"}
    assert set(made["subset"]) == {"0", "1", "2", "test"}
    assert made["frames"].tolist() == list(range(4, 14))  # absent frames are not counted
    rest = made[made["subset"] != "test"]
    expected = folds.partition(rest, 3).astype(str)
    assert rest.set_index("video")["subset"].to_dict() == expected.to_dict()


def test_make_draws_what_is_undecided():
    labels, table_of_videos = studied()
    made = folds.make(labels, table_of_videos, 3, test_share=0.25, seed=0)
    held = set(made.loc[made["subset"] == "test", "patient"])
    assert len(held) == 2  # a quarter of the eight patients
    draws = [folds.make(labels, table_of_videos, 3, test_share=0.25, seed=s) for s in range(10)]
    assert len({tuple(draw["subset"]) for draw in draws}) > 1
    everything = folds.make(labels, table_of_videos, 3, test_share=0, seed=0)
    assert "test" not in set(everything["subset"])


def test_make_lets_a_patients_other_videos_decide():
    labels, table_of_videos = studied()
    table_of_videos.loc[0, "split"] = "test"  # v0 and v1 are of p0
    table_of_videos.loc[3, "split"] = "train"  # v3 and v4 are of p2
    for seed in range(10):
        made = folds.make(labels, table_of_videos, 3, test_share=0.2, seed=seed)
        subset = made.set_index("video")["subset"]
        assert subset["v1"] == subset["v0"] == "test"
        assert subset["v4"] == subset["v3"] != "test"
    table_of_videos.loc[1, "split"] = "train"
    with pytest.raises(LeakageError, match="patient p0: videos in train and in test"):
        folds.make(labels, table_of_videos, 3, test_share=0.2, seed=0)


def test_make_refuses_a_fold_of_one_class():
    labels, table_of_videos = studied("train")
    labels["label"] = labels["label"].replace("visible", "invisible")
    # Patients of 15, 13, 12, 11, 10, 9, 9 and 6 frames: 15 + 9, 13 + 10 + 9 and 12 + 11 + 6.
    with pytest.raises(LeakageError, match="fold 2: all 29 frames are invisible") as caught:
        folds.make(labels, table_of_videos, 3, test_share=0, seed=0)
    assert len(caught.value.problems) == 3


def test_every_frame_is_validated_once_and_nothing_is_shared():
    parts = [folds.split(MADE, LABELS, fold) for fold in range(3)]
    judged = pd.concat([validation for _, validation, _ in parts])
    expected = LABELS[~LABELS["video"].isin(["v8", "v9"]) & (LABELS["label"] != "absent")]
    assert not judged.duplicated(["video", "frame"]).any()
    assert len(judged) == len(expected)
    for train, validation, test in parts:
        for column in ("video", "patient"):
            sets = [set(part[column]) for part in (train, validation, test)]
            assert sum(map(len, sets)) == len(set().union(*sets))
        assert len(train) + len(validation) == len(expected)
        assert set(test["video"]) == {"v8", "v9"}


def test_split_uses_training_labels_for_training_alone():
    labels = LABELS.copy()
    video = MADE.loc[MADE["subset"] == "0", "video"].iloc[0]
    mine = labels["video"] == video
    labels.loc[mine, "training_label"] = "invisible"
    labels.loc[mine & (labels["frame"] == 0), "training_label"] = "absent"
    train = folds.split(MADE, labels, 1)[0]
    train = train[train["video"] == video]
    assert set(train["target"]) == {1}
    assert 0 not in set(train["frame"])  # its training annotator saw no clipper
    validation = folds.split(MADE, labels, "0")[1]
    validation = validation[validation["video"] == video]
    assert (validation["target"] == (validation["label"] == "invisible")).all()
    assert set(validation["target"]) == {0, 1}


def test_a_training_frame_has_a_row_for_each_of_its_labels():
    labels = LABELS.copy()
    video = MADE.loc[MADE["subset"] == "0", "video"].iloc[0]
    first = (labels["video"] == video) & (labels["frame"] == 0)
    labels.loc[first, "training_label"] = "visible+absent+invisible+invisible"
    train = folds.split(MADE, labels, 1)[0]
    rows = train[(train["video"] == video) & (train["frame"] == 0)]
    assert rows["target"].tolist() == [0, 1, 1]  # the label "absent" trains in "all" alone
    everything = folds.split(MADE, labels, 1, protocol="all")[0]
    assert ((everything["video"] == video) & (everything["frame"] == 0)).sum() == 4
    once, _ = folds.judged(MADE, labels, {"test": [1]})
    assert not once["test"].duplicated(["video", "frame"]).any()


def test_all_training_frames_are_those_of_every_fold():
    every = folds.training_frames(MADE, LABELS)
    train, validation, _ = folds.split(MADE, LABELS, 1)
    assert set(every["video"]) == {*train["video"], *validation["video"]}
    assert len(every) == len(train) + len(validation)
    assert "absent" not in set(every["label"])
    assert "absent" in set(folds.training_frames(MADE, LABELS, "all")["label"])


def test_frames_without_a_clipper_are_in_the_test_part_only():
    train, validation, test = folds.split(MADE, LABELS, 2)
    assert "absent" not in {*train["label"], *validation["label"]}
    assert test.loc[test["label"] == "absent", "target"].tolist() == [1, 1]


def test_the_all_frames_protocol_trains_and_validates_on_frames_without_a_clipper():
    train, validation, test = folds.split(MADE, LABELS, 2, protocol="all")
    for part in (train, validation, test):
        absent = part[part["label"] == "absent"]
        assert sorted(absent["video"]) == sorted(set(part["video"]))  # each video has one
        assert (absent["target"] == 1).all()
    with pytest.raises(ValueError, match="protocol 'clippers': expected one of clipper, all"):
        folds.split(MADE, LABELS, 2, protocol="clippers")


@FEW
@given(videos(k=4), st.integers(0, 2), st.sampled_from(folds.PROTOCOLS))
def test_nested_every_patient_is_judged_once_and_never_seen_by_its_judges(rows, inner, protocol):
    labels = labels_of(rows.assign(frames=rows["frames"] % 40 + 2))
    nested = folds.make(labels, rows.assign(split=""), 4, test_share=0, seed=0)
    judged = []
    for held_out, inner_folds in cross_validation.ensembles(4, max(inner, 1)).items():
        for fold in inner_folds:
            parts = folds.split(nested, labels, fold, held_out, protocol)
            patients = [set(part["patient"]) for part in parts]
            assert sum(map(len, patients)) == len(set().union(*patients)) == len(set(rows.patient))
        judged.append(parts[2])
    judged = pd.concat(judged)
    assert not judged.duplicated(["video", "frame"]).any()
    assert len(judged) == len(labels)


def test_each_ensemble_judges_its_own_clipper_frames_and_learns_from_others():
    labels, table_of_videos = studied()
    nested = folds.make(labels, table_of_videos, 3, test_share=0, seed=0)
    train, judged = folds.judged(nested, labels, cross_validation.ensembles(3, 1))
    assert len(judged) == (labels["label"] != "absent").sum()
    assert set(judged["held_out"]) == set(train) == {"0", "1", "2"}
    for held_out, rows in judged.groupby("held_out"):
        assert set(rows["patient"]).isdisjoint(train[held_out]["patient"])
        assert set(nested.set_index("video")["subset"][rows["video"].unique()]) == {held_out}


@pytest.mark.parametrize(
    ("fold", "held_out", "message"),
    [
        (0, "0", "held_out '0': expected test"),
        (0, "3", "held_out '3': expected test"),
        (0, "test", None),
    ],
)
def test_with_test_videos_nothing_else_is_held_out(fold, held_out, message):
    if message is None:
        assert set(folds.split(MADE, LABELS, fold, held_out)[2]["video"]) == {"v8", "v9"}
        return
    with pytest.raises(ValueError, match=message):
        folds.split(MADE, LABELS, fold, held_out)


def test_without_test_videos_a_fold_is_held_out_and_never_validates():
    labels, table_of_videos = studied()
    nested = folds.make(labels, table_of_videos, 3, test_share=0, seed=0)
    with pytest.raises(
        ValueError, match=r"held_out 'test': expected one of 0, 1, 2 \(there are no"
    ):
        folds.split(nested, labels, 0)
    with pytest.raises(ValueError, match="fold '1': expected one of 0, 2"):
        folds.split(nested, labels, 1, held_out=1)


@pytest.mark.parametrize("fold", [3, -1, "test", "1.0", None])
def test_an_unknown_fold_is_refused(fold):
    with pytest.raises(ValueError, match="expected one of 0, 1, 2"):
        folds.split(MADE, LABELS, fold)


def test_split_refuses_folds_of_other_labels():
    with pytest.raises(LeakageError, match="video v3: labelled, in no fold"):
        folds.split(MADE[MADE["video"] != "v3"], LABELS, 0)


def test_files_keep_what_was_written(tmp_path):
    path = tmp_path / "folds.csv"
    folds.write(MADE, path)
    back = folds.read(path, 3)
    pd.testing.assert_frame_equal(back, MADE, check_dtype=False)
    assert back["subset"].map(type).eq(str).all()
    assert [file.name for file in tmp_path.iterdir()] == ["folds.csv"]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "video,patient,subset,x", r"folds.csv:1: the columns video, patient, subset, x"),
        (3, "v1,p0,five,0", r"folds.csv:3: frames 'five' \(expected a whole number\)"),
        (3, "v1,p0,5", r"folds.csv:3: 3 cells \(expected 4"),
        (3, "v1,p0,5,7", r"folds.csv:3: subset '7': expected one of 0, 1, 2, test"),
        (3, "v1,,5,0", r"folds.csv:3: video 'v1', patient '': expected names"),
        (3, "v0,p0,4,test", r"video v0: in the subsets"),
    ],
)
def test_a_damaged_file_is_refused_by_line(tmp_path, line, text, message):
    path = tmp_path / "folds.csv"
    folds.write(MADE, path)
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(LeakageError, match=message):
        folds.read(path, 3)


def test_a_file_of_other_folds_is_refused(tmp_path):
    path = tmp_path / "folds.csv"
    folds.write(MADE, path)
    with pytest.raises(LeakageError, match="fold 3: empty"):
        folds.read(path, 4)
    path.write_text("")
    with pytest.raises(LeakageError, match="the file is empty"):
        folds.read(path, 3)
