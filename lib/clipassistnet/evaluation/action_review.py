"""The surgeon's review of clipping actions, with intervals over videos."""

from typing import Any

import pandas as pd

from clipassistnet.data import annotation
from clipassistnet.evaluation import published
from clipassistnet.evaluation.discrimination import ratio
from clipassistnet.evaluation.resampling import bootstrap

# Share: (actions that count, actions among which they are counted).
SHARES = {
    "share of safe actions": ("safe", "action"),
    "tip seen before clipping, among safe actions": ("seen_safe", "safe"),
    "safe, among actions with the tip seen": ("seen_safe", "seen"),
    "safe, among actions with the tip not seen": ("unseen_safe", "unseen"),
}


def review(actions: pd.DataFrame, heading: str) -> pd.DataFrame:
    """Our counts and shares beside the paper's, with 95 % intervals of the shares over videos.

    Args:
        actions: rows of actions.csv: video, tip_visible_before, safe.
        heading: of our column (see `published.beside`).
    """
    counts = annotation.review_actions(actions)  # it refuses values other than 0 and 1
    ours: dict[str, Any] = {
        "clipping actions": counts["actions"],
        "videos with clipping actions": counts["videos"],
    }
    intervals = dict.fromkeys(ours, "")
    table = _counted(actions)
    for name, columns in SHARES.items():
        ours[name], low, high = _interval(table, columns)
        intervals[name] = published.MISSING if low != low else f"{low:.3f} to {high:.3f}"
    shown = published.beside(ours, heading)
    shown.insert(1, "95 % interval", pd.Series(intervals))
    return shown


def _interval(table: pd.DataFrame, columns: tuple[str, str]) -> tuple[float, float, float]:
    """A share and its limits, on the scale of the share itself and within 0 and 1.

    With few videos many resamples hold safe actions alone, which lie far out on the logit scale.
    """
    found = bootstrap(table, ratio, by="video", columns=columns, link="identity", seed=0)
    if found.low != found.low:  # all alike: the exact binomial limit, or too few videos
        found = bootstrap(table, ratio, by="video", columns=columns, seed=0)
    return found.estimate, max(found.low, 0.0), min(found.high, 1.0)


def finding(actions: pd.DataFrame) -> str:
    """What the review shows, in a sentence."""
    table = _counted(actions).sum(numeric_only=True)
    parts = [
        f"{table['seen_safe']} of {table['seen']} actions with the tip seen before were safe",
        f"{table['unseen_safe']} of {table['unseen']} with the tip not seen",
    ]
    return f"{', and '.join(parts)}."


def _counted(actions: pd.DataFrame) -> pd.DataFrame:
    seen, safe = (actions[column].astype(bool) for column in ("tip_visible_before", "safe"))
    counts = {"action": True, "seen": seen, "unseen": ~seen, "safe": safe}
    counts |= {"seen_safe": seen & safe, "unseen_safe": ~seen & safe}
    return actions[["video"]].assign(**counts).astype(dict.fromkeys(counts, int))
