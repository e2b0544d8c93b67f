"""The label audit: by hand, and on simulated labels whose errors are known."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.evaluation import label_audit


def frames(labels: list[str], scores: list[float]) -> pd.DataFrame:
    return pd.DataFrame(
        {"video": "a", "frame": range(len(labels)), "label": labels, "score": scores}
    )


V, I = "visible", "invisible"  # noqa: E741


def test_rank_by_hand():
    # Visible labels have .9, .7, .2: mean .6. Invisible ones .8, .4, mean .6.
    table = label_audit.rank(frames([V, V, V, I, I], [0.1, 0.3, 0.8, 0.8, 0.4]))
    assert table["frame"].tolist() == [2, 4, 1, 3, 0]
    assert table["quality"].tolist() == pytest.approx([0.2, 0.4, 0.7, 0.8, 0.9])
    assert table["suggested"].tolist() == [I, V, I, V, I]
    # Frame 2 is as probably invisible (.8) as invisible frames are (.6); frame 4 is visible with
    # .6, just as visible frames are.
    assert table["issue"].tolist() == [True, True, False, False, False]


def test_a_timid_class_is_not_doubted_as_a_whole():
    # Scores of invisible frames are all low; the visible frame that scores like them stands out.
    table = label_audit.rank(frames([I, I, I, V, V, V], [0.3, 0.3, 0.3, 0.05, 0.05, 0.3]))
    assert table["frame"].tolist()[0] == 5
    assert table["issue"].tolist() == [True, False, False, False, False, False]


def test_rank_needs_both_labels():
    for labels in ([V, V], [V, "absent"]):
        with pytest.raises(ValueError, match="expected both visible and invisible"):
            label_audit.rank(frames(labels, [0.1, 0.2]))


def test_success_by_hand():
    table = label_audit.rank(frames([V, V, V, I, I], [0.1, 0.3, 0.8, 0.8, 0.4]))
    truth = frames([V, V, I, I, I], [0] * 5)  # frame 2 is mislabelled
    found = label_audit.success(table, truth, first=2)
    assert found == {
        "frames": 5, "errors": 1, "chance": 0.2, "first": 2, "found": 1, "precision": 0.5,
        "lift": 2.5, "issues": 2, "issues_wrong": 0.5,
    }  # fmt: skip
    with pytest.raises(ValueError, match="3 frames have no truth"):
        label_audit.success(table, truth.head(2))


def test_out_of_sample_averages_the_members_that_did_not_train_on_a_frame():
    rows = [("a", 0, "validation", 0.2), ("b", 0, "test", 0.4), ("b", 0, "test", 0.8)]
    rows += [("c", 0, "training", 0.9)]
    table = pd.DataFrame(rows, columns=["video", "frame", "split", "score"])
    found = label_audit.out_of_sample(table)
    assert found["video"].tolist() == ["a", "b"]
    assert found["score"].tolist() == pytest.approx([0.2, 0.6])


def votes(*rows: tuple[str, ...]) -> pd.DataFrame:
    """Annotations of annotators A, B, C: a row of labels a frame, "" for none."""
    found = [
        {"video": "a", "frame": i, "annotator": name, "label": label}
        for i, row in enumerate(rows)
        for name, label in zip("ABC", row, strict=True)
        if label
    ]
    return pd.DataFrame(found)


def test_crowd_by_hand():
    annotations = votes((I, I, I), (I, I, V), (V, V, V), (V, V, I), (I, V, ""))
    scores = frames([V] * 5, [0.9, 0.1, 0.1, 0.2, 0.6])
    found = label_audit.crowd(annotations, scores)
    # Majority I I V V and, of a tie, I; 3 of 5, so the constant answer is wrong in .4.
    assert found["majority"].tolist() == [I, I, V, V, I]
    # A agrees with others in 2+1+2+1+0 of 9, B as well, C in 2+0+2+0 of 8; the network with the
    # majority in 4 of 5. Skills 1 - wrong / .4: 1/6, 1/6, 0 (clipped) and .5 sqrt(14/5).
    skill = np.array([1 / 6, 1 / 6, 0, 0.5 * np.sqrt(14 / 5)])
    assert list(found.attrs["weights"].values()) == pytest.approx(list(skill / skill.sum()))
    # A label is right by the majority in 11 of 14.
    second = (skill[0] + skill[1]) * 11 / 14 + skill[3] * 0.1
    assert found["invisible"][1] == pytest.approx(second / skill.sum())
    assert found["changed"].tolist() == [False, True, False, False, False]
    assert label_audit.accuracy(found, frames([I, V, V, V, I], [0] * 5)) == {
        "majority": 0.8,
        "with the network": 1.0,
    }


def test_crowd_leaves_out_what_it_cannot_weigh():
    annotations = votes((I, I, V), (V, "absent", V), (I, "", ""), (V, V, V))
    found = label_audit.crowd(annotations, frames([V] * 4, [0.9, 0.1, 0.5, 0.1]))
    assert found["frame"].tolist() == [0, 3]
    with pytest.raises(ValueError, match="no frame has several annotators"):
        label_audit.crowd(annotations[annotations["annotator"] == "A"], frames([V] * 4, [0.5] * 4))


def test_the_audit_finds_planted_errors_and_the_crowd_mends_the_majority():
    rng = np.random.default_rng(0)
    true = rng.random(2000) < 0.6
    score = 1 / (1 + np.exp(-(4 * true - 2 + rng.normal(0, 1.2, 2000))))
    wrong = rng.random(2000) < 0.06
    truth = frames([I if t else V for t in true], score.tolist())
    labelled = frames([I if t else V for t in true ^ wrong], score.tolist())
    found = label_audit.success(label_audit.rank(labelled), truth)
    assert found["errors"] == wrong.sum()
    assert found["lift"] > 8  # of at most 1 / 0.06
    noise = rng.random((2000, 3)) < [0.15, 0.2, 0.25]
    said = [[I if t else V for t in row] for row in true[:, None] ^ noise]
    found = label_audit.crowd(votes(*map(tuple, said)), truth)
    right = label_audit.accuracy(found, truth)
    assert right["with the network"] > right["majority"] + 0.01
    weights = found.attrs["weights"]
    assert weights["A"] > weights["B"] > weights["C"]


def test_report_tells_what_is_known():
    annotations = votes((I, I, V), (V, V, V), (V, V, I), (I, I, I))
    scores = frames([I, V, V, I], [0.9, 0.1, 0.2, 0.3])
    ranking = label_audit.rank(scores)
    assert label_audit.report(ranking, annotations.query("annotator == 'A'"), scores) == {
        "frames": 4,
        "issues": 0,
    }
    known = label_audit.report(ranking, annotations, scores, truth=scores)
    assert (known["errors"], known["frames of several annotators"]) == (0, 4)
    assert np.isnan(known["lift"])
    assert known["right: majority"] == 1
    assert {"weight of A", "weight of network"} < set(known)
