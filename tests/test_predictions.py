"""The ensemble of several networks, worked out by hand."""

import pandas as pd
import pytest

from clipassistnet.evaluation import predictions


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
