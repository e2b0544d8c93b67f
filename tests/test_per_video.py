"""Figures of each video at one threshold, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from clipassistnet.evaluation import per_video

VIDEOS = pd.DataFrame(
    [
        # threshold .6: both invisible frames are needed for 95 %
        *[("a", i, label, s) for i, (label, s) in enumerate([(1, 0.9), (1, 0.6), (0, 0.7)])],
        # threshold .2
        *[("b", i, label, s) for i, (label, s) in enumerate([(1, 0.2), (0, 0.1), (0, 0.3)])],
        # threshold .8
        *[("c", i, label, s) for i, (label, s) in enumerate([(1, 0.8), (0, 0.5)])],
        ("d", 0, 0, 0.4),  # one class only
    ],
    columns=["video", "frame", "target", "score"],
)


def test_per_video_thresholds_by_hand():
    table = per_video.metrics_per_video(VIDEOS).set_index("video")
    assert table.loc[["a", "b", "c"], "threshold"].tolist() == [0.6, 0.2, 0.8]
    assert table.loc[["a", "b", "c"], "auroc"].tolist() == [0.5, 0.5, 1.0]
    assert table["frames"].tolist() == [3, 3, 2, 1]
    assert table["prevalence"].tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 2, 0])
    assert np.isnan(table.loc["d", "threshold"])
    assert table.loc["d", "reason"] == "all 1 frames are visible"
    assert per_video.paper_threshold(table) == 0.6  # median of .2, .6, .8; d is left out


def test_per_video_rates_at_the_paper_threshold_by_hand():
    table = per_video.rates_per_video(VIDEOS, 0.6).set_index("video")
    assert table["sensitivity"].tolist()[:3] == [1, 0, 1]
    assert table["specificity"].tolist() == [0, 1, 1, 1]
    assert table["frames"].tolist() == [3, 3, 2, 1]


def test_without_a_video_of_both_classes_there_is_no_paper_threshold():
    with pytest.raises(ValueError, match="no video has both classes"):
        per_video.paper_threshold(per_video.metrics_per_video(VIDEOS[VIDEOS["video"] == "d"]))


def test_a_frame_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="more than once, the first: video a, frame 0"):
        per_video.metrics_per_video(pd.concat([VIDEOS, VIDEOS.iloc[:1]]))
