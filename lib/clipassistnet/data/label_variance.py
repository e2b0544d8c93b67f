"""How much of the label is decided by the patient alone, before a picture is seen."""

from typing import NamedTuple

import pandas as pd

NOTABLE = 0.15  # share of the label's variance between patients that a reader must know of


class LabelVariance(NamedTuple):
    """How the share of invisible frames differs between patients.

    between: eta squared, the share of the label's variance that lies between patients. by_chance:
    what it is expected to be where patients do not differ: (patients - 1) / (frames - 1). sd,
    lowest, highest: of the invisible share over patients. Shares are nan where all labels agree.
    """

    patients: int
    frames: int
    between: float
    by_chance: float
    sd: float
    lowest: float
    highest: float


def invisible_shares(labels: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """One row a patient: patient, frames, invisible (share), over the frames with a clip applier.

    Args:
        labels: one row a frame: video, label.
        videos: video, patient.
    """
    frames = labels[labels["label"] != "absent"]
    patient = frames["video"].map(videos.set_index("video")["patient"]).rename("patient")
    groups = (frames["label"] == "invisible").groupby(patient)
    return groups.agg(frames="size", invisible="mean").reset_index()


def label_variance(shares: pd.DataFrame) -> LabelVariance:
    """The differences between the patients of `invisible_shares`."""
    counts, share = shares["frames"], shares["invisible"]
    frames, patients = int(counts.sum()), len(shares)
    mean = (counts * share).sum() / frames
    total = mean * (1 - mean)
    between = (counts * (share - mean) ** 2).sum() / frames
    return LabelVariance(
        patients=patients,
        frames=frames,
        between=float(between / total) if total else float("nan"),
        by_chance=(patients - 1) / (frames - 1) if frames > 1 else float("nan"),
        sd=float(share.std()),
        lowest=float(share.min()),
        highest=float(share.max()),
    )


def described(found: LabelVariance) -> dict[str, float]:
    """The figures with names for a table."""
    return {
        "patients": found.patients,
        "frames with a clip applier": found.frames,
        "share of the label's variance between patients": found.between,
        "expected if patients did not differ": found.by_chance,
        "standard deviation of the invisible share over patients": found.sd,
        "lowest invisible share": found.lowest,
        "highest invisible share": found.highest,
    }


def finding(found: LabelVariance) -> str:
    """What the label's variance between patients means for this study."""
    start = (
        f"{found.between:.1%} of the label's variance lies between the {found.patients} patients"
    )
    start += f" ({found.by_chance:.1%} are expected by chance)."
    if found.between > NOTABLE:
        return (
            f"{start} The label is partly given away by the patient: a network can gain from "
            "recognising the patient instead of the tips. Compare it with the baseline `patient` "
            "of notebook 06."
        )
    return f"{start} The patient alone says little about the label."
