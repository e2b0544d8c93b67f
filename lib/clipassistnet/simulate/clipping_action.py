"""One clipping action: approach, open, enclose duct or artery, close, leave a clip, retreat.

Before they close, the surgeon moves the jaws on and back: they rest in several poses. At the vessel
both tips are seen beyond it in some poses, and hidden by tissue in others. In between the surgeon
withdraws the jaws and turns them, and the tips are seen in front of the vessel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from clipassistnet.simulate.instruments import ClipperModel
from clipassistnet.simulate.virtual_patient import Patient

FPS, STEP = 25, 5  # frames a second of the video; every STEP-th frame is annotated (5 FPS)
_MOVE = 0.35  # s that the jaws move from one stay to the next
# Shares of an action's time, without its ways in and out: to the vessel (from above it to the open
# in front of it, a rest there, on to the vessel), and from the vessel (closing, closed, the clip is
# left, back). The stays at the vessel take the rest.
_BEFORE, _HELD, _AFTER = (0.03, 0.05, 0.05), 0.53, (0.05, 0.12, 0.03, 0.05)


@dataclass(frozen=True)
class Stay:
    """A pose in which the open jaws rest, at the vessel or in front of it."""

    shift: np.ndarray  # (3,) of the jaws' middle from the place on the vessel, mm
    roll: float  # rad
    pressing: float = 1.0  # 1: on the tissue, which gives way; 0: in the open


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


class ActionDraft:
    """A clipping action but for its stays at the vessel: where they are and how long they last.

    Args:
        patient: whose vessel is clipped.
        model: of the clip applier.
        rng: source of every random choice.
        start: first frame of the action.
        frames: how many frames it lasts.
        ways: whether its way in and its way out are seen. An action without its way in is under
            way when the video starts; one without its way out still is when the video ends.
    """

    def __init__(
        self,
        patient: Patient,
        model: ClipperModel,
        rng: np.random.Generator,
        start: int,
        frames: int,
        ways: tuple[bool, bool] = (True, True),
    ):
        self.start, self.frames = start, frames
        vessel = patient.duct if rng.random() < 0.7 else patient.artery
        self.place = vessel[int(rng.integers(14, 27))]
        axis = self.place - patient.trocars["clipper"]
        self.axis = axis = axis / np.linalg.norm(axis)
        self.roll = patient.roll + rng.normal() * 0.25
        away = -axis * _retreat(patient, self.place, axis, model.length)
        # It comes in above the tissue, where its tips are mostly seen, and goes to the vessel.
        above = -axis * rng.uniform(5, 17) + rng.normal(size=3) * (4, 4, 2)
        above[2] -= rng.uniform(2, 10)
        front = -axis * rng.uniform(4, 12) + rng.normal(size=3) * (3, 3, 2)
        front[2] -= rng.uniform(-2, 5)
        back = -axis * rng.uniform(8, 16) + rng.normal(size=3) * 3
        back[2] -= rng.uniform(0, 6)
        self.away, self.above, self.front, self.back = away, above, front, back
        self.gape = rng.uniform(0.75, 1.0)
        self.turn = rng.normal() * 0.3  # roll in the open, where both jaws are seen side by side
        self.press = axis * rng.uniform(0, 4) + rng.normal(size=3) * (1.5, 1.5, 0.5)
        self.drift = drift(rng, frames, 0.25, 0.35)
        # A surgeon does not hurry through the abdomen: each way takes most of a second, as far as
        # the action is long enough.
        self.ways = np.minimum(rng.uniform(0.65, 0.95, 2) * FPS / frames, 0.18) * ways
        inside = np.array([*_BEFORE, _HELD, *_AFTER])
        inside *= np.exp(rng.normal(size=len(inside)) * 0.15)
        inside *= (1 - self.ways.sum()) / inside.sum()
        self.before, self.held, self.after = inside[:3], float(inside[3]), inside[4:]

    def draw_stay(self, rng: np.random.Generator, *, beyond: bool, ease: float = 0.0) -> Stay:
        """Draw a pose at the vessel.

        Args:
            rng: source of the random choices.
            beyond: the tips come out beyond the vessel.
            ease: how much the surgeon lifts the applier (1: 6 to 12 mm) and turns it (1: by 60 %,
                at most) to see its tips beyond the vessel.
        """
        roll, shift = self.roll + rng.normal() * 0.15, rng.normal(size=3) * 0.7
        if not beyond:
            return Stay(shift + self.axis * rng.uniform(-6, 1) + (0, 0, rng.uniform(1, 5)), roll)
        shift = shift + self.axis * rng.uniform(3, 8 + 6 * ease)
        shift[2] -= rng.uniform(6 * ease, 2 + 10 * ease)
        return Stay(shift, roll * (1 - 0.6 * min(1.0, ease)))

    def draw_withdrawn(self, rng: np.random.Generator) -> Stay:
        """Draw a pose in the open in front of the vessel, the jaws turned to be seen."""
        shift = -self.axis * rng.uniform(4, 11) + rng.normal(size=3) * (2, 2, 1.5)
        shift[2] -= rng.uniform(1, 7)
        return Stay(shift, 0.25 * self.roll + 0.75 * self.turn + rng.normal() * 0.1, 0.0)

    def action(self, stays: Sequence[Stay], lengths: Sequence[float]) -> ClippingAction:
        """The action with these stays; `lengths` (of each stay) are relative to each other."""
        count = len(stays)
        moves = min(_MOVE * FPS / self.frames, 0.35 * self.held / count)
        held = np.full(2 * count - 1, moves)  # a stay, a move, a stay, ...
        held[::2] = np.asarray(lengths) / np.sum(lengths) * (self.held - moves * (count - 1))
        legs = [self.ways[0], *self.before, *held, *self.after, self.ways[1]]
        keys = np.concatenate([[0], np.cumsum(legs)])
        times = (np.arange(self.frames) + 0.5) / self.frames
        values = _glide(times, keys, self._values(stays))
        close, leave = (self.start + int(keys[k] * self.frames) for k in (-6, -4))
        return ClippingAction(
            start=self.start,
            stop=self.start + self.frames,
            close=close,
            leave=leave,
            place=self.place,
            axis=self.axis,
            roll=stays[-1].roll,
            shifts=values[:, :3] + self.drift,
            openings=values[:, 3],
            rolls=values[:, 4],
            presses=values[:, 5:],
        )

    def _values(self, stays: Sequence[Stay]) -> np.ndarray:
        """Shift, opening, roll and press at the start of each leg and at the end, (k, 8)."""
        last = stays[-1].shift
        held = [shift for stay in stays for shift in (stay.shift, stay.shift)]
        rests = len(held)
        shifts = [self.away, self.above, self.front, self.front, *held]
        shifts += [last, last, last, last + self.back, self.away]
        gape = self.gape
        opening = [0.2, gape, gape, gape, *[gape] * rests, 0.02, 0.02, 0.6, 0.6, 0.4]
        shown = np.array([0.4, 0.4, 0.5, 0.6, *[1] * rests, 1, 1, 1, 0.7, 0.5])
        rolls = [self.roll] * 4 + [stay.roll for stay in stays for _ in range(2)]
        rolls = np.array([*rolls, *[stays[-1].roll] * 5]) * shown + (1 - shown) * self.turn
        pressing = [stay.pressing for stay in stays for _ in range(2)]
        pressed = np.array([0, 0, 0, 0, *pressing, 0.8, 0.8, 0.3, 0, 0])
        return np.column_stack([shifts, opening, rolls, pressed[:, None] * self.press])
