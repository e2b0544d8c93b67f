"""One clipping action: approach, open, enclose duct or artery, close, leave a clip, retreat."""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .instruments import ClipperModel
from .scene import Patient

FPS, STEP = 25, 5  # frames a second of the video; every STEP-th frame is annotated (5 FPS)


@dataclass(frozen=True)
class Action:
    """One clipping action: frames [start, stop), the frame when the jaws start to close."""

    start: int
    stop: int
    close: int
    leave: int  # from here on the clip stays on the vessel
    place: np.ndarray  # (3,) where on the vessel
    axis: np.ndarray  # (3,) direction of the applier there
    roll: float
    shifts: np.ndarray = field(repr=False)  # (frames, 3) of the jaws' middle from the place
    openings: np.ndarray = field(repr=False)  # (frames,)
    rolls: np.ndarray = field(repr=False)  # (frames,)
    presses: np.ndarray = field(repr=False)  # (frames, 3) how far the tissue gives way, mm


def drift(rng: np.random.Generator, frames: int, seconds: float, scale) -> np.ndarray:
    """Slow random motion (frames, 3) with standard deviation `scale`."""
    sigma = seconds * FPS
    margin = int(4 * sigma)
    noise = rng.normal(size=(frames + 2 * margin, 3))
    smooth = gaussian_filter1d(noise, sigma, axis=0)[margin : margin + frames]
    return smooth * np.sqrt(2 * np.sqrt(np.pi) * sigma) * np.asarray(scale)


def _glide(times: np.ndarray, keys: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values (k, d) at `keys`, joined by smooth steps, at `times` (n,)."""
    k = np.clip(np.searchsorted(keys, times, side="right") - 1, 0, len(keys) - 2)
    share = np.clip((times - keys[k]) / (keys[k + 1] - keys[k]), 0, 1)
    share = (share**2 * (3 - 2 * share))[:, None]
    return values[k] * (1 - share) + values[k + 1] * share


def _retreat(patient: Patient, place: np.ndarray, axis: np.ndarray, length: float) -> float:
    """How far (mm) back along its axis the applier must go until its tips leave the picture."""
    camera = patient.camera
    for back in np.arange(10.0, 90.0, 2.0):
        x, y, z = place - axis * (back - 0.4 * length)
        if z < 12:
            return back
        across, down = camera.focal * x / z, camera.focal * y / z
        round_edge = np.hypot(across + 0.5 - camera.field[0], down) > camera.field[2]
        if round_edge or abs(across) > 0.5 or abs(down) > 0.29:
            return back + 3.0
    return 90.0


def draw_action(
    patient: Patient, model: ClipperModel, rng: np.random.Generator, start: int, frames: int
) -> Action:
    """Draw one clipping action that lasts `frames` frames."""
    vessel = patient.duct if rng.random() < 0.7 else patient.artery
    index = int(rng.integers(14, 27))
    place = vessel[index]
    axis = place - patient.trocars["clipper"]
    axis = axis / np.linalg.norm(axis)
    away = -axis * _retreat(patient, place, axis, model.length)
    roll = patient.roll + rng.normal() * 0.25
    # It comes in above the tissue, where its tips are mostly seen, and then dives for the vessel.
    hover = -axis * rng.uniform(5, 17) + rng.normal(size=3) * (4, 4, 2) - (0, 0, rng.uniform(4, 12))
    second = -axis * rng.uniform(4, 12) + rng.normal(size=3) * (3, 3, 2) - (0, 0, rng.uniform(2, 8))
    if rng.random() < 0.28:  # well placed: the tips come out beyond the vessel
        bite = axis * rng.uniform(3, 8) + rng.normal(size=3) * 0.7
    else:
        bite = axis * rng.uniform(-6, 2) + rng.normal(size=3) * 0.7 + (0, 0, rng.uniform(0, 4))
    keys = np.array([0, 0.08, 0.18, 0.26, 0.32, 0.54, 0.61, 0.81, 0.84, 0.90, 1.0])
    keys[1:-1] += rng.normal(size=9) * 0.008
    back = bite - axis * rng.uniform(8, 16) + rng.normal(size=3) * 3 - (0, 0, rng.uniform(2, 9))
    places = np.stack([away, hover, second, second, bite, bite, bite, bite, bite, back, away])
    gape = rng.uniform(0.75, 1.0)
    opening = np.array([0.2, gape, gape, gape, gape, gape, 0.02, 0.02, 0.6, 0.6, 0.4])
    # In the open it is turned so that both jaws are seen side by side.
    shown = np.array([0.4, 0.4, 0.5, 0.6, 1, 1, 1, 1, 1, 0.7, 0.5])
    turn = roll * shown + (1 - shown) * rng.normal() * 0.3
    held = np.array([0, 0, 0, 0, 1, 1, 0.8, 0.8, 0.3, 0, 0])[:, None]
    press = held * (axis * rng.uniform(0, 4) + rng.normal(size=3) * (1.5, 1.5, 0.5))
    times = (np.arange(frames) + 0.5) / frames
    values = _glide(times, keys, np.column_stack([places, opening, turn, press]))
    shifts = values[:, :3] + drift(rng, frames, 0.25, 0.35)
    close, leave = (start + int(keys[k] * frames) for k in (5, 7))
    return Action(
        start, start + frames, close, leave, place, axis, roll,
        shifts, values[:, 3], values[:, 4], values[:, 5:],
    )  # fmt: skip
