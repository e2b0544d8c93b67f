"""Consensus and agreement: worked out by hand, by property, and on the real labels."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipassistnet.data import annotation

FEW = settings(max_examples=25)
LETTERS = {"V": "visible", "I": "invisible", "-": "absent"}


def labelled(*frames: str, annotators: str = "ABC", causes: dict | None = None) -> pd.DataFrame:
    """One frame a word, a letter an annotator ("VVI"); a space where one did not label it."""
    rows = [
        ("v1", frame, annotator, LETTERS[letter], (causes or {}).get((frame, annotator), ""))
        for frame, word in enumerate(frames)
        for annotator, letter in zip(annotators, word, strict=True)
        if letter != " "
    ]
    return pd.DataFrame(rows, columns=["video", "frame", "annotator", "label", "cause"])


# Ten frames of three annotators, three disputed: A differs once, B twice, C never.
TEN = labelled("VVV", "VVV", "VVV", "III", "III", "III", "III", "VII", "VIV", "IVI")


@pytest.mark.parametrize(
    ("word", "label", "dissent"),
    [
        ("V  ", "visible", 0),
        ("VVI", "visible", 1),
        ("IIV", "invisible", 1),
        ("VI ", "invisible", 1),  # a tie: one cannot conclude
        ("VI-", "invisible", 2),  # no majority
        ("V--", "absent", 1),
        ("-V ", "invisible", 2),  # a tie again, although no annotator says so
        ("VVV", "visible", 0),
    ],
)
def test_majority_by_hand(word, label, dissent):
    frame = annotation.consensus(labelled(word)).iloc[0]
    assert (frame["label"], frame["dissent"]) == (label, dissent)
    assert frame["annotators"] == len(word.strip())


def test_two_of_four_are_no_majority():
    frames = annotation.consensus(labelled("VVII", "VVI-", "VVVI", annotators="ABCD"))
    assert frames["label"].tolist() == ["invisible", "invisible", "visible"]


def test_training_label_is_the_annotators_own_where_there_is_one():
    frames = annotation.consensus(labelled("VII", " VV", "IVV"), training_annotator="A")
    assert frames["label"].tolist() == ["invisible", "visible", "visible"]
    assert frames["training_label"].tolist() == ["visible", "visible", "invisible"]
    plain = annotation.consensus(labelled("VII"))
    assert plain["training_label"].tolist() == ["invisible"]
    with pytest.raises(ValueError, match="annotator 'D': expected one of A, B, C"):
        annotation.consensus(TEN, training_annotator="D")


def test_the_labels_of_every_annotator_may_train():
    frames = annotation.consensus(labelled("VII", " VV", "IVV"), training_annotator="*")
    assert frames["label"].tolist() == ["invisible", "visible", "visible"]
    assert frames["training_label"].tolist() == [
        "visible+invisible+invisible",
        "visible+visible",
        "invisible+visible+visible",
    ]
    confusion = annotation.confusion(TEN, "*")
    pd.testing.assert_frame_equal(confusion, annotation.confusion(TEN))


def test_rows_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="expected one label of an annotator"):
        annotation.consensus(pd.concat([TEN, TEN.iloc[:1]]))
    with pytest.raises(ValueError, match=r"labels \['Visible'\]: expected visible"):
        annotation.consensus(TEN.replace("visible", "Visible"))


def test_table1_by_hand():
    test = labelled("VVV", "VVI", "II-", "---")
    train = labelled("V", "I", "I", "I", annotators="A").assign(video="v2")
    videos = pd.DataFrame({"video": ["v1", "v2"], "split": ["test", ""]})
    table = annotation.table1(pd.concat([train, test]), videos).set_index(["split", "annotator"])
    assert table.index.tolist() == [
        *[("test", name) for name in ("majority", "A", "B", "C")],
        *[("undecided", name) for name in ("majority", "A")],
    ]
    majority = table.loc[("test", "majority")]
    assert majority[["videos", "frames", "absent"]].tolist() == [1, 3, 1]
    assert majority["visible"] == pytest.approx(2 / 3)
    assert table.loc[("test", "C"), ["frames", "absent"]].tolist() == [2, 2]
    assert table.loc[("undecided", "A"), "visible"] == 0.25
    assert table.loc[("undecided", "A"), ["frames_mean", "frames_min"]].tolist() == [4, 4]
    with pytest.raises(ValueError, match="v2"):
        annotation.table1(train, videos.iloc[:1])


def test_agreement_by_hand():
    found = annotation.agreement(TEN)
    assert found["frames"] == 10
    assert found["no_full_agreement"] == pytest.approx(0.3)
    assert found["error_rates"] == pytest.approx({"A": 0.1, "B": 0.2, "C": 0.0})
    assert found["mean_error_rate"] == pytest.approx(0.1)
    # B and C agree on 8 of the ten frames, A and C on 9, A and B on 7.
    assert found["agreed_error_rates"] == pytest.approx({"A": 1 / 8, "B": 2 / 9, "C": 0})
    assert found["mean_agreed_error_rate"] == pytest.approx(25 / 216)
    # Agreeing pairs: (7 * 3 + 3 * 1) / 30 = 0.8. Votes: 13 visible, 17 invisible of 30.
    chance = (13 / 30) ** 2 + (17 / 30) ** 2
    assert found["fleiss_kappa"] == pytest.approx((0.8 - chance) / (1 - chance))


def test_the_papers_two_error_figures_fit_together():
    # 18 % of 300 frames are disputed: each annotator differs on 18 frames, the other two agree on
    # 300 - 36 = 264. Over all frames 18 / 300 = 6.0 %, over those 18 / 264 = 6.8 %.
    found = annotation.agreement(
        labelled(*["VVV"] * 123, *["III"] * 123, *["VVI", "VIV", "IVV"] * 18)
    )
    assert found["no_full_agreement"] == pytest.approx(0.18)
    assert found["mean_error_rate"] == pytest.approx(0.06)
    assert round(found["mean_agreed_error_rate"], 3) == 0.068


def test_an_annotator_whose_others_never_agree_has_no_rate_over_agreed_frames():
    found = annotation.agreement(labelled("VIV", "IVV"))
    assert found["error_rates"] == {"A": 0.5, "B": 0.5, "C": 0}
    assert found["agreed_error_rates"] == pytest.approx({"A": 1, "B": 1, "C": np.nan}, nan_ok=True)
    assert found["mean_agreed_error_rate"] == 1


def test_frames_that_do_not_count_are_counted():
    found = annotation.agreement(labelled("VVV", "VVI", "VV-", "---", "VI ", "V  "))
    assert found["frames"] == 2
    assert found["left_out_absent"] == 2
    assert found["left_out_not_triple"] == 2
    assert found["no_full_agreement"] == 0.5
    assert found["error_rates"] == {"A": 0, "B": 0, "C": 0.5}
    assert found["agreed_error_rates"] == {"A": 0, "B": 0, "C": 0.5}


def test_without_triple_annotation_there_is_no_agreement_to_report():
    found = annotation.agreement(labelled("V", "I", annotators="A"))
    assert (found["frames"], found["left_out_not_triple"]) == (0, 2)
    assert np.isnan([found["no_full_agreement"], found["mean_error_rate"]]).all()
    assert np.isnan(found["fleiss_kappa"])


@FEW
@given(st.lists(st.text("VI", min_size=3, max_size=3), min_size=1, max_size=40))
def test_mean_error_is_a_third_of_the_share_without_full_agreement(words):
    found = annotation.agreement(labelled(*words))
    assert found["mean_error_rate"] == pytest.approx(found["no_full_agreement"] / 3)
    disputed = sum(len(set(word)) > 1 for word in words)
    assert found["no_full_agreement"] == pytest.approx(disputed / len(words))


def test_fleiss_kappa_of_the_published_example():
    # 10 subjects, 14 raters, 5 categories: 0.210 (Wikipedia, "Fleiss' kappa", worked example).
    counts = [
        [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
        [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
    ]  # fmt: skip
    assert annotation.fleiss_kappa(np.array(counts)) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_of_extremes():
    assert annotation.fleiss_kappa(np.array([[3, 0], [0, 3]])) == 1
    assert np.isnan(annotation.fleiss_kappa(np.array([[3, 0], [3, 0]])))
    # Two raters who always differ: observed 0, chance 1/2.
    assert annotation.fleiss_kappa(np.array([[1, 1], [1, 1]])) == -1
    with pytest.raises(ValueError, match="same number of ratings"):
        annotation.fleiss_kappa(np.array([[3, 0], [1, 1]]))


def transition_of(annotations, annotator=""):
    return annotation.transition(annotation.confusion(annotations, annotator))


def test_label_transition_by_hand():
    # By majority 4 frames are visible (12 votes, 1 says invisible), 6 invisible (18 votes, 2 not).
    expected = [[11 / 12, 1 / 12], [2 / 18, 16 / 18]]
    assert transition_of(TEN) == pytest.approx(np.array(expected))
    # B calls one of the 4 visible invisible, and one of the 6 invisible visible.
    expected = [[3 / 4, 1 / 4], [1 / 6, 5 / 6]]
    assert transition_of(TEN, "B") == pytest.approx(np.array(expected))


def test_label_transition_uses_triple_annotated_frames_only():
    more = pd.concat([TEN, labelled("VI ", "---").assign(video="v2")])
    assert (transition_of(more) == transition_of(TEN)).all()
    with pytest.raises(ValueError, match="no triple-annotated frame is visible by majority"):
        transition_of(labelled("III", "VII"))
    with pytest.raises(ValueError, match="annotator 'Z'"):
        transition_of(TEN, "Z")


def test_the_transition_of_some_videos_knows_no_others():
    # By TEN, v1's majority is never doubted in v2: the matrix of v2 alone is the identity.
    certain = labelled("VVV", "III").assign(video="v2")
    counts = annotation.confusion(pd.concat([TEN, certain]))
    assert annotation.transition(counts, ["v2"]) == pytest.approx(np.eye(2))
    assert annotation.transition(counts, ["v1"]) == pytest.approx(transition_of(TEN))
    with pytest.raises(ValueError, match="no triple-annotated frame is visible by majority"):
        annotation.transition(counts, ["v3"])


@FEW
@given(st.lists(st.text("VI", min_size=3, max_size=3), max_size=30))
def test_rows_of_the_transition_sum_to_one(words):
    transition = transition_of(labelled("VVV", "III", *words))
    assert transition.sum(axis=1) == pytest.approx([1, 1])
    assert (np.diag(transition) >= 2 / 3).all()  # at most one of three dissents


def test_disputed_causes_by_hand():
    causes = {
        (0, "A"): "blur", (0, "B"): "contrast",  # disputed, two causes
        (1, "A"): "blur", (1, "B"): "blur", (1, "C"): "blur",  # agreed
    }  # fmt: skip
    rows = labelled("IIV", "III", "VVI", "VVV", "II ", causes=causes)
    table = annotation.disputed(rows)
    assert table.to_dict("records") == [
        {"cause": "blur", "frames": 2, "disputed": 1, "share": 0.5},
        {"cause": "contrast", "frames": 1, "disputed": 1, "share": 1.0},
        {"cause": "not given", "frames": 1, "disputed": 1, "share": 1.0},
    ]
    without = annotation.disputed(rows.drop(columns="cause"))
    assert without["cause"].tolist() == ["not given"]
    assert without[["frames", "disputed"]].iloc[0].tolist() == [3, 2]


def test_review_of_actions_by_hand():
    actions = pd.DataFrame(
        {
            "video": ["a", "a", "b", "b", "c"],
            "tip_visible_before": [True, False, True, False, False],
            "safe": [True, True, False, False, True],
        }
    )
    found = annotation.review_actions(actions)
    counts = [found[name] for name in ("actions", "videos", "safe", "seen", "safe_and_seen")]
    assert counts == [5, 3, 3, 2, 1]
    assert found["safe_share"] == pytest.approx(3 / 5)
    assert found["seen_among_safe"] == pytest.approx(1 / 3)
    assert found["safe_among_seen"] == pytest.approx(1 / 2)
    assert annotation.review_actions(actions.astype({"safe": int})) == found
    with pytest.raises(ValueError, match="expected 0 or 1"):
        annotation.review_actions(actions.assign(safe=["yes", "no", "no", "no", "yes"]))


def test_real_labels_of_seven_patients(shared):
    path = shared / "data/m2cai16-tool-locations/tip_visibility.csv"
    real = pd.read_csv(path, keep_default_na=False)
    found = annotation.agreement(real)
    # Counted independently of the code: 32 of 316 frames disputed; A differs 14 times, B 7, C 11.
    assert (found["frames"], found["left_out_absent"], found["left_out_not_triple"]) == (316, 0, 0)
    assert found["no_full_agreement"] == pytest.approx(32 / 316)
    expected = {"A": 14 / 316, "B": 7 / 316, "C": 11 / 316}
    assert found["error_rates"] == pytest.approx(expected)
    assert found["fleiss_kappa"] == pytest.approx(pairwise_kappa(real))
    frames = annotation.consensus(real)
    assert (frames["dissent"] > 0).sum() == 32
    transition = transition_of(real)
    assert transition.sum(axis=1) == pytest.approx([1, 1])
    # Every dissenting vote is one of T's off-diagonal ones.
    votes = frames["label"].value_counts()[["visible", "invisible"]].to_numpy() * 3
    assert (transition[[0, 1], [1, 0]] * votes).sum() == pytest.approx(32)
    assert annotation.disputed(real).iloc[0]["cause"] == "occluded_tissue"


def pairwise_kappa(rows: pd.DataFrame) -> float:
    """Fleiss' kappa the other way round: agreement of pairs of annotators, pooled class shares."""
    wide = rows.pivot(index=["video", "frame"], columns="annotator", values="label")
    pairs = [("A", "B"), ("A", "C"), ("B", "C")]
    observed = np.mean([(wide[x] == wide[y]).mean() for x, y in pairs])
    visible = (rows["label"] == "visible").mean()
    chance = visible**2 + (1 - visible) ** 2
    return (observed - chance) / (1 - chance)


def test_one_annotator_is_enough_and_what_is_not_known_is_said():
    alone = labelled("V", "I", "V", annotators="A")
    assert annotation.explain_agreement(alone).startswith("One label a frame")
    counts = annotation.confusion(alone)
    assert annotation.transition(counts).tolist() == [[1, 0], [0, 1]]
    assert "BCE under another name" in annotation.explain_noise(counts)
    assert annotation.disputed(alone).empty
    assert annotation.agreement(alone)["error_rates"] == {}


def test_two_annotators_differ_but_nobody_knows_who_is_right():
    words = annotation.explain_agreement(labelled("VV", "II", "VI", "VV", annotators="AB"))
    assert words.startswith("Two labels on 4 frames: they differ on 25.0%, kappa 0.47.")
    assert "three annotators" in words


def test_three_annotators_measure_the_noise():
    assert annotation.explain_agreement(TEN).startswith("10 frames have three labels")
    assert "on 30 labels" in annotation.explain_noise(annotation.confusion(TEN))


def test_an_adjudication_is_a_further_vote_and_decides_a_tie():
    pair = labelled("VI", "VV", annotators="AB")
    third = labelled("V", annotators="C")
    labels = annotation.consensus(pair, adjudications=third)
    assert labels["label"].tolist() == ["visible", "visible"]
    assert labels["annotators"].tolist() == [2, 2]
    assert annotation.consensus(pair)["label"].tolist() == ["invisible", "visible"]
