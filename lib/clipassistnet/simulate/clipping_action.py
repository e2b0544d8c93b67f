"""One clipping action: approach, open, enclose duct or artery, close, leave a clip, retreat."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from clipassistnet.simulate.instruments import TIP_LENGTH, ClipperModel
from clipassistnet.simulate.virtual_patient import Patient, opening_direction

FPS, STEP = 25, 5  # frames a second of the video; every STEP-th frame is annotated (5 FPS)
CAREFUL = 0.38  # share of actions in which the surgeon looks for a place where both tips are seen


@dataclass(frozen=True)
class ClippingAction:
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


def drift(
    rng: np.random.Generator, frames: int, seconds: float, scale: float | tuple[float, ...]
) -> np.ndarray:
    """Slow random motion (frames, 3); `scale` is its standard deviation (of each axis)."""
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
            return back + 1.0
    return 90.0


def _keys(rng: np.random.Generator, frames: int, ways: tuple[bool, bool]) -> np.ndarray:
    """When (share of the action) each leg of it begins and the last one ends.

    A surgeon does not hurry through the abdomen, so the way in and the way out (where `ways` has
    them) take most of a second each, as far as the action is long enough.
    """
    travel = np.minimum(rng.uniform(0.65, 0.95, 2) * FPS / frames, 0.18) * ways
    inside = np.array([0.03, 0.05, 0.05, 0.53, 0.05, 0.12, 0.03, 0.05])
    inside *= np.exp(rng.normal(size=len(inside)) * 0.15)
    inside *= (1 - travel.sum()) / inside.sum()
    return np.concatenate([[0], np.cumsum([travel[0], *inside]), [1]])


def _grasp(
    patient: Patient, rng: np.random.Generator, *, careful: bool
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
    """Place on a vessel, axis there, roll, and shift (3,) of the jaws' middle from the place."""
    vessel = patient.duct if rng.random() < 0.7 else patient.artery
    place = vessel[int(rng.integers(14, 27))]
    axis = place - patient.trocars["clipper"]
    axis = axis / np.linalg.norm(axis)
    roll = patient.roll + rng.normal() * 0.25
    bite = rng.normal(size=3) * 0.7
    if careful:  # the tips come out beyond the vessel
        return place, axis, roll, bite + axis * rng.uniform(3, 8) - (0, 0, rng.uniform(0, 2))
    return place, axis, roll, bite + axis * rng.uniform(-6, 1) + (0, 0, rng.uniform(1, 5))


def _covered(patient: Patient, model: ClipperModel, place, axis, roll: float, bite) -> int:
    """How many triangles of tissue cover the open jaws' tips, as the scope sees them."""
    corners = patient.tissue.vertices[patient.tissue.triangles[:, :3]]
    corners = corners[np.hypot(*(corners.mean(1) - place)[:, :2].T) < 40]
    flat, depth = corners[..., :2] / corners[..., 2:], corners[..., 2].mean(1)
    sides = np.roll(flat, -1, 1) - flat
    gape, reach = opening_direction(axis, roll) * model.gap, 0.32 * model.length
    # Where the jaws open in depth, the near one hides the far one.
    count = 6 * (2 * np.hypot(*gape[:2]) < 2 * model.width)
    for sign in (-1, 1):
        for back in (0, 0.5, 1):
            tip = place + bite + sign * gape + axis * (reach - back * TIP_LENGTH)
            to = tip[:2] / tip[2] - flat
            turns = sides[..., 0] * to[..., 1] - sides[..., 1] * to[..., 0]
            within = (turns > 0).all(1) | (turns < 0).all(1)
            count += np.count_nonzero(within & (depth < tip[2]))
    return count


def draw_action(
    patient: Patient,
    model: ClipperModel,
    rng: np.random.Generator,
    start: int,
    frames: int,
    ways: tuple[bool, bool] = (True, True),
) -> ClippingAction:
    """Draw one clipping action of `frames` frames from the frame `start` on.

    `ways` says whether its way in and its way out are seen. An action without its way in is under
    way when the video starts; one without its way out is still under way when the video ends.
    """
    drawn = [_grasp(patient, rng, careful=False)]
    if rng.random() < CAREFUL:
        drawn = [_grasp(patient, rng, careful=True) for _ in range(8)]
    place, axis, roll, bite = min(drawn, key=lambda grasp: _covered(patient, model, *grasp))
    away = -axis * _retreat(patient, place, axis, model.length)
    # It comes in above the tissue, where its tips are mostly seen, and then goes to the vessel.
    hover = -axis * rng.uniform(5, 17) + rng.normal(size=3) * (4, 4, 2) - (0, 0, rng.uniform(2, 10))
    second = (
        -axis * rng.uniform(4, 12) + rng.normal(size=3) * (3, 3, 2) - (0, 0, rng.uniform(-2, 5))
    )
    back = bite - axis * rng.uniform(8, 16) + rng.normal(size=3) * 3 - (0, 0, rng.uniform(0, 6))
    places = np.stack([away, hover, second, second, bite, bite, bite, bite, bite, back, away])
    gape = rng.uniform(0.75, 1.0)
    opening = np.array([0.2, gape, gape, gape, gape, gape, 0.02, 0.02, 0.6, 0.6, 0.4])
    # In the open it is turned so that both jaws are seen side by side.
    shown = np.array([0.4, 0.4, 0.5, 0.6, 1, 1, 1, 1, 1, 0.7, 0.5])
    turn = roll * shown + (1 - shown) * rng.normal() * 0.3
    held = np.array([0, 0, 0, 0, 1, 1, 0.8, 0.8, 0.3, 0, 0])[:, None]
    press = held * (axis * rng.uniform(0, 4) + rng.normal(size=3) * (1.5, 1.5, 0.5))
    keys = _keys(rng, frames, ways)
    times = (np.arange(frames) + 0.5) / frames
    values = _glide(times, keys, np.column_stack([places, opening, turn, press]))
    shifts = values[:, :3] + drift(rng, frames, 0.25, 0.35)
    close, leave = (start + int(keys[k] * frames) for k in (5, 7))
    return ClippingAction(
        start=start,
        stop=start + frames,
        close=close,
        leave=leave,
        place=place,
        axis=axis,
        roll=roll,
        shifts=shifts,
        openings=values[:, 3],
        rolls=values[:, 4],
        presses=values[:, 5:],
    )
