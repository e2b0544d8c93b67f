"""Simulated laparoscopic videos with the exact visibility of each jaw's tip.

`clipassistnet simulate OUT --videos 24 --test-videos 6` writes a dataset folder of real
MP4 files with every optional table. Scene, motion, rendering, truth and annotators have a module
each; this one plans the videos and collects their tables.
"""

import sys
from collections.abc import Iterator
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from clipassistnet.data import dataset
from clipassistnet.simulate.actions import FPS
from clipassistnet.simulate.annotators import annotate
from clipassistnet.simulate.video import Plan, produce
from clipassistnet.workers import pool

__all__ = ["Spec", "plans", "simulate"]

_LICENCE = "Apache-2.0 (simulated)"
_LEAST = 8  # annotated clipper frames a video has at least


@dataclass(frozen=True)
class Spec:
    """What to simulate.

    `videos` are for training, `test_videos` for the test set; `clipper_frames` and `absent_frames`
    are the means of annotated frames (5 FPS) a video; sizes are in pixels.
    """

    videos: int = 24
    test_videos: int = 6
    clipper_frames: float = 40.0
    absent_frames: float = 8.0
    width: int = 320
    height: int = 180
    seed: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        rules = (
            ("videos", self.videos >= 1, "at least 1"),
            ("test_videos", self.test_videos >= 1, "at least 1"),
            ("clipper_frames", self.clipper_frames >= _LEAST, f"at least {_LEAST}"),
            ("absent_frames", self.absent_frames >= 2, "at least 2"),
            ("width", self.width >= 96 and self.width % 2 == 0, "even, at least 96"),
            ("height", self.height >= 64 and self.height % 2 == 0, "even, at least 64"),
            ("seed", self.seed >= 0, "at least 0"),
            ("processes", self.processes >= 1, "at least 1"),
        )
        wrong = [
            f"{name} is {getattr(self, name)} (expected {expected})"
            for name, holds, expected in rules
            if not holds
        ]
        if wrong:
            raise ValueError("simulation: " + "; ".join(wrong))


def _counts(rng: np.random.Generator, videos: int, mean: float, least: int) -> np.ndarray:
    """Annotated frames a video, skewed as the paper's (271 +- 252, 62 to 1693), of this mean."""
    sigma = np.sqrt(np.log(1 + (252 / 271) ** 2))
    draws = np.clip(rng.lognormal(-(sigma**2) / 2, sigma, videos), 62 / 271, 1693 / 271)
    return np.maximum(least, np.round(draws / draws.mean() * mean)).astype(int)


def _patients(videos: int) -> np.ndarray:
    """Patient of each video: mostly one video each, every seventh patient has two."""
    starts = np.arange(videos) % 8 != 1
    return np.cumsum(starts) - 1


def plans(spec: Spec) -> list[Plan]:
    """The plan of every video, training videos first; depends on nothing but the spec."""
    rng = np.random.default_rng(np.random.SeedSequence([spec.seed, 0]))
    result, number, person = [], 0, 0
    for split, videos in (("train", spec.videos), ("test", spec.test_videos)):
        clipper = _counts(rng, videos, spec.clipper_frames, _LEAST)
        absent = _counts(rng, videos, spec.absent_frames, 2)
        patients = person + _patients(videos)
        for k in range(videos):
            number += 1
            result.append(
                Plan(
                    f"sim{number:03d}", f"P{patients[k] + 1:03d}", split,
                    "metal" if rng.random() < 0.65 else "polymer",
                    int(clipper[k]), int(absent[k]), spec.width, spec.height, spec.seed,
                    number, int(patients[k]),
                )
            )  # fmt: skip
        person = int(patients[-1]) + 1
    return result


def _records(spec: Spec, todo: list[Plan], folder: Path) -> Iterator[tuple[Plan, dict]]:
    """Produce the videos, longest first, as they are done."""
    todo = sorted(todo, key=lambda plan: (-plan.clipper_frames - plan.absent_frames, plan.video))
    if spec.processes == 1:
        for plan in todo:
            yield plan, produce(plan, folder)
        return
    with pool(spec.processes) as workers:
        futures = {workers.submit(produce, plan, folder): plan for plan in todo}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            workers.shutdown(cancel_futures=True)


def simulate(folder: str | Path, spec: Spec) -> Path:
    """Write a dataset folder (see `dataset.read`); videos that are finished stay.

    Raises:
        OSError: where the folder cannot be written.
    """
    folder = Path(folder)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    todo = plans(spec)
    person = sys.stderr.isatty()
    records = {}
    frames = sum(plan.clipper_frames + plan.absent_frames for plan in todo)
    with tqdm(total=frames, desc="simulate", unit="frame", disable=not person) as bar:
        for plan, record in _records(spec, todo, folder / "videos"):
            records[plan.video] = record
            bar.update(plan.clipper_frames + plan.absent_frames)
            if not person:
                count = f"{len(records)}/{len(todo)}"
                print(f"simulate {count}: {plan.video}, {record['length']} frames", flush=True)
    _write(folder, spec, todo, records)
    return folder


def _write(folder: Path, spec: Spec, todo: list[Plan], records: dict[str, dict]) -> None:
    """Collect the videos' records in the dataset's tables."""
    rows: dict[str, list[dict]] = {name: [] for name in ("phases", "actions", "boxes", "tips")}
    videos, frames = [], []
    for plan in todo:
        record, video = records[plan.video], {"video": plan.video}
        videos.append(
            video
            | {"path": f"videos/{plan.video}.mp4", "patient": plan.patient, "split": plan.split}
            | {"fps": FPS, "frames": record["length"], "clipper": plan.clipper}
            | {"source": "simulated", "licence": _LICENCE}
        )
        rows["phases"] += [video | phase for phase in record["phases"]]
        rows["actions"] += [video | action for action in record["actions"]]
        for row in record["frames"]:
            place = video | {"frame": row["frame"]}
            names = ("label", "cause", "near_cause", "ambiguity")
            frames.append(place | {"split": plan.split} | {name: row[name] for name in names})
            for jaw, tip in enumerate(row["tips"], 1):
                kept = {name: round(tip[name], 3) for name in ("x", "y", "visible_share")}
                rows["tips"].append(place | {"jaw": str(jaw)} | kept)
            for tool, *corners in row["boxes"]:
                box = dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True))
                rows["boxes"].append(place | {"tool": tool} | box)
    frames = pd.DataFrame(frames)
    dataset.write(
        folder,
        videos=pd.DataFrame(videos),
        annotations=annotate(frames, np.random.SeedSequence([spec.seed, 3])),
        truth=frames[["video", "frame", "label", "cause"]],
        **{name: pd.DataFrame(table) for name, table in rows.items()},
    )
