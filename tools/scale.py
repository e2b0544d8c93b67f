"""How time and memory grow up to a study of the paper's size, 300 videos and 122,000 frames.

The data are a stand-in: one tiny video under many names, with random labels and scores. Each step
runs in its own process, which reports its processor time and its peak memory beyond what its
imports took (on Linux). Training is not measured: it takes one batch at a time from the cache,
which is mapped into memory, not read.

    python tools/scale.py [--videos 10 100 300] [--out figures/statistics]
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from clipassistnet import files
from clipassistnet.data import annotation, dataset, folds, frame_cache, frame_extraction
from clipassistnet.evaluation import alarm_choice, discrimination, events, paper_tables, resampling
from clipassistnet.runs.provenance import hardware

FRAMES = 407  # annotated frames of a video: 122,000 of 300
STEP, FPS = 5, 25  # every fifth frame is annotated, as at 5 FPS
TEST = 0.1  # share of videos, with three annotators
SIZE = 32  # pixels of a cached frame: decoding, not resizing, is what takes the time
RESAMPLES = 2000
LOSSES = "bce", "class_weighted", "video_weighted", "forward_corrected"


def make(folder: Path, videos: int) -> None:
    """Write the dataset folder of a stand-in study."""
    import av

    length, clip = FRAMES * STEP, folder / "clip.mp4"
    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    with av.open(str(clip), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(length):
            frame = av.VideoFrame.from_ndarray(np.roll(picture, index, axis=1), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    names = [f"v{i:03d}" for i in range(videos)]
    for name in names:
        os.link(clip, folder / f"{name}.mp4")
    test = set(names[: max(1, int(videos * TEST))])
    table = pd.DataFrame({"video": names, "patient": names})
    table["path"] = table["video"] + ".mp4"
    table["split"] = np.where(table["video"].isin(test), "test", "train")
    table = table.assign(fps=FPS, frames=length, clipper="metal", source="simulated", licence="")
    rng = np.random.default_rng(0)
    rows = [
        pd.DataFrame({"video": v, "frame": np.arange(FRAMES) * STEP, "annotator": a})
        for v in names
        for a in ("ABC" if v in test else "A")
    ]
    rows = pd.concat(rows, ignore_index=True)
    rows["label"] = np.where(rng.random(len(rows)) < 0.64, "invisible", "visible")
    dataset.write(folder, videos=table, annotations=rows)


def scores(videos: int, **columns: object) -> pd.DataFrame:
    """Random predictions of every frame, a little better than chance."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"video": np.repeat([f"v{i:03d}" for i in range(videos)], FRAMES)})
    table["frame"] = np.tile(np.arange(FRAMES) * STEP, videos)
    # Invisibility comes in runs: eleven frames of one kind, on average.
    change = rng.random(len(table)) < 0.09
    table["target"] = np.cumsum(change) % 2
    table["score"] = 1 / (1 + np.exp(1 - 2 * table["target"] - rng.normal(size=len(table))))
    return table.assign(**columns)


def _read(folder: Path, videos: int) -> None:
    dataset.read(folder)


def _folds(folder: Path, videos: int) -> None:
    data = pd.read_csv(folder / "annotations.csv")
    labels = annotation.consensus(data)
    folds.make(labels, pd.read_csv(folder / "videos.csv"), 5, test_share=0, seed=0)


def _cache(folder: Path, videos: int) -> None:
    frame_extraction.extract(dataset.read(folder), folder / "cache", SIZE)


def _read_cache(folder: Path, videos: int) -> None:
    cache = frame_cache.FrameCache(folder / "cache")
    for video, frame in scores(videos)[["video", "frame"]].itertuples(index=False):
        cache.get(video, frame)


def _table2(folder: Path, videos: int) -> None:
    tables = [scores(videos, loss=loss) for loss in LOSSES]
    table = pd.concat(tables, ignore_index=True)
    table["fold"] = table["video"].str[1:].astype(int) % 5
    paper_tables.table2(table, resamples=RESAMPLES)
    paper_tables.compare(table, "loss", "bce", within="fold", resamples=RESAMPLES)


def _bootstrap(folder: Path, videos: int) -> None:
    table = scores(videos)
    for statistic in discrimination.METRICS.values():
        resampling.bootstrap(table, statistic, resamples=RESAMPLES)


def _alarm(folder: Path, videos: int) -> None:
    names = [f"v{i:03d}" for i in range(videos)]
    timed = events.timed(scores(videos), pd.Series(float(FPS), names))
    alarm_choice.choose(timed)


STEPS: dict[str, tuple[str, Callable[[Path, int], None]]] = {
    "read": ("read and validate the dataset folder", _read),
    "folds": ("consensus labels, folds and the leakage gate", _folds),
    "cache": ("decode every annotated frame into the cache", _cache),
    "read_cache": ("read every frame of the cache once", _read_cache),
    "bootstrap": ("AUROC and specificity, intervals of 2,000 resamples", _bootstrap),
    "table2": ("Table 2 of four losses and its comparisons", _table2),
    "alarm": ("choose an alarm among all settings", _alarm),
}


def measure(step: str, folder: Path, videos: int) -> dict[str, float]:
    """Seconds of processor time and MiB of peak memory beyond the imports, of this process."""
    importlib.import_module("clipassistnet.transforms")  # the cache imports it, and torch, late
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak, which imports have raised
    before, start = _memory("VmRSS"), time.process_time()
    STEPS[step][1](folder, videos)
    return {"cpu_s": time.process_time() - start, "peak_mib": max(_memory("VmHWM") - before, 0.0)}


def _memory(field: str) -> float:
    """MiB by Linux's account of this process: VmRSS, held now; VmHWM, held at most."""
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return next(int(row[1]) / 1024 for row in rows if row[0] == f"{field}:")


def main(arguments: list[str] | None = None) -> None:
    """Write scale.csv: processor time and memory of each step, on a SIMULATED stand-in."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, nargs="+", default=[10, 100, 300], help="how many")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--out", type=Path, default=Path("figures/statistics"), help="folder")
    parser.add_argument("--within", type=Path, help=argparse.SUPPRESS)  # of the child process
    given = parser.parse_args(arguments)
    if given.within:
        print(json.dumps(measure(given.steps[0], given.within, given.videos[0])))
        return
    rows = []
    for videos in given.videos:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), videos)
            for step in given.steps:
                found = _child(step, folder, videos)
                row = {"step": STEPS[step][0], "videos": videos, "frames": videos * FRAMES, **found}
                print(row, flush=True)
                rows.append(row)
    given.out.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows).sort_values(["step", "videos"], kind="stable")
    table = table.assign(hardware=hardware(), data="SIMULATED")
    rounded = table.round({"cpu_s": 2, "peak_mib": 0})
    files.write(given.out / "scale.csv", rounded.to_csv(index=False))


def _child(step: str, folder: str, videos: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--steps", step]
    command += ["--videos", str(videos), "--within", folder]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
