"""The paper's published figures, to be shown beside ours and never mixed with them.

Source: Aspart et al., ClipAssistNet: bringing real-time safety feedback to operating rooms,
Int J CARS 17, 5-13, 2022. A value that is not listed here is printed as a dash.
"""

from typing import Any

import pandas as pd

PAPER = {
    "training videos": 271,
    "test videos": 29,
    "fewest frames in a video": 62,
    "most frames in a video": 1693,
    "mean frames a video": 271,
    "standard deviation of frames a video": 252,
    # The next three are from the publisher's listing. 11,316 frames of 29 videos are 390 per video,
    # and 111,154 of 271 are 410: the listing does not agree with the mean of 271 above.
    "training frames": 111154,
    "visible share of training frames": 0.356,
    "test frames": 11316,
    "no full agreement": 0.18,
    # The paper gives 6.8 %. Over all frames the rate is 6.0 %, a third of the 18 %. Over the frames
    # on which the other two annotators agree it is 0.06 / 0.88 = 6.8 %.
    "mean annotator error rate, over all frames": 0.06,
    "mean annotator error rate, where the other two agree": 0.068,
    "single split AUROC": 0.89,
    "single split specificity at 95 % sensitivity": 0.61,
    "labelled visible among the 50 highest-loss frames": 45,
    "labelled invisible among the 50 lowest-loss frames": 42,
    "ensemble AUROC": 0.9107,
    "ensemble specificity at 95 % sensitivity": 0.6615,
    "median specificity over test videos": 0.812,
    "median sensitivity over test videos": 0.95,
    "clipping actions": 337,
    "videos with clipping actions": 70,
    "share of safe actions": 0.677,
    "tip seen before clipping, among safe actions": 0.377,
    "safe, among actions with the tip seen": 0.976,
    "frames per second on a Jetson AGX Xavier": 16,
}

VIDEO_MEDIANS = {
    rate: PAPER[f"median {rate} over test videos"] for rate in ("sensitivity", "specificity")
}

# Learning rates that the paper's finder picked; the study `paper` trains with them.
LEARNING_RATES = {
    "bce": 1.98e-4,
    "class_weighted": 1.51e-4,
    "video_weighted": 1.21e-4,
    "forward_corrected": 1.01e-4,
}

# Measured by the paper's authors.
JETSON = pd.DataFrame(
    {
        "device": ["NVIDIA Jetson AGX Xavier"],
        "network": ["5 x ResNet-50, 224 px, torch2trt"],
        "frames per second": [PAPER["frames per second on a Jetson AGX Xavier"]],
        "source": ["Aspart et al., Int J CARS 17, 5-13, 2022"],
    }
)

MISSING = "-"  # what is printed where the paper gives no value


def beside(ours: dict[str, Any], heading: str) -> pd.DataFrame:
    """Our figures beside the paper's; a dash where one has none, no row where neither has.

    Args:
        ours: {quantity: value}; a quantity of PAPER gets the paper's value beside it.
        heading: of our column; it says where our data come from.
    """
    rows = [
        {"quantity": name, heading: _text(value), "paper": _text(PAPER.get(name))}
        for name, value in ours.items()
        if {_text(value), _text(PAPER.get(name))} != {MISSING}
    ]
    return pd.DataFrame(rows).set_index("quantity")


def of_ensemble(table3: pd.DataFrame) -> list:
    """The paper's values for the rows of Table 3 (model, metric); a dash where it gives none."""
    known = {
        ("ensemble", "auroc"): PAPER["ensemble AUROC"],
        ("ensemble", "specificity_at_95"): PAPER["ensemble specificity at 95 % sensitivity"],
    }
    rows = zip(table3["model"], table3["metric"], strict=True)
    return [known.get(row, MISSING) for row in rows]


def _text(value: Any) -> str:
    if value is None or value != value:
        return MISSING
    return f"{value:.4g}" if isinstance(value, float) else str(value)
