"""Which frames show the guideline, how even partitions are, and figures without empty parts."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.data import annotation, random_partitions
from clipassistnet.evaluation import gallery, operating_point, paper_tables, per_video, plots
from clipassistnet.evaluation import predictions as networks
from clipassistnet.evaluation.thresholds import confusion_counts
from folded_study import MADE


def labelled() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two videos with three annotators: a metal applier and one of which nothing is known."""
    rows = []
    for video in ("m", "x"):
        for frame, (label, cause) in enumerate(
            [("visible", ""), ("invisible", "blur"), ("invisible", "occluded_tissue")] * 3
        ):
            for who in "ABC":
                rows.append((video, frame, who, label, cause))
    columns = ["video", "frame", "annotator", "label", "cause"]
    annotations = pd.DataFrame(rows, columns=columns)
    first = (annotations["video"] == "m") & (annotations["frame"] == 3)
    annotations.loc[first & (annotations["annotator"] == "A"), "label"] = "invisible"
    videos = pd.DataFrame({"video": ["m", "x"], "clipper": ["metal", ""], "patient": ["m", "x"]})
    return annotations, videos


def test_a_gallery_has_one_frame_for_each_kind_and_cause():
    annotations, videos = labelled()
    found = gallery.examples(annotation.consensus(annotations), videos, annotations)
    assert len(found) == 2 * 3
    assert found["label"].tolist() == ["visible"] * 2 + ["invisible"] * 4
    assert set(found["title"]) >= {"metal: tips visible", "clip applier: occluded tissue"}
    [frame] = found.query("video == 'm' and label == 'visible'")["frame"]
    assert frame != 3  # disputed
    few = gallery.examples(annotation.consensus(annotations), videos, annotations, count=2)
    assert few["label"].tolist() == ["visible"] * 2


def test_the_spread_of_partitions():
    frames = pd.Series({"a": 10, "b": 4, "c": 3})
    assert random_partitions.spread(pd.Series({"a": 0, "b": 1, "c": 1}), frames) == 3
    training = MADE[MADE["subset"] != "test"]
    found = random_partitions.random_spreads(training, 3, 20, seed=0)
    assert found.shape == (20,)
    assert len(set(found)) > 1
    assert (found == random_partitions.random_spreads(training, 3, 20, seed=0)).all()


def judged() -> pd.DataFrame:
    rows = [
        (f"v{v}", f, (f + v) % 2, 0.1 * f + 0.3 * ((f + v) % 2)) for v in range(4) for f in range(6)
    ]
    table = pd.DataFrame(rows, columns=["video", "frame", "target", "score"])
    return table.assign(patient=table["video"], model="ensemble", held_out="test")


def test_confusion_counts_of_all_and_of_each_video():
    table = judged()
    counts = confusion_counts(table, (table["score"] >= 0.5).to_numpy())
    assert counts.loc["all", ["tp", "fn", "fp", "tn"]].sum() == len(table)
    assert counts.loc["v0", "frames"] == 6
    assert counts.iloc[1:][["tp", "fn"]].sum().tolist() == counts.loc["all", ["tp", "fn"]].tolist()


def test_medians_of_each_model_at_its_own_threshold():
    both = pd.concat([judged(), judged().assign(model="member 0", score=0.5)])
    found = per_video.medians_by_model(both)
    assert found.index.tolist() == ["ensemble", "member 0"]
    assert found.loc["member 0", "median specificity"] == 0
    assert found.loc["ensemble", "median sensitivity"] == pytest.approx(5 / 6)


def test_an_operating_point_has_the_papers_and_a_frozen_threshold():
    table = judged()
    labels = table["target"].map({1: "invisible", 0: "visible"})
    scored = table.assign(label=labels, split="validation", score=table["score"] / 2)
    point = operating_point.fit(table, scored)
    assert point.frozen["test"] == point.fixed / 2
    assert (
        list(point.levels) == list(point.middle) == [operating_point.PAPER, operating_point.FROZEN]
    )
    assert operating_point.guaranteed(table, 0.05) == {}


def test_a_single_member_is_not_listed_beside_its_ensemble():
    member = judged().assign(model="member 0")
    assert networks.side_by_side(member, judged())["model"].unique().tolist() == ["ensemble"]
    two = pd.concat([member, member.assign(model="member 1")])
    assert networks.side_by_side(two, judged())["model"].nunique() == 3
    alone = paper_tables.compare(judged(), "model", "ensemble", by="patient", resamples=20)
    assert alone.empty


def test_a_shown_table_has_no_empty_columns(capsys):
    table = pd.DataFrame(
        {"a": [1, 2], "empty": ["", "-"], "low": [np.nan, np.nan], "n": [3, np.nan]}
    )
    plots.show(table)
    shown = capsys.readouterr().out
    assert "empty" not in shown
    assert "low" not in shown
    assert "NaN" not in shown


def test_many_patients_are_left_out_of_the_forest():
    patients = [("patient", f"P{number}") for number in range(13)]
    table = pd.DataFrame([("all", "all"), *patients], columns=["grouping", "group"])
    table = table.assign(frames=9, auroc=0.7, low=0.6, high=0.8)
    assert len(plots.forest(table, "AUROC").axes[0].get_yticks()) == 1
    assert len(plots.forest(table.iloc[:-1], "AUROC").axes[0].get_yticks()) == 13


def test_a_grouping_of_one_group_is_left_out_of_the_forest():
    rows = [("all", "all"), ("clipper", "metal"), ("cause", "blur"), ("cause", "contrast")]
    table = pd.DataFrame(rows, columns=["grouping", "group"])
    figure = plots.forest(table.assign(frames=9, auroc=0.7, low=0.6, high=0.8), "AUROC")
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["cause: contrast (n = 9)", "cause: blur (n = 9)", "all frames (n = 9)"]


def test_outliers_of_the_per_video_figure_carry_the_number_of_their_row():
    sensitivity = [0.95, 0.94, 0.96, 0.2, 0.95, 0.93]
    table = pd.DataFrame({"video": range(6), "sensitivity": sensitivity, "specificity": 0.5})
    figure = plots.per_video(table, 0.4)
    assert [text.get_text() for text in figure.axes[0].texts] == ["no. 4"]
