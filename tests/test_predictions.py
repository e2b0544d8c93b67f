"""The ensemble of several networks, worked out by hand."""

import pandas as pd
import pytest

from clipassistnet.data.cross_validation import Training
from clipassistnet.evaluation import predictions
from clipassistnet.model import crops


def test_presence_comes_from_the_locator_that_saw_no_judged_patient(tmp_path):
    # Held-out subset, fold, video of each split, and p(clip applier) that its locator gives.
    runs = [
        ("0", 1, {"test": ("a", 0.9), "validation": ("b", 0.3)}),
        ("0", 2, {"test": ("a", 0.9), "validation": ("c", 0.4)}),
        ("1", 0, {"test": ("b", 0.8), "validation": ("a", 0.2)}),
    ]
    paths = {}
    for held_out, fold, parts in runs:
        run = Training("bce", "features", held_out, fold)
        paths[run] = tmp_path / f"{held_out}{fold}" / "predictions.parquet"
        paths[run].parent.mkdir()
        rows = [(video, 5, split, "visible", 0.0) for split, (video, _) in parts.items()]
        table = pd.DataFrame(rows, columns=["video", "frame", "split", "label", "score"])
        table.to_parquet(paths[run])
        boxes = pd.DataFrame(parts.values(), columns=["video", "presence"]).assign(frame=5)
        # Of a training frame there may be a true box as well, which has no presence.
        boxes = pd.concat([boxes, boxes.assign(presence=float("nan"))])
        boxes.to_parquet(paths[run].with_name("boxes.parquet"))
    videos = pd.DataFrame({"video": list("abc"), "patient": list("ABC")})
    found = predictions.by_locator(predictions.read(paths, videos), paths)
    assert found[["held_out", "split", "video", "patient", "score"]].to_numpy().tolist() == [
        ["0", "test", "a", "A", 0.9],
        ["0", "validation", "b", "B", 0.3],
        ["0", "validation", "c", "C", 0.4],
        ["1", "test", "b", "B", 0.8],
        ["1", "validation", "a", "A", 0.2],
    ]
    assert predictions.BOXES == crops.BOXES
    for path in paths.values():  # networks of whole frames have no boxes
        path.with_name("boxes.parquet").unlink()
    assert predictions.by_locator(predictions.read(paths, videos), paths).empty


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
