"""The ensemble of several networks, worked out by hand."""

import pandas as pd
import pytest

from clipassistnet.data.cross_validation import Training
from clipassistnet.evaluation import predictions
from clipassistnet.model import crops


def test_presence_comes_from_the_locator_that_saw_no_judged_patient(tmp_path):
    frames = pd.DataFrame({"held_out": ["0", "1"], "video": ["a", "b"], "frame": [5, 5]})
    paths = {}
    for held_out, rows in (("0", [("a", 0.9), ("b", 0.1)]), ("1", [("a", 0.2), ("b", 0.8)])):
        run = Training("bce", "features", held_out, 0)
        paths[run] = tmp_path / held_out / "predictions.parquet"
        paths[run].parent.mkdir()
        boxes = pd.DataFrame(rows, columns=["video", "presence"]).assign(frame=5)
        # Of a training frame there may be a true box as well, which has no presence.
        boxes = pd.concat([boxes, boxes.assign(presence=float("nan"))])
        boxes.to_parquet(paths[run].with_name("boxes.parquet"))
    assert predictions.located(frames, paths)["presence"].tolist() == [0.9, 0.8]
    assert predictions.BOXES == crops.BOXES
    whole = {Training("bce", "paper", "0", 0): tmp_path / "predictions.parquet"}
    assert predictions.located(frames, whole) is frames


def test_ensemble_by_hand():
    members = pd.DataFrame(
        {
            "model": ["fold 0", "fold 0", "fold 1", "fold 1"],
            "video": ["a", "b", "b", "a"],
            "frame": [0, 7, 7, 0],
            "label": ["visible", "absent", "absent", "visible"],
            "score": [0.2, 0.9, 0.5, 0.4],
        }
    )
    found = predictions.ensemble(members)
    assert found[["video", "frame", "label"]].to_numpy().tolist() == [
        ["a", 0, "visible"],
        ["b", 7, "absent"],
    ]
    assert found["score"].tolist() == pytest.approx([0.3, 0.7])
    weighted = predictions.ensemble(members, [3, 1])["score"]
    assert weighted.tolist() == pytest.approx([0.25, 0.8])
    for weights in ([1], [1, -1], [0, 0]):
        with pytest.raises(ValueError, match="expected one, not negative, for each of"):
            predictions.ensemble(members, weights)
    with pytest.raises(ValueError, match="did not judge the same frames"):
        predictions.ensemble(members.iloc[:3])
    with pytest.raises(ValueError, match="the first: model fold 0, video a, frame 0"):
        predictions.ensemble(pd.concat([members, members.iloc[:1]]))
