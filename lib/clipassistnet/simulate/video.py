"""Renders one video with its truth; a finished video is never rendered again."""

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from clipassistnet.simulate.actions import FPS, STEP, Action
from clipassistnet.simulate.motion import Timeline
from clipassistnet.simulate.render import Renderer
from clipassistnet.simulate.scene import clipper_model, patient
from clipassistnet.simulate.stage import Stage
from clipassistnet.simulate.truth import Truth, measure


@dataclass(frozen=True)
class Plan:
    """What one video is to be; together with the code it determines every byte of it."""

    video: str
    patient: str
    split: str  # train | test
    clipper: str  # metal | polymer
    clipper_frames: int
    absent_frames: int
    width: int
    height: int
    seed: int
    number: int  # of the video, for its own random stream
    patient_number: int

    def digest(self) -> str:
        """Hash of the plan and of the simulator's code."""
        text = json.dumps(asdict(self), sort_keys=True) + _code()
        return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1)
def _code() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def finished(plan: Plan, folder: Path) -> dict | None:
    """The record of a video that was rendered whole by this plan and code, else None."""
    try:
        record = json.loads((folder / f"{plan.video}.json").read_text())
    except (OSError, ValueError):
        return None
    whole = (folder / f"{plan.video}.mp4").is_file() and record["digest"] == plan.digest()
    return record if whole else None


def produce(plan: Plan, folder: Path) -> dict:
    """Render a video into `folder` unless that is done; return its record of truth.

    The record (also `<video>.json`): digest, length, frames (label, cause, near_cause, ambiguity,
    tips, boxes of each annotated frame), actions and phases.
    """
    record = finished(plan, folder)
    if record is not None:
        return record
    cv2.setNumThreads(1)  # processes are the unit of parallel work
    root = np.random.SeedSequence([plan.seed, 2, plan.number])
    course, sensor = root.spawn(2)
    rng = np.random.default_rng(course)
    polymer = plan.clipper == "polymer"
    person = patient(np.random.SeedSequence([plan.seed, 1, plan.patient_number]), plan.width)
    model = clipper_model(rng, polymer=polymer)
    timeline = Timeline(person, model, rng, plan.clipper_frames, plan.absent_frames)
    renderer = Renderer(person, plan.width, plan.height, sensor)
    temporary = folder / f".{plan.video}.part.mp4"
    found = _film(timeline, renderer, temporary)
    record = {
        "digest": plan.digest(),
        "length": timeline.frames,
        "frames": [_row(frame, truth) for frame, truth in found.items()],
        "actions": [_review(action, found, rng) for action in timeline.actions],
        "phases": _phases(timeline),
    }
    os.replace(temporary, folder / f"{plan.video}.mp4")
    half = folder / f".{plan.video}.part.json"
    half.write_text(json.dumps(record))
    os.replace(half, folder / f"{plan.video}.json")
    return record


def _film(timeline: Timeline, renderer: Renderer, path: Path) -> dict[int, Truth]:
    """Write the video (H.264, 25 FPS); truth of every annotated frame."""
    stage, found = Stage(timeline), {}
    with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = renderer.width, renderer.height, "yuv420p"
        stream.options = {"preset": "superfast", "crf": "21", "threads": "1"}
        stream.codec_context.time_base = Fraction(1, FPS)
        for frame in range(timeline.frames):
            moment = timeline.at(frame, renderer.width)
            picture = renderer.draw(stage.surface(moment), moment.view)
            if frame % STEP == 0:
                clipper = next((t for t in moment.tools if t.kind == "clipper"), None)
                truth = measure(renderer, moment.view, clipper)
                if truth is not None:
                    found[frame] = truth
            image = av.VideoFrame.from_ndarray(picture, format="rgb24")
            image.pts, image.time_base = frame, Fraction(1, FPS)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return found


def _row(frame: int, truth: Truth) -> dict:
    return {"frame": frame, **asdict(truth), "near_cause": truth.near_cause}


def _review(action: Action, found: dict[int, Truth], rng: np.random.Generator) -> dict:
    """The surgeon's review: was the tip seen just before the jaws closed, was the clip safe.

    The odds are the paper's: 97.6 % of actions with the tip seen were safe; 67.7 % of all, of
    which the tip was seen in 37.7 %, so 57.1 % of those without.
    """
    before = [frame for frame in found if action.start <= frame <= action.close]
    seen = bool(before) and found[max(before)].label == "visible"
    safe = bool(rng.random() < (0.976 if seen else 0.571))
    return {"frame": action.close, "tip_visible_before": seen, "safe": safe}


def _phases(timeline: Timeline) -> list[dict]:
    """Dissection between the actions, clipping and cutting during them; [start, end)."""
    phases, last = [], 0
    for action in timeline.actions:
        if action.start > last:
            phases.append((last, action.start, "CalotTriangleDissection"))
        phases.append((action.start, action.stop, "ClippingCutting"))
        last = action.stop
    if last < timeline.frames:
        phases.append((last, timeline.frames, "GallbladderDissection"))
    return [dict(zip(("start", "end", "phase"), phase, strict=True)) for phase in phases]
