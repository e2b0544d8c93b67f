"""Who is where in every frame of a video: the scope, the tissue, the applier, the other tools.

A video alternates stretches of work without a clip applier and clipping actions: approach, open,
enclose the duct or artery, close, leave a clip, retreat.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.ndimage import gaussian_filter1d

from .instruments import ClipperModel, pose
from .render import View
from .scene import Patient, opening_direction

FPS, STEP = 25, 5  # frames a second of the video; every STEP-th frame is annotated (5 FPS)


@dataclass(frozen=True)
class Tool:
    """Pose of one tool: rotation (3, 3), origin (3,) in mm, how far its jaws are open (0 to 1)."""

    kind: str  # clipper | grasper | hook
    rotation: np.ndarray
    origin: np.ndarray
    opening: float = 0.0
    loaded: bool = False


@dataclass(frozen=True)
class Moment:
    """The state of the scene in one frame."""

    view: View
    tissue: np.ndarray  # (3,) shift of all tissue, mm
    tools: tuple[Tool, ...]
    clips: int  # how many actions have left their clip


@dataclass(frozen=True)
class Action:
    """One clipping action: frames [start, stop), the frame when the jaws start to close."""

    start: int
    stop: int
    close: int
    leave: int  # from here on the clip stays on the vessel
    place: np.ndarray  # (3,) where on the vessel
    along: np.ndarray  # (3,) direction of the vessel there
    axis: np.ndarray  # (3,) direction of the applier there
    roll: float
    shifts: np.ndarray = field(repr=False)  # (frames, 3) of the jaws' middle from the place
    openings: np.ndarray = field(repr=False)  # (frames,)
    rolls: np.ndarray = field(repr=False)  # (frames,)


def _drift(rng: np.random.Generator, frames: int, seconds: float, scale) -> np.ndarray:
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


def _action(
    patient: Patient, model: ClipperModel, rng: np.random.Generator, start: int, frames: int
) -> Action:
    """Draw one clipping action that lasts `frames` frames."""
    vessel = patient.duct if rng.random() < 0.7 else patient.artery
    index = int(rng.integers(14, 27))
    place = vessel[index]
    axis = place - patient.trocars["clipper"]
    axis = axis / np.linalg.norm(axis)
    away = -axis * _retreat(patient, place, axis, model.length)
    roll = patient.roll + rng.normal() * 0.3
    hover = -axis * rng.uniform(5, 17) + rng.normal(size=3) * (4, 4, 3)
    second = -axis * rng.uniform(4, 12) + rng.normal(size=3) * (4, 4, 3)
    bite = axis * rng.uniform(-3.0, 4.0) + rng.normal(size=3) * 0.7
    keys = np.array([0, 0.13, 0.26, 0.38, 0.44, 0.56, 0.63, 0.76, 0.80, 0.84, 1.0])
    keys[1:-1] += rng.normal(size=9) * 0.008
    back = bite - axis * rng.uniform(8, 16) + rng.normal(size=3) * 3
    places = np.stack([away, hover, second, second, bite, bite, bite, bite, bite, back, away])
    gape = rng.uniform(0.75, 1.0)
    opening = np.array([0.2, gape, gape, gape, gape, gape, 0.02, 0.02, 0.6, 0.6, 0.4])
    turn = roll + np.array([1, 1, 0.7, 0.7, 0, 0, 0, 0, 0, 0.3, 0.3]) * rng.normal() * 0.4
    times = (np.arange(frames) + 0.5) / frames
    values = _glide(times, keys, np.column_stack([places, opening, turn]))
    shifts = values[:, :3] + _drift(rng, frames, 0.25, 0.35)
    close, leave = (start + int(keys[k] * frames) for k in (5, 7))
    along = vessel[index + 1] - vessel[index - 1]
    along = along / np.linalg.norm(along)
    return Action(
        start, start + frames, close, leave, place, along, axis, roll,
        shifts, values[:, 3], values[:, 4],
    )  # fmt: skip


def _split(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Share `total` annotated frames among parts, unevenly, each with at least one."""
    shares = rng.uniform(0.6, 1.4, parts)
    edges = np.round(np.cumsum(shares) / shares.sum() * (total - parts)).astype(int)
    return np.diff(edges, prepend=0) + 1


class Timeline:
    """A video's course. `clipper_frames` and `absent_frames` count annotated frames (5 FPS)."""

    def __init__(
        self,
        patient: Patient,
        model: ClipperModel,
        rng: np.random.Generator,
        clipper_frames: int,
        absent_frames: int,
    ):
        self.patient, self.model = patient, model
        count = max(1, round(clipper_frames / rng.uniform(22, 32)))
        count = min(count, clipper_frames, max(1, absent_frames - 1))
        lengths = _split(clipper_frames, count, rng) * STEP
        pauses = _split(max(absent_frames, count + 1), count + 1, rng) * STEP
        starts = np.cumsum(pauses[:-1]) + np.concatenate([[0], np.cumsum(lengths[:-1])])
        self.frames = int(lengths.sum() + pauses.sum())
        self.actions = [
            _action(patient, model, rng, int(start), int(length))
            for start, length in zip(starts, lengths, strict=True)
        ]
        self._tissue(rng)
        self._scope(rng)
        self._helpers(rng)

    def _tissue(self, rng: np.random.Generator) -> None:
        breath = np.sin(2 * np.pi * (np.arange(self.frames) / FPS * 0.22 + rng.random()))
        self.tissue = breath[:, None] * rng.normal(size=3) * (0.3, 0.8, 0.5)
        self.tissue = self.tissue + _drift(rng, self.frames, 2.0, 0.5)

    def _scope(self, rng: np.random.Generator) -> None:
        frames = self.frames
        self.position = _drift(rng, frames, 3.0, (3.0, 2.5, 4.0)) + _drift(rng, frames, 0.5, 0.3)
        self.angles = _drift(rng, frames, 3.0, (0.03, 0.03, 0.06))
        self.angles = self.angles + _drift(rng, frames, 0.4, 0.003)
        for _ in range(rng.poisson(frames / 500)):  # now and then the assistant moves the scope
            at, step = rng.integers(frames), rng.normal(size=3) * (0.06, 0.05, 0.02)
            self.angles += step * np.exp(-(((np.arange(frames) - at) / 6.0) ** 2))[:, None]
        self.smoke = np.zeros(frames)
        for _ in range(rng.poisson(frames / 900)):
            at, peak, spread = rng.integers(frames), rng.uniform(0.2, 0.75), rng.uniform(20, 70)
            puff = peak * np.exp(-(((np.arange(frames) - at) / spread) ** 2))
            self.smoke = np.maximum(self.smoke, puff)

    def _helpers(self, rng: np.random.Generator) -> None:
        """The grasper that holds the gallbladder, and the tool that works between the actions."""
        self.holds = rng.random() < 0.85
        self.grip = self.patient.neck + rng.normal(size=3) * (3, 3, 1)
        self.grip = self.grip + _drift(rng, self.frames, 1.5, (1.5, 1.5, 1.0))
        self.worker = rng.choice(["hook", "grasper"], p=[0.7, 0.3])
        middle = self.patient.duct[20]
        trocar = self.patient.trocars["hook"]
        axis = (middle - trocar) / np.linalg.norm(middle - trocar)
        self.work = middle + _drift(rng, self.frames, 0.5, (7, 7, 3)) - axis * 6
        inside = np.ones(self.frames)
        for action in self.actions:
            inside[max(0, action.start - 4) : action.stop + 4] = 0
        self.working = gaussian_filter1d(inside, 4.0)
        self.work = self.work - axis * 75 * (1 - self.working[:, None])

    def action_at(self, frame: int) -> Action | None:
        """The clipping action under way in a frame."""
        return next((a for a in self.actions if a.start <= frame < a.stop), None)

    def clipper_at(self, frame: int) -> Tool | None:
        """The clip applier in a frame."""
        action = self.action_at(frame)
        if action is None:
            return None
        k = frame - action.start
        middle = action.place + self.tissue[frame] + action.shifts[k]
        axis = middle - self.patient.trocars["clipper"]
        axis = axis / np.linalg.norm(axis)
        rotation = pose(axis, opening_direction(axis, action.rolls[k]))
        opening = round(float(action.openings[k]) * 40) / 40  # few meshes, kept for reuse
        origin = middle - axis * 0.68 * self.model.length
        return Tool("clipper", rotation, origin, opening, frame < action.leave)

    def view(self, frame: int) -> View:
        """The scope in a frame, without motion blur."""
        a, b, c = self.angles[frame] + (0, 0, self.patient.camera.roll)
        turn = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
        pan = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        # The scope turns about the middle of the scene's front, so that it keeps it in view.
        return View(turn @ pan @ tilt, self.position[frame], float(self.smoke[frame]))

    def at(self, frame: int, width: int) -> Moment:
        """State of the scene in a frame; `width` (pixels) scales the motion blur."""
        view = self.view(frame)
        clipper = self.clipper_at(frame)
        before = max(0, frame - 1)
        middle = self.patient.duct[20]
        view.camera_speed = self._speed(middle, middle, view, self.view(before), width)
        tools = []
        if clipper is not None:
            tools.append(clipper)
            earlier = self.clipper_at(before)
            if earlier is not None:
                reach = 0.8 * self.model.length
                now = clipper.origin + clipper.rotation[:, 2] * reach
                then = earlier.origin + earlier.rotation[:, 2] * reach
                view.tool_speed = self._speed(now, then, view, view, width)
        tissue = self.tissue[frame]
        if self.holds:
            tools.append(self._aimed("grasper", "grasper", self.grip[frame] + tissue, 12.0, 0.12))
        if self.working[frame] > 0.02:
            opening = 0.4 + 0.3 * np.sin(frame / 9)
            tools.append(self._aimed(self.worker, "hook", self.work[frame], 12.0, opening))
        clips = sum(frame >= action.leave for action in self.actions)
        return Moment(view, tissue, tuple(tools), clips)

    def _aimed(self, kind: str, trocar: str, tip: np.ndarray, reach: float, opening: float) -> Tool:
        axis = tip - self.patient.trocars[trocar]
        axis = axis / np.linalg.norm(axis)
        rotation = pose(axis, opening_direction(axis, 0.5))
        return Tool(kind, rotation, tip - axis * reach, opening)

    def _speed(self, now, then, view: View, earlier: View, width: int) -> tuple[float, float]:
        """Pixels that a point moves while the shutter is open (half the frame's time)."""
        focal = self.patient.camera.focal * width
        points = []
        for point, scope in ((now, view), (then, earlier)):
            x, y, z = scope.rotation @ (point - scope.position)
            points.append(np.array([x, y]) * focal / max(z, 10.0))
        x, y = 0.5 * (points[0] - points[1])
        return float(x), float(y)
