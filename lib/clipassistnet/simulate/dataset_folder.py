"""Write a dataset folder of simulated videos, or of their annotated frames alone.

`clipassistnet simulate OUT --videos 24 --test-videos 6` writes MP4 files with every optional
table; with `--stills` it writes the annotated frames alone, as image files, with the same tables.
Patients, motion, rendering, truth and annotators have a module each. This one collects the tables.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd

from clipassistnet.data import dataset
from clipassistnet.simulate.annotators import annotate
from clipassistnet.simulate.clipping_action import FPS
from clipassistnet.simulate.spec import ANNOTATOR_STREAM, Spec, VideoSpec, stream, video_specs
from clipassistnet.simulate.video import render_video
from clipassistnet.workers import Outcome, run_all

_LICENCE = "Apache-2.0 (simulated)"


def simulate(folder: str | Path, spec: Spec) -> Path:
    """Write a dataset folder (see `dataset.read`); videos that are finished stay.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(folder)
    (folder / "videos").mkdir(parents=True, exist_ok=True)
    videos = video_specs(spec)
    longest_first = sorted(videos, key=lambda video: (-video.annotated_frames, video.video))
    run_all(partial(_render, folder / "videos"), longest_first, spec.processes, "video")
    _write(folder, spec, videos)
    return folder


def _render(folder: Path, video: VideoSpec) -> Outcome:
    record = render_video(video, folder)
    frames = len(record["frames"]) if video.stills else record["length"]
    return Outcome(video.video, f"{frames} frames")


def _write(folder: Path, spec: Spec, videos: list[VideoSpec]) -> None:
    """Collect the records of the finished videos in the dataset's tables."""
    parts = [_tables(video, render_video(video, folder / "videos")) for video in videos]
    tables = {
        name: pd.DataFrame([row for part in parts for row in part[name]]) for name in parts[0]
    }
    frames = tables.pop("frames")
    dataset.write(
        folder,
        annotations=annotate(frames, stream(spec.seed, ANNOTATOR_STREAM)),
        truth=frames[["video", "frame", "label", "cause"]],
        **tables,
    )


def _tables(video: VideoSpec, record: dict) -> dict[str, list[dict]]:
    """One video's rows of each table; `frames` holds what annotators need of a frame."""
    own = {"video": video.video}
    rows: dict[str, list[dict]] = {
        "videos": [_video_row(video, record)],
        "frames": [],
        "phases": [own | phase for phase in record["phases"]],
        "actions": [own | action for action in record["actions"]],
        "boxes": [],
        "tips": [],
    }
    for row in record["frames"]:
        key = own | {"frame": row["frame"]}
        columns = ("label", "cause", "near_cause", "ambiguity")
        rows["frames"].append(key | {"split": video.split} | {name: row[name] for name in columns})
        for jaw, tip in enumerate(row["tips"], 1):
            kept = {name: round(tip[name], 3) for name in ("x", "y", "visible_share")}
            rows["tips"].append(key | {"jaw": str(jaw)} | kept)
        for tool, *corners in row["boxes"]:
            box = dict(zip(("x0", "y0", "x1", "y1"), corners, strict=True))
            rows["boxes"].append(key | {"tool": tool} | box)
    return rows


def _video_row(video: VideoSpec, record: dict) -> dict:
    """A row of videos.csv."""
    return {
        "video": video.video,
        "path": f"videos/{video.path}",
        "patient": video.patient,
        "split": video.split,
        "fps": FPS,
        "frames": None if video.stills else record["length"],
        "clipper": video.clipper,
        "source": "simulated",
        "licence": _LICENCE,
    }
