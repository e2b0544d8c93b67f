"""Lists of the tools in sampled frames, as Cholec80 and CholecT50 have them, and phases."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

# The names of Cholec80. All importers write them.
TOOLS = ("Grasper", "Bipolar", "Hook", "Scissors", "Clipper", "Irrigator", "SpecimenBag")
PHASES = (
    "Preparation",
    "CalotTriangleDissection",
    "ClippingCutting",
    "GallbladderDissection",
    "GallbladderPackaging",
    "CleaningCoagulation",
    "GallbladderRetraction",
)
LICENCE = "CC BY-NC-SA 4.0"  # of Cholec80, CholecT50 and m2cai16-tool-locations
# Tool lists name a tool where at least half of its tip is seen (Twinanda et al., IEEE TMI 36,
# 2017). A clip applier with hidden tips, the very frame this project is about, is not in them. So
# no frame within this many seconds of a listed clip applier counts as one without a clip applier.
MARGIN = 5


def from_tool_list(
    video: str, frames: np.ndarray, listed: np.ndarray, fps: float, annotator: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Labels "absent", and the frames to annotate, from a list of the tools in sampled frames.

    Args:
        frames: (N,) int, the frames of the list, ascending. Other frames get no label.
        listed: (N,) bool, whether the list names a clip applier in them.
        annotator: name of the list, for the column annotator.

    Returns:
        Annotations "absent" of the frames without a clip applier, and the frames to annotate:
        those with a clip applier, and those within `MARGIN` seconds of one.
    """
    frames, listed = np.asarray(frames, dtype="int64"), np.asarray(listed, dtype=bool)
    marks = np.concatenate([[-np.inf], frames[listed], [np.inf]])
    after = np.searchsorted(marks, frames)
    distance = np.minimum(frames - marks[after - 1], marks[after] - frames)
    near = distance <= MARGIN * fps
    absent = pd.DataFrame({"video": video, "frame": frames[~near], "annotator": annotator})
    absent = absent.assign(label="absent", cause="no_clipper")
    candidates = {"video": video, "frame": frames[near], "listed": listed[near].astype(int)}
    return absent, pd.DataFrame(candidates)


def phase_runs(video: str, frames: Sequence[int], phases: Sequence[str]) -> pd.DataFrame:
    """Runs of consecutive frames of one phase: video, start, end (exclusive), phase."""
    numbers, names = np.asarray(frames, dtype="int64"), np.asarray(phases)
    first = np.ones(len(numbers), dtype=bool)
    first[1:] = (np.diff(numbers) != 1) | (names[1:] != names[:-1])
    last = np.roll(first, -1)
    runs = {"start": numbers[first], "end": numbers[last] + 1, "phase": names[first]}
    return pd.DataFrame({"video": video, **runs})
