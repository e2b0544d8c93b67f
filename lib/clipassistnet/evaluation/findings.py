"""What a study's tables show: a sentence or two for each, computed from the table.

The tables are those of the notebooks. An interval is the 95 % interval over patients.
"""

from collections.abc import Mapping
from typing import Any, Unpack

import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import ratio
from clipassistnet.evaluation.plots.style import LOSS_NAMES, METRIC_NAMES
from clipassistnet.evaluation.resampling import Draws, bootstrap

CAMERA = 25  # frames a second
NO_INTERVAL = "Fewer than three patients support no interval."


def patients(frames: pd.DataFrame, simulated: bool) -> str:
    """Whom the frames show: `20 simulated patients (4,311 frames)`."""
    kind = "simulated " if simulated else ""
    return f"{frames['patient'].nunique()} {kind}patients ({len(frames):,} frames)"


def with_limits(value: float, low: float, high: float) -> str:
    """`0.85 (0.79 to 0.90)`; without limits where there are none."""
    return f"{value:.2f}" if pd.isna(low) else f"{value:.2f} ({low:.2f} to {high:.2f})"


def ensemble(table3: pd.DataFrame, who: str) -> str:
    """From Table 3: AUROC and specificity of the ensemble on these patients (see `patients`)."""
    rows = table3[table3["model"] == "ensemble"].set_index("metric")
    found = {
        name: with_limits(*rows.loc[metric, ["estimate", "low", "high"]])
        for metric, name in METRIC_NAMES.items()
    }
    parts = " and its ".join(f"{name} is {value}" for name, value in found.items())
    return f"On {who} the ensemble's {parts}."


def losses(table2: pd.DataFrame) -> str:
    """From Table 2: the loss with the highest mean AUROC over folds, and the range of all."""
    rows = table2[table2["metric"] == "auroc"].set_index("loss")["mean"].rename(LOSS_NAMES)
    if len(rows) == 1:
        only = f"The study has one loss, {rows.index[0]}"
        return f"{only}: its mean AUROC over folds is {rows.iloc[0]:.2f}."
    highest, lowest = f"{rows.max():.2f}", f"{rows.min():.2f}"
    if highest == lowest:
        return f"With each of the {len(rows)} losses the mean AUROC over folds is {highest}."
    best = f"The loss with the highest mean AUROC over folds is {rows.idxmax()}, {highest}"
    return f"{best}; the one with the lowest is {rows.idxmin()}, {lowest}."


def differences(comparison: pd.DataFrame, column: str, reference: str) -> str:
    """From `paper_tables.compare`: whose AUROC differs from the reference's."""
    rows = comparison[comparison["metric"] == "auroc"]
    if rows.empty:
        return f"There is nothing to compare with {reference}."
    if rows["low"].isna().all():
        return f"{NO_INTERVAL} No difference from {reference} can be judged."
    parts, shown_columns = [], [column, "difference", "low", "high"]
    for words, chosen in (("Higher", rows["low"] > 0), ("Lower", rows["high"] < 0)):
        listed = [
            f"{LOSS_NAMES.get(name, name)} ({difference:+.2f}, {low:+.2f} to {high:+.2f})"
            for name, difference, low, high in rows.loc[chosen, shown_columns].to_numpy()
        ]
        parts += [f"{words} AUROC than {reference}: {', '.join(listed)}."] if listed else []
    rest = int((~((rows["low"] > 0) | (rows["high"] < 0))).sum())
    if rest:
        counted = f"{rest} of {len(rows)} differences from {reference}"
        parts.append(f"The interval includes zero for {counted}.")
    return " ".join(parts)


def by_patient(table: pd.DataFrame) -> str:
    """From `by_patient.metrics_by_patient`: the spread over patients, and pooled against mean."""
    pooled, mean = table["auroc"].iloc[0], table.loc["mean over patients", "auroc"]
    single = table.iloc[2:] if len(table) > 3 else table.iloc[:0]
    single = single[~single.index.str.startswith("all frames")].dropna(subset="auroc")
    found = f"The AUROC is {pooled:.2f} over the pooled frames, and {mean:.2f} as the mean over"
    found += " patients."
    if mean - pooled > 0.05:
        found += " Scores lie at different levels in different patients: one threshold suits few."
    if len(single) > 1:
        lowest, highest = single["auroc"].idxmin(), single["auroc"].idxmax()
        found += " The AUROC of single patients runs"
        found += f" from {single['auroc'].min():.2f} ({lowest})"
        found += f" to {single['auroc'].max():.2f} ({highest})."
    return found


def rates(table: pd.DataFrame, choice: str, levels: Mapping[str, float]) -> str:
    """From `thresholds.rate_table`: what the warnings of one threshold are worth.

    `levels`: the threshold of each choice as a number.
    """
    rows = table[table["threshold from"] == choice].set_index("rate")
    value = {rate: with_limits(*rows.loc[rate, ["estimate", "low", "high"]]) for rate in rows.index}
    return (
        f"At the threshold {levels[choice]:.3f}, {choice}, the warning finds "
        f"{value['sensitivity']} of the invisible frames and stays silent on "
        f"{value['specificity']} of the visible ones; {value['ppv']} of the warnings are right."
    )


def guarantees(table: pd.DataFrame) -> str:
    """From `thresholds.guarantee_table`: which thresholds exist, and what the others lack."""
    exists = table["threshold"].notna()
    sure = table[exists & (table["standing"] == "guaranteed")]
    found = "No threshold is guaranteed"
    if len(sure):
        listed = ", ".join(f"{alpha:g}" for alpha in sorted(sure["alpha"].unique()))
        found = f"A threshold is guaranteed for alpha {listed}"
    lacking = table[~exists & ~table["alpha"].isin(sure["alpha"])].drop_duplicates("alpha")
    if lacking.empty:
        return f"{found}."
    needs = ", ".join(f"{row.needed} for alpha {row.alpha:g}" for row in lacking.itertuples())
    return f"{found}; more patients are needed ({needs})."


def events(table: pd.DataFrame, alarm: str) -> str:
    """From `events.event_table`: what an alarm finds and what it costs."""
    rows = table[table["alarm"] == alarm].set_index("measure")["estimate"]
    silent = 1 - rows["share of time under a false alarm"]
    return (
        f"The {alarm} finds {rows['event sensitivity']:.0%} of the events, with "
        f"{rows['false alarms a minute']:.1f} false alarms a minute; {silent:.0%} of the time is "
        "free of false alarms."
    )


def subgroups(table: pd.DataFrame) -> str:
    """From `subgroups.subgroups`: the subgroups whose interval misses the AUROC of all frames."""
    overall = table["auroc"].iloc[0]
    rows = table.iloc[1:].dropna(subset=["auroc", "low"])
    if rows.empty:
        return f"{NO_INTERVAL} No subgroup can be compared with all frames."
    off = rows[(rows["low"] > overall) | (rows["high"] < overall)]
    if off.empty:
        return f"No subgroup's interval misses the AUROC of all frames ({overall:.2f})."
    listed = [
        f"{row.grouping} {row.group} ({row.auroc:.2f}, {row.low:.2f} to {row.high:.2f})"
        for row in off.itertuples()
    ]
    return f"The interval misses the AUROC of all frames ({overall:.2f}) for: {', '.join(listed)}."


def calibration(table: pd.DataFrame, tempered: pd.DataFrame) -> str:
    """From `calibration.calibration_table`: the calibration error before and after a temperature.

    `tempered`: fold, temperature of each frame.
    """
    rows = table[table["measure"] == "expected_calibration_error"].set_index("scorer")
    texts = [
        f"{with_limits(*row[['estimate', 'low', 'high']])} ({name})"
        for name, row in rows.iterrows()
    ]
    found = f"On average scores miss the share of invisible frames by {' and by '.join(texts)}."
    by_fold = tempered.groupby("fold")["temperature"].first()
    return f"{found} The folds' temperatures run from {by_fold.min():.2f} to {by_fold.max():.2f}."


def training_patients(curve: pd.DataFrame) -> str:
    """From `patient_curve.curve`: what more training patients brought, on average over draws."""
    if curve.empty:
        return (
            "There is no curve: the main recipe trains its networks end to end, so each number of "
            "training patients would need trainings of its own."
        )
    means = curve.groupby("patients")["auroc"].mean()
    if len(means) == 1:
        return f"With {means.index[0]} training patients the AUROC is {means.iloc[0]:.2f}."
    few = 5 if 5 in means.index[:-1] else means.index[0]
    return (
        f"With {means.index[-1]} training patients the AUROC is {means.iloc[-1]:.2f}; "
        f"with {few} it is {means[few]:.2f}."
    )


def audit(figures: Mapping[str, Any]) -> str:
    """From `label_audit.report`: whether the doubted labels are wrong, where the truth is known."""
    doubted = f"{figures['issues']} of {figures['frames']} labels are doubtful."
    if "lift" not in figures:
        return f"{doubted} Only an annotator can say which of them are wrong."
    if np.isnan(figures["lift"]):
        return f"{doubted} By the known truth, no label is wrong."
    found = f"{figures['found']} of the first {figures['first']} frames have a wrong label"
    return f"{doubted} {found}, {figures['lift']:.1f} times as many as by chance."


def extremes(highest: pd.DataFrame, lowest: pd.DataFrame) -> str:
    """What the frames of highest and of lowest loss are labelled (target 1 = invisible)."""
    visible, invisible = int((highest["target"] == 0).sum()), int((lowest["target"] == 1).sum())
    return (
        f"{visible} of the {len(highest)} frames with the highest loss are labelled visible, and "
        f"{invisible} of the {len(lowest)} with the lowest loss invisible."
    )


def evenness(greedy: float, random: np.ndarray) -> str:
    """How uneven the greedy partition is beside random ones (largest minus smallest fold)."""
    even = float((random <= greedy).mean())
    return (
        f"The largest fold has {greedy:.0f} frames more than the smallest. In {len(random)} random "
        f"partitions the median difference is {np.median(random):.0f} frames, and {even:.0%} of "
        "them are as even."
    )


def parity(table: pd.DataFrame) -> str:
    """From the table `parity` of notebook 09, with PyTorch first: how many others passed."""
    others = table["passed"].iloc[1:]
    if others.empty:
        return "This machine has no variant besides float32 PyTorch."
    return f"{int(others.sum())} of the {len(others)} other variants agree with float32 PyTorch."


def speed(rates: pd.Series, device: str) -> str:
    """The fastest variant that was timed: frames per second, nan for the others."""
    fastest = rates.idxmax()
    enough = "enough for" if rates.max() >= CAMERA else "too few for"
    frames = f"{rates.max():.0f} frames a second, {enough} a camera of {CAMERA}"
    return f"On this device ({device}) the fastest variant is {fastest}: {frames}."


def absent(table: pd.DataFrame) -> str:
    """From `thresholds.absent_table`: how often frames without a clip applier are called visible.

    At the first of its thresholds.
    """
    if table.empty:
        return "No frame without a clip applier was judged."
    first = table.iloc[0]
    figure = first["figure"].replace(", threshold", ", at the threshold from")
    return f"{first['estimate']:.0%} of the frames without a clip applier are {figure}."


def arming(table: pd.DataFrame) -> str:
    """From `arming_metrics.table`: how well the clip applier is seen, and how well it arms."""
    if table.empty:
        return "Nothing in this study sees whether a clip applier is in the picture."
    rows = table.set_index(["judged", "measure"])[["estimate", "low", "high"]]
    auroc, *rates = (
        with_limits(*rows.loc["each frame by itself", name])
        for name in ("AUROC", "sensitivity", "specificity")
    )
    text = f"The AUROC between frames with and without a clip applier is {auroc}. "
    text += "At the frozen level the sensitivity is {} and the specificity {}.".format(*rates)
    if ("armed by live", "stretches in which it armed") in rows.index:
        found = rows.loc["armed by live"]["estimate"]
        text += (
            f" Live would have armed in {found['stretches in which it armed']:.0%} of the stretches"
            f", after {found['mean seconds to arm']:.1f} s on average."
        )
    return text


def saliency(shares: pd.DataFrame, **sampling: Unpack[Draws]) -> str:
    """From `share_on_tips`: whether the network looks at the tips, with an interval over patients.

    `shares`: video, frame, patient, own, shuffled.
    """
    table = shares.assign(excess=shares["own"] - shares["shuffled"], whole=1)
    columns = ("excess", "whole")
    found = bootstrap(table, ratio, by="patient", columns=columns, link="identity", **sampling)
    limits = "no interval" if pd.isna(found.low) else f"{found.low:+.1%} to {found.high:+.1%}"
    text = (
        f"On {len(shares)} frames with visible tips {shares['own'].mean():.1%} of the saliency "
        f"lies on the tips, and {shares['shuffled'].mean():.1%} on the tips of other frames "
        f"(difference {found.estimate:+.1%}, {limits})."
    )
    looks = "The network looks" if found.low > 0 else "This does not show that the network looks"
    return f"{text} {looks} at the tips."
