"""The leakage gate: no random corruption of the folds slips past."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipassistnet.data import folds
from clipassistnet.data.leakage import LeakageError
from folded_study import FEW, LABELS, MADE, labels_of, videos


def move(made, video, subset):
    return made.assign(subset=made["subset"].where(made["video"] != video, subset))


def other(draw, made, video):
    """A subset which is not the video's."""
    own = made.set_index("video").loc[video, "subset"]
    return draw(st.sampled_from([s for s in ("0", "1", "2", "test") if s != own]))


def tear_a_patient(draw, made, labels):
    video = draw(st.sampled_from(["v0", "v1", "v3", "v4"]))
    patient = made.set_index("video").loc[video, "patient"]
    return move(made, video, other(draw, made, video)), labels, f"patient {patient}: in the subsets"


def list_a_video_in_two(draw, made, labels):
    row = made.sample(1, random_state=draw(st.integers(0, 99))).copy()
    video = row["video"].iloc[0]
    row["subset"] = other(draw, made, video)
    return pd.concat([made, row]), labels, f"video {video}: in the subsets"


def list_a_video_twice(draw, made, labels):
    row = made.sample(1, random_state=draw(st.integers(0, 99)))
    return pd.concat([made, row]), labels, f"video {row['video'].iloc[0]}: listed 2 times"


def empty_a_fold(draw, made, labels):
    fold = draw(st.sampled_from("012"))
    to = draw(st.sampled_from([s for s in ("0", "1", "2", "test") if s != fold]))
    return made.assign(subset=made["subset"].replace(fold, to)), labels, f"fold {fold}: empty"


def invent_a_subset(draw, made, labels):
    video = draw(st.sampled_from(sorted(made["video"])))
    subset = draw(st.sampled_from(["valid", "", "3", "00", "-1", "TEST", " 1", "1.0"]))
    return move(made, video, subset), labels, f"video {video}: subset {subset!r}"


def forget_a_video(draw, made, labels):
    video = draw(st.sampled_from(sorted(made["video"])))
    return made[made["video"] != video], labels, f"video {video}: labelled, in no fold"


def rename_a_video(draw, made, labels):
    video = draw(st.sampled_from(sorted(made["video"])))
    renamed = made.assign(video=made["video"].replace(video, "v99"))
    return renamed, labels, "video v99: in the folds, without labels"


def lose_labels(draw, made, labels):
    video = draw(st.sampled_from(sorted(made["video"])))
    rows = labels[(labels["video"] == video) & (labels["label"] != "absent")]
    lost = rows.sample(draw(st.integers(1, 3)), random_state=0)
    return made, labels.drop(lost.index), f"video {video}: "


def one_class(draw, made, labels):
    fold = draw(st.sampled_from("012"))
    inside = labels["video"].isin(made.loc[made["subset"] == fold, "video"])
    label = draw(st.sampled_from(["visible", "invisible"]))
    judged = inside & (labels["label"] != "absent")
    labels = labels.assign(label=labels["label"].mask(judged, label))
    return made, labels, f"fold {fold}: all "


def lose_a_name(draw, made, labels):
    column = draw(st.sampled_from(["video", "patient"]))
    torn = made.copy()
    torn.loc[draw(st.sampled_from(list(made.index))), column] = draw(st.sampled_from(["", None]))
    return torn, labels, "expected names"


CORRUPTIONS = [
    tear_a_patient, list_a_video_in_two, list_a_video_twice, empty_a_fold, invent_a_subset,
    forget_a_video, rename_a_video, lose_labels, one_class, lose_a_name,
]  # fmt: skip


@pytest.mark.parametrize("corrupt", CORRUPTIONS)
@FEW
@given(data=st.data())
def test_the_gate_catches_random_corruptions(corrupt, data):
    folds.check(MADE, LABELS, 3)
    made, labels, problem = corrupt(data.draw, MADE, LABELS)
    order = data.draw(st.integers(0, 9))
    with pytest.raises(LeakageError) as caught:
        folds.check(made.sample(frac=1, random_state=order), labels, 3)
    assert any(problem in found for found in caught.value.problems), caught.value


@FEW
@given(data=st.data())
def test_the_gate_reports_every_problem_at_once(data):
    made, labels, first = tear_a_patient(data.draw, MADE, LABELS)
    made, labels, second = rename_a_video(data.draw, made, labels)
    with pytest.raises(LeakageError) as caught:
        folds.check(made, labels)
    assert second in str(caught.value)
    assert first in str(caught.value)
    assert len(caught.value.problems) >= 3  # the renamed video is missing, too


def test_a_fold_that_is_missing_in_between_shows_without_k():
    torn = MADE.assign(subset=MADE["subset"].replace("1", "2"))
    with pytest.raises(LeakageError, match="fold 1: empty"):
        folds.check(torn, LABELS)
    with pytest.raises(LeakageError, match="no column subset"):
        folds.check(MADE.drop(columns="subset"), LABELS)


@FEW
@given(videos(k=5))
def test_what_make_makes_passes_the_gate(rows):
    rows = rows.assign(frames=rows["frames"] % 7 + 2)
    labels = labels_of(rows)
    made = folds.make(labels, rows.assign(split=""), 3, test_share=0.2, seed=0)
    folds.check(made, labels, 3)
