"""How much other cameras and recorders change what a finished study's networks say.

  python tools/robustness.py m2cai --out notebooks/studies/m2cai_robustness.csv

Each frame with a clip applier is shown to the networks that have not seen its patient, as it is and
under each of a list of shifts: light, white balance, blur, noise, compression, size, field of view.
Nothing is trained. The table has, for each recipe and shift, the AUROC pooled over patients with
its 95 % interval over patients, and the difference from the unchanged frames with its interval.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from clipassistnet import deploy, files
from clipassistnet.data import cross_validation, dataset, folds, video_source
from clipassistnet.evaluation import plots, resampling
from clipassistnet.evaluation.discrimination import auroc
from clipassistnet.model import crop_ensemble
from clipassistnet.transforms import resize

RUNS = Path("papermill_runs")
AS_IT_IS = "as it is"


def gamma(power: float) -> Callable[[np.ndarray], np.ndarray]:
    table = (255 * (np.arange(256) / 255) ** power).round().astype(np.uint8)
    return lambda frame: table[frame]


def gains(red: float, blue: float) -> Callable[[np.ndarray], np.ndarray]:
    factors = np.array([red, 1.0, blue])
    return lambda frame: np.clip(frame * factors, 0, 255).astype(np.uint8)


def blur(frame: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(frame, (0, 0), frame.shape[1] / 250)


def noise(frame: np.ndarray) -> np.ndarray:
    grain = np.random.default_rng(0).normal(0, 15, frame.shape)
    return np.clip(frame + grain, 0, 255).astype(np.uint8)


def compressed(frame: np.ndarray) -> np.ndarray:
    coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 15])[1]
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)[..., ::-1]


def small(frame: np.ndarray) -> np.ndarray:
    """As from a recording 200 pixels wide."""
    height, width = frame.shape[:2]
    less = cv2.resize(frame, (200, round(200 * height / width)), interpolation=cv2.INTER_AREA)
    return cv2.resize(less, (width, height), interpolation=cv2.INTER_CUBIC)


def round_view(frame: np.ndarray) -> np.ndarray:
    """Black outside a circle that is as high as the picture."""
    height, width = frame.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    cv2.circle(mask, (width // 2, height // 2), height // 2, 1, -1)
    return frame * mask[..., None]


def further_away(frame: np.ndarray) -> np.ndarray:
    """Three quarters of the size, in a black surround."""
    height, width = frame.shape[:2]
    less = cv2.resize(frame, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    top, left = (height - less.shape[0]) // 2, (width - less.shape[1]) // 2
    wide = np.zeros_like(frame)
    wide[top : top + less.shape[0], left : left + less.shape[1]] = less
    return wide


SHIFTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    AS_IT_IS: lambda frame: frame,
    "darker (gamma 1.8)": gamma(1.8),
    "brighter (gamma 0.6)": gamma(0.6),
    "warmer (red x 1.2, blue x 0.8)": gains(1.2, 0.8),
    "colder (red x 0.8, blue x 1.2)": gains(0.8, 1.2),
    "blurred": blur,
    "noisy (s.d. 15)": noise,
    "compressed (JPEG 15)": compressed,
    "small (200 px wide)": small,
    "mirrored": lambda frame: frame[:, ::-1],
    "round field of view": round_view,
    "further away (x 0.75)": further_away,
}


def scores(study: Path, recipe: str, judged: pd.DataFrame, data: dataset.Dataset) -> pd.DataFrame:
    """The judged frames under each shift with the score of the ensemble that never saw them."""
    parts = []
    for held_out, rows in judged.groupby("held_out"):
        runs = sorted(
            study.glob(f"05_train_fold/loss=bce,recipe={recipe},held_out={held_out},*/run.json")
        )
        ensemble = crop_ensemble.load([str(path.with_name("model.safetensors")) for path in runs])
        size = ensemble.spec["image_size"]
        predictor = deploy.load("openvino", ensemble, size)
        keys = zip(rows["video"], rows["frame"], strict=True)
        frames = [video_source.original(data, video, int(frame)) for video, frame in keys]
        for name, shift in SHIFTS.items():
            shown = [resize(np.ascontiguousarray(shift(frame)), size) for frame in frames]
            score = np.concatenate([predictor.predict(frame[None]) for frame in shown])
            parts.append(rows.assign(recipe=recipe, shift=name, score=score))
            print(f"{recipe}, held out {held_out}: {name}", flush=True)
    return pd.concat(parts, ignore_index=True)


def table(judged: pd.DataFrame) -> pd.DataFrame:
    """AUROC and its change by recipe and shift, with intervals over patients."""
    rows = []
    for recipe, own in judged.groupby("recipe", sort=False):
        plain = own[own["shift"] == AS_IT_IS]
        for name in SHIFTS:
            shown = own[own["shift"] == name]
            found = resampling.bootstrap(shown, auroc, by="patient")
            row = {"recipe": recipe, "shift": name, "frames": len(shown)}
            row |= {"auroc": found.estimate, "low": found.low, "high": found.high}
            change = resampling.paired_bootstrap(shown, plain, auroc, by="patient")
            row |= {"change": change.difference, "change_low": change.low}
            rows.append(row | {"change_high": change.high})
    return pd.DataFrame(rows).round(4)


def draw(rows: pd.DataFrame) -> Figure:
    """AUROC with its interval by shift, a colour for each recipe."""
    plots.theme()
    figure, axes = plt.subplots(figsize=(8, 0.45 * len(SHIFTS) + 1))
    recipes = rows["recipe"].unique()
    for number, recipe in enumerate(recipes):
        own = rows[rows["recipe"] == recipe]
        y = np.arange(len(own)) + 0.25 * (number - (len(recipes) - 1) / 2)
        spread = [own["auroc"] - own["low"], own["high"] - own["auroc"]]
        axes.errorbar(own["auroc"], y, xerr=spread, fmt="o", label=f"recipe {recipe}", capsize=2)
        axes.axvline(own["auroc"].iloc[0], color=f"C{number}", linewidth=0.8, linestyle=":")
    axes.set_yticks(range(len(SHIFTS)), list(SHIFTS))
    axes.invert_yaxis()
    frames = rows["frames"].iloc[0]
    axes.set_xlabel(f"AUROC, 95 % interval over patients (n = {frames} frames)")
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study", help="finished, on frames")
    parser.add_argument("--out", type=Path, required=True, help="CSV file")
    parser.add_argument("--figure", type=Path, help="PNG file")
    options = parser.parse_args()
    study = RUNS / options.study
    trained = [path.parent.name for path in study.glob("05_train_fold/loss=bce,*/run.json")]
    recipes = sorted({name.split("recipe=")[1].split(",")[0] for name in trained})
    first = next(study.glob("05_train_fold/loss=bce,*/run.json"))
    given = json.loads(first.read_text())["parameters"]
    judging = cross_validation.ensembles(given["folds_count"], given["inner_folds"])
    labels = pd.read_csv(next(study.glob("01_annotation_agreement/*/labels.csv")), dtype=str)
    labels["frame"] = labels["frame"].astype(int)
    videos = folds.read(next(study.glob("02_video_folds/*/folds.csv")), given["folds_count"])
    _, judged = folds.judged(videos, labels, judging)
    data = dataset.read(study / "data")
    found = pd.concat([scores(study, recipe, judged, data) for recipe in recipes])
    rows = table(found)
    files.write(options.out, rows.to_csv(index=False))
    print(rows.to_string(index=False))
    if options.figure:
        draw(rows).savefig(options.figure, dpi=150, bbox_inches="tight")


if __name__ == "__main__":
    main()
