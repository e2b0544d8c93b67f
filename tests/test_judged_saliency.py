"""How much of a saliency map lies on the tips: by hand, and through whole frames."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet import model
from clipassistnet.data.cross_validation import Training
from clipassistnet.data.dataset import Dataset
from clipassistnet.evaluation import findings, gallery
from clipassistnet.model import judged_saliency
from clipassistnet.model.judged_saliency import JudgedMaps

SIDE = 32


class Cache:
    """Pictures that say nothing."""

    size = SIDE

    def get(self, video: str, frame: int) -> np.ndarray:
        return np.full((SIDE, SIDE, 3), 60 + frame, np.uint8)


def table(frames: int) -> pd.DataFrame:
    rows = {"video": "v", "frame": range(frames), "score": 0.7, "held_out": "test", "fold": 0}
    return pd.DataFrame(rows)


def maps_of(pixels: np.ndarray, on_tips: np.ndarray) -> JudgedMaps:
    return JudgedMaps(np.zeros((*pixels.shape, 3), np.uint8), pixels, pixels, on_tips, "by hand")


def test_share_on_own_tips_and_on_those_of_other_frames():
    pixels = np.array([[[3.0, 1.0]], [[1.0, 1.0]], [[0.0, 0.0]]])
    on_tips = np.array([[[True, False]], [[False, True]], [[True, True]]])
    found = judged_saliency.share_on_tips(table(3), maps_of(pixels, on_tips))
    assert found["own"].tolist() == [0.75, 0.5]  # the third frame has no saliency
    assert found["shuffled"].tolist() == [(0.25 + 1) / 2, (0.5 + 1) / 2]


def test_tips_are_marked_where_they_are(tmp_path):
    network = model.build("tf_efficientnet_lite0", "none")
    network.spec["image_size"] = SIDE
    path = tmp_path / "model.safetensors"
    model.save(network, path)
    tips = pd.DataFrame({"video": "v", "frame": [0], "x": 0.25, "y": 0.75, "visible_share": 1.0})
    checkpoints = {Training("bce", "paper", "test", 0): path}
    shown = table(2)[::-1]
    found = judged_saliency.explain(shown, checkpoints, Cache(), tips)
    assert found.pixels.shape == found.on_tips.shape == (2, SIDE, SIDE)
    assert found.pictures[:, 0, 0, 0].tolist() == [61, 60]  # in the order of the table
    assert not found.on_tips[0].any()  # frame 1 has no tip
    y, x = np.nonzero(found.on_tips[1])
    assert (x.mean() / SIDE, y.mean() / SIDE) == pytest.approx((0.25, 0.75), abs=0.05)


def test_without_tips_there_is_nothing_to_mark(tmp_path):
    empty = pd.DataFrame({"video": []})
    found = judged_saliency.tips_of(Dataset(tmp_path, videos=empty, annotations=empty))
    assert found.empty
    assert "visible_share" in found


def test_a_finding_does_not_claim_what_the_interval_does_not_show():
    rows = pd.DataFrame({"video": [*"aabbccdd"], "frame": [0, 1] * 4, "shuffled": 0.1})
    rows["patient"] = rows["video"]
    looks = rows.assign(own=[0.3, 0.31, 0.29, 0.3, 0.32, 0.28, 0.3, 0.3])
    assert "The network looks at the tips." in findings.saliency(looks, resamples=50)
    assert "difference +20.0%" in findings.saliency(looks, resamples=50)
    unsure = rows.assign(own=[0.3, 0.3, 0.0, 0.0, 0.2, 0.2, 0.0, 0.0])
    assert "This does not show" in findings.saliency(unsure, resamples=50)
    assert "no interval" in findings.saliency(looks[:4], resamples=50)


JUDGED = pd.DataFrame(
    {
        "video": [*"aabbcc"],
        "frame": range(6),
        "target": [0, 0, 1, 1, 1, 0],
        "score": [0.1, 0.9, 0.8, 0.2, 0.3, 0.6],
    }
)


def test_the_most_confident_of_each_kind():
    found = gallery.most_confident(JUDGED, 2).set_index("kind")["frame"]
    assert found.loc[["right visible", "right invisible"]].tolist() == [0, 2]
    assert found.loc["false alarm"].tolist() == [1, 5]
    assert found.loc["missed"].tolist() == [3, 4]


def test_the_frames_of_highest_and_lowest_loss():
    highest, lowest = gallery.extremes(JUDGED, 50)
    assert highest["frame"].tolist() == [1, 3, 4]  # p of the label 0.1, 0.2, 0.3
    assert lowest["frame"].tolist() == [0, 2, 5]


def test_failures_have_one_frame_for_each_cause(tmp_path):
    label = JUDGED["target"].map({0: "visible", 1: "invisible"})
    labels = JUDGED[["video", "frame"]].assign(label=label, annotators=1, dissent=0)
    notes = labels[["video", "frame", "label"]].assign(
        annotator="A", cause=["", "", *["blur"] * 3, ""]
    )
    videos = pd.DataFrame({"video": [*"abc"], "patient": [*"abc"], "clipper": "metal"})
    data = Dataset(tmp_path, videos=videos, annotations=notes)
    found = gallery.failures(JUDGED.assign(label=label), data, labels)
    assert found["title"].tolist() == ["false alarm, p 0.90", "missed, blur, p 0.20"]
    assert gallery.failures(JUDGED.assign(label=label)[:1], data, labels).empty
