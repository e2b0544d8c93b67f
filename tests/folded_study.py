"""A small study with its folds, and any videos that hypothesis thinks of."""

import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

from clipassistnet.data import folds

FEW = settings(max_examples=15)


def table(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["video", "patient", "frames"])


@st.composite
def videos(draw, k=3):
    """At least k patients with one to three videos each, of 1 to 2000 frames."""
    patients = draw(st.lists(st.integers(1, 3), min_size=k, max_size=12))
    rows = [
        (f"v{patient}{i}", f"p{patient}", draw(st.integers(1, 2000)))
        for patient, count in enumerate(patients)
        for i in range(count)
    ]
    return table(*draw(st.permutations(rows)))


def labels_of(rows: pd.DataFrame) -> pd.DataFrame:
    """As consensus() gives them: frames of each video in turn visible and invisible, one absent."""
    frames = [
        (video, frame, "visible" if frame % 2 else "invisible")
        for video, _, count in rows[["video", "patient", "frames"]].itertuples(index=False)
        for frame in range(count)
    ]
    frames += [(video, 99_999, "absent") for video in rows["video"]]
    labels = pd.DataFrame(frames, columns=["video", "frame", "label"])
    return labels.assign(training_label=labels["label"])


def studied(split: str = "") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ten videos of eight patients with 4 to 13 frames: labels and videos.csv."""
    patients = ["p0", "p0", "p1", "p2", "p2", "p3", "p4", "p5", "p6", "p7"]
    rows = table(*[(f"v{i}", patient, 4 + i) for i, patient in enumerate(patients)])
    return labels_of(rows), rows[["video", "patient"]].assign(split=split)


def made_study():
    labels, table_of_videos = studied("train")
    table_of_videos.loc[[8, 9], "split"] = "test"
    return folds.make(labels, table_of_videos, 3, test_share=0, seed=0), labels


MADE, LABELS = made_study()
