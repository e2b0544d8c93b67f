"""Render one video with its truth; a finished video is never rendered again."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from clipassistnet import files
from clipassistnet.simulate.balanced_motion import draw_motion
from clipassistnet.simulate.clipping_action import FPS, STEP, ClippingAction
from clipassistnet.simulate.motion import Motion
from clipassistnet.simulate.renderer import Renderer
from clipassistnet.simulate.scene import Scene
from clipassistnet.simulate.spec import PATIENT_STREAM, VIDEO_STREAM, VideoSpec, stream
from clipassistnet.simulate.truth import Truth, measure
from clipassistnet.simulate.virtual_patient import draw_clipper_model, draw_patient


@lru_cache(maxsize=1)
def _code_digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _digest(spec: VideoSpec) -> str:
    """Hash of a video's settings and of the simulator's code."""
    text = json.dumps(asdict(spec), sort_keys=True) + _code_digest()
    return hashlib.sha256(text.encode()).hexdigest()


def _finished(spec: VideoSpec, folder: Path) -> dict | None:
    """The record of a video that these settings and this code have rendered, else None."""
    try:
        record = json.loads((folder / f"{spec.video}.json").read_text())
        same = record["digest"] == _digest(spec)
    except (OSError, ValueError, KeyError, TypeError):  # missing, or damaged: it is made again
        return None
    numbers = [row["frame"] for row in record["frames"]] if spec.stills else [0]
    complete = all((folder / spec.path.format(frame=number)).is_file() for number in numbers)
    return record if same and complete else None


def draw_course(spec: VideoSpec) -> tuple[Motion, np.random.Generator, np.random.SeedSequence]:
    """Draw what happens in a video, without a picture.

    Returns:
        The motion of everything, the generator to draw the surgeon's review from, and the seed of
        the sensor's noise.
    """
    motion_seed, sensor_seed = stream(spec.seed, VIDEO_STREAM, spec.number).spawn(2)
    rng = np.random.default_rng(motion_seed)
    patient = draw_patient(stream(spec.seed, PATIENT_STREAM, spec.patient_number), spec.width)
    model = draw_clipper_model(rng, polymer=spec.clipper == "polymer")
    aspect = spec.height / spec.width
    motion = draw_motion(patient, model, rng, spec.clipper_frames, spec.absent_frames, aspect)
    return motion, rng, sensor_seed


def render_video(spec: VideoSpec, folder: Path) -> dict:
    """Render a video, or its stills, into `folder` unless finished; return its record of truth.

    The record is also written, as `<video>.json`: digest, length, frames (label, cause,
    near_cause, ambiguity, tips and boxes of each annotated frame), actions and phases.

    Raises:
        OSError: the folder cannot be written.
    """
    record = _finished(spec, folder)
    if record is not None:
        return record
    cv2.setNumThreads(1)  # processes are the unit of parallel work
    motion, rng, sensor_seed = draw_course(spec)
    renderer = Renderer(motion.patient, spec.width, spec.height, sensor_seed)
    render = _render_stills if spec.stills else _render_film
    found = render(spec, folder, motion, renderer)
    record = {
        "digest": _digest(spec),
        "length": motion.frames,
        "frames": [_row(frame, truth) for frame, truth in found.items()],
        "actions": [_review(action, found, rng) for action in motion.actions],
        "phases": _phases(motion),
    }
    files.write(folder / f"{spec.video}.json", json.dumps(record))
    return record


def _render_film(
    spec: VideoSpec, folder: Path, motion: Motion, renderer: Renderer
) -> dict[int, Truth]:
    """Write the video (H.264, 25 FPS); return the truth of every annotated frame."""
    scene, found = Scene(motion), {}
    with (
        files.whole(folder / spec.path) as path,
        av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container,
    ):
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
        stream.options = {"preset": "superfast", "crf": "21", "threads": "1"}
        stream.codec_context.time_base = Fraction(1, FPS)
        for frame in range(motion.frames):
            moment = motion.at(frame, spec.width)
            picture = renderer.draw(scene.surface(moment), moment.view)
            if frame % STEP == 0:
                truth = measure(renderer, moment.view, moment.clipper)
                if truth is not None:
                    found[frame] = truth
            image = av.VideoFrame.from_ndarray(picture, format="rgb24")
            image.pts, image.time_base = frame, Fraction(1, FPS)
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return found


def _render_stills(
    spec: VideoSpec, folder: Path, motion: Motion, renderer: Renderer
) -> dict[int, Truth]:
    """Write the annotated frames alone, as JPEG files; return the truth of each."""
    scene, found = Scene(motion), {}
    part = folder / f".{spec.video}.part"
    shutil.rmtree(part, ignore_errors=True)  # of a run that was killed
    part.mkdir()
    for frame in range(0, motion.frames, STEP):
        moment = motion.at(frame, spec.width)
        picture = renderer.draw(scene.surface(moment), moment.view, settled=True)
        truth = measure(renderer, moment.view, moment.clipper)
        if truth is not None:
            found[frame] = truth
            path = part / Path(spec.path).name.format(frame=frame)
            _, body = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
            path.write_bytes(body.tobytes())
    files.replace_folder(folder / spec.video, part)
    return found


def _row(frame: int, truth: Truth) -> dict:
    return {"frame": frame, **asdict(truth), "near_cause": truth.near_cause}


def _review(action: ClippingAction, found: dict[int, Truth], rng: np.random.Generator) -> dict:
    """The surgeon's review: was the tip seen just before the jaws closed, was the clip safe.

    The probabilities are the paper's: 97.6 % of actions with the tip seen were safe; 67.7 % of all
    were safe, and in 37.7 % of those the tip was seen, so 57.1 % of the actions without it.
    """
    before = [frame for frame in found if action.start <= frame <= action.close]
    seen = bool(before) and found[max(before)].label == "visible"
    safe = bool(rng.random() < (0.976 if seen else 0.571))
    return {"frame": action.close, "tip_visible_before": seen, "safe": safe}


def _phases(motion: Motion) -> list[dict]:
    """Dissection between the actions, clipping and cutting during them; [start, end)."""
    phases, last = [], 0
    for action in motion.actions:
        if action.start > last:
            phases.append((last, action.start, "CalotTriangleDissection"))
        phases.append((action.start, action.stop, "ClippingCutting"))
        last = action.stop
    if last < motion.frames:
        phases.append((last, motion.frames, "GallbladderDissection"))
    return [dict(zip(("start", "end", "phase"), phase, strict=True)) for phase in phases]
