"""Measure how real the simulator is.

python tools/simulator_realism.py --real M2CAI16 --simulated DATASET --out FOLDER
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet.evaluation.discrimination import auroc
from realism import DEVELOPMENT, appearance, drawing, exactness, probes, samples, speed, transfer

_A_PATIENT = 16  # frames at most of a patient, for the probe of real against simulated


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python tools/simulator_realism.py",
        description="Measure a simulated dataset beside real frames: figures.csv, statistics.csv, "
        "contact sheets and a figure of the statistics.",
    )
    parser.add_argument("--real", type=Path, required=True, help="m2cai16-tool-locations, unpacked")
    parser.add_argument("--simulated", type=Path, required=True, help="simulated dataset folder")
    parser.add_argument("--out", type=Path, required=True, help="folder outside any repository")
    parser.add_argument("--no-transfer", action="store_true", help="skip the training")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Write tables, contact sheets and a figure to the folder `--out`."""
    given = _parser().parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    real = samples.real(given.real, given.out / "real")
    simulated = samples.simulated(given.simulated, given.out / "simulated")
    _draw(real, simulated, given.out)
    rows = []
    for row in _figures(real, simulated, given.out, train=not given.no_transfer):
        print(f"{row['figure']}: {row['value']:.3f} {row['note']}", flush=True)
        rows.append(row)
    pd.DataFrame(rows).round(4).to_csv(given.out / "figures.csv", index=False)


def _draw(real: samples.Samples, simulated: samples.Samples, out: Path) -> None:
    shown = drawing.tiles(simulated, simulated.table["video"].unique(), 48)
    drawing.sheet([drawing.tiles(real, DEVELOPMENT, 24), shown[:24]], 3, out / "sheet.jpg")
    drawing.sheet([shown], 6, out / "simulated.jpg")


def _row(figure: str, value: float, note: str = "", low=np.nan, high=np.nan) -> dict:
    return {"figure": figure, "value": value, "low": low, "high": high, "note": note}


def _figures(
    real: samples.Samples, simulated: samples.Samples, out: Path, *, train: bool
) -> Iterator[dict]:
    compared = appearance.compare(appearance.statistics(real), appearance.statistics(simulated))
    compared.round(4).to_csv(out / "statistics.csv", index=False)
    drawing.statistics(compared, out / "statistics.png")
    outside = ", ".join(compared.loc[~compared["within"], "statistic"])
    yield _row("1 statistics within the real range", compared["within"].mean(), outside)
    yield from _probed(real, simulated, compared)
    truth = exactness.recompute()
    error = (truth["share"] - truth["fine_share"]).abs()
    agree = (truth["label"] == truth["fine_label"]).mean()
    note = f"{len(truth)} tips, labels agree {agree:.1%}"
    yield _row("5 error of the visible share", error.mean(), note, 0.0, error.max())
    size = f"frames of {speed.WIDTH} x {speed.HEIGHT} a second of one core"
    yield _row("speed, drawing", speed.drawing(), size)
    yield _row("speed, whole video", speed.whole(), f"{size}, with patient, truth and H.264")
    yield _row("speed, stills", speed.whole(stills=True), f"{size}, with patient, truth and JPEG")
    if train:
        scored = transfer.learn(simulated, real)
        scored.to_csv(out / "transfer.csv", index=False)
        yield from _transferred(scored)


def _transferred(scored: pd.DataFrame) -> Iterator[dict]:
    """Figure 4; apart from it, the network adapted to the real frames without their labels."""
    means = scored.groupby(["video", "patient", "frame", "target"], as_index=False)["score"].mean()
    intervals = transfer.judged(means)
    for name, (value, low, high) in transfer.over_seeds(scored, "score").items():
        _, least, most = intervals[name]
        note = "AUROC, mean and range of seeds; of their mean score, over patients:"
        yield _row(f"4 transfer, {name}", value, f"{note} {least:.3f} to {most:.3f}", low, high)
    for name, (value, low, high) in transfer.over_seeds(scored, "adapted").items():
        note = "batch normalisation re-estimated on the unlabelled real frames"
        yield _row(f"transfer adapted, {name}", value, note, low, high)


def _probed(
    real: samples.Samples, simulated: samples.Samples, compared: pd.DataFrame
) -> Iterator[dict]:
    """Figures 2 and 3, and the probes to compare them with."""
    kept = probes.thinned(simulated.table["patient"].to_numpy(), probes.A_PATIENT)
    mine, other = simulated.table.iloc[kept], real.table
    ours, theirs = probes.features(simulated.pictures[kept]), probes.features(real.pictures)
    some = [probes.thinned(table["patient"].to_numpy(), _A_PATIENT) for table in (other, mine)]
    inputs = np.concatenate([theirs[some[0]], ours[some[1]]])
    kind = np.repeat([0, 1], [len(part) for part in some])
    people = np.concatenate([other["patient"].iloc[some[0]], mine["patient"].iloc[some[1]]])
    value, _ = probes.held_out(inputs, kind, people)
    apart = compared.assign(distance=(compared["auroc"] - 0.5).abs()).nlargest(4, "distance")
    note = ", ".join(f"{row.statistic} {row.auroc:.2f}" for row in apart.itertuples())
    yield _row("2 real or simulated", value, f"alone: {note}")
    target, people = mine["target"].to_numpy(), mine["patient"].to_numpy()
    value, scores = probes.held_out(ours, target, people)
    inside = [
        auroc(target[people == one], scores[people == one])
        for one in np.unique(people)
        if len(set(target[people == one])) == 2
    ]
    yield _row("3 difficulty", value, f"mean within a patient {np.mean(inside):.3f}")
    truth = other["target"].to_numpy()
    value, _ = probes.held_out(theirs, truth, other["patient"].to_numpy())
    yield _row("real probe", value, "the floor: probe across real patients")
    scores = probes.probe().fit(ours, target).decision_function(theirs)
    for name, (value, low, high) in transfer.judged(other.assign(score=scores)).items():
        yield _row(f"probe transfer, {name}", value, "simulated to real", low, high)


if __name__ == "__main__":
    main()
