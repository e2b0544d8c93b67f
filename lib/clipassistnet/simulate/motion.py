"""Where the scope, the tissue, the clip applier and the other tools are in every frame of a video.

A video alternates stretches of work without a clip applier and clipping actions: approach, open,
enclose the duct or artery, close, leave a clip, retreat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from clipassistnet.simulate.clipping_action import FPS, STEP, ClippingAction, drift
from clipassistnet.simulate.instruments import ClipperModel, pose
from clipassistnet.simulate.renderer import ScopeView
from clipassistnet.simulate.virtual_patient import Patient, opening_direction

WHOLE = 24  # annotated frames with a clip applier from which on a video shows whole actions
CLEAR = 11.0  # mm in the picture that the assistant keeps the grasper away from the jaws


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

    view: ScopeView
    tissue: np.ndarray  # (3,) shift of all tissue, mm
    tools: tuple[Tool, ...]
    clips: int  # how many actions have left their clip
    dent: tuple[np.ndarray, np.ndarray]  # where the applier presses on the tissue, how far; mm

    @property
    def clipper(self) -> Tool | None:
        """The clip applier, where there is one."""
        return next((tool for tool in self.tools if tool.kind == "clipper"), None)


def _split(total: int, parts: int, rng: np.random.Generator) -> np.ndarray:
    """Divide `total` annotated frames among parts, unevenly, each with at least one."""
    shares = rng.uniform(0.6, 1.4, parts)
    edges = np.round(np.cumsum(shares) / shares.sum() * (total - parts)).astype(int)
    return np.diff(edges, prepend=0) + 1


@dataclass(frozen=True)
class Slot:
    """When a clipping action takes place, and whether its way in and its way out are seen."""

    start: int
    frames: int
    ways: tuple[bool, bool]


def _slots(
    rng: np.random.Generator, clipper_frames: int, absent_frames: int
) -> tuple[list[Slot], int]:
    """When the actions take place, and the number of frames of the video."""
    count = max(1, round(clipper_frames / rng.uniform(36, 54)))
    count = min(count, clipper_frames, max(1, absent_frames - 1))
    lengths = _split(clipper_frames, count, rng) * STEP
    pauses = _split(max(absent_frames, count + 1), count + 1, rng) * STEP
    ways = (True, True)
    if clipper_frames < WHOLE:  # too short for a whole action at a surgeon's pace
        late = bool(rng.random() < 0.5)
        ways, pauses = (not late, late), pauses.sum() * np.array([not late, late])
    starts = np.cumsum(pauses[:-1]) + np.concatenate([[0], np.cumsum(lengths[:-1])])
    slots = [Slot(int(a), int(n), ways) for a, n in zip(starts, lengths, strict=True)]
    return slots, int(lengths.sum() + pauses.sum())


class Motion:
    """Motion of everything in one video; `balanced_motion` adds the `actions`, one for each slot.

    Args:
        patient: whose anatomy is shown.
        model: of the clip applier.
        rng: source of every random choice; it is drawn from in a fixed order.
        clipper_frames: annotated frames (5 FPS) with a clip applier.
        absent_frames: annotated frames without one.
    """

    def __init__(
        self,
        patient: Patient,
        model: ClipperModel,
        rng: np.random.Generator,
        clipper_frames: int,
        absent_frames: int,
    ):
        self.patient, self.model = patient, model
        self.slots, self.frames = _slots(rng, clipper_frames, absent_frames)
        self.actions: list[ClippingAction] = []
        self._tissue(rng)
        self._scope(rng)
        self._helpers(rng)

    def _tissue(self, rng: np.random.Generator) -> None:
        breath = np.sin(2 * np.pi * (np.arange(self.frames) / FPS * 0.22 + rng.random()))
        self.tissue = breath[:, None] * rng.normal(size=3) * (0.3, 0.8, 0.5)
        self.tissue = self.tissue + drift(rng, self.frames, 2.0, 0.5)

    def _scope(self, rng: np.random.Generator) -> None:
        frames = self.frames
        self.position = drift(rng, frames, 3.0, (3.0, 2.5, 4.0)) + drift(rng, frames, 0.5, 0.3)
        # The assistant keeps what is clipped in the picture.
        self.position[:, :2] += 0.5 * self.patient.duct[20, :2]
        self.angles = drift(rng, frames, 3.0, (0.03, 0.03, 0.06))
        self.angles = self.angles + drift(rng, frames, 0.4, 0.003)
        for _ in range(rng.poisson(frames / 500)):  # now and then the assistant moves the scope
            at, step = rng.integers(frames), rng.normal(size=3) * (0.06, 0.05, 0.02)
            self.angles += step * np.exp(-(((np.arange(frames) - at) / 6.0) ** 2))[:, None]
        # The hook makes smoke while it works; it drifts away in a second or two.
        self.smoke = np.zeros(frames)
        between = np.flatnonzero(self._between_actions())
        for _ in range(rng.poisson(frames / 1200)):
            at, peak, spread = rng.choice(between), rng.uniform(0.15, 0.75), rng.uniform(10, 30)
            puff = peak * np.exp(-(((np.arange(frames) - at) / spread) ** 2))
            self.smoke = np.maximum(self.smoke, puff)

    def _between_actions(self) -> np.ndarray:
        """Which frames (n,) bool show no clip applier."""
        between = np.ones(self.frames, bool)
        for slot in self.slots:
            between[slot.start : slot.start + slot.frames] = False
        return between

    def _helpers(self, rng: np.random.Generator) -> None:
        """Move the grasper that holds the gallbladder and the tool between the actions."""
        self.holds = rng.random() < 0.85
        self.grip = self.patient.neck + rng.normal(size=3) * (3, 3, 1)
        # The assistant keeps the grasper away from the applier; some let it come near at times.
        away = np.ones(self.frames)
        if rng.random() < 0.15:
            away -= np.clip(drift(rng, self.frames, 1.5, 1.0)[:, 0] - 0.4, 0, 1)
        self.grip = self.grip + away[:, None] * self._aside(self.grip)
        self.grip = self.grip + drift(rng, self.frames, 1.5, (1.5, 1.5, 1.0))
        self.worker = rng.choice(["hook", "grasper"], p=[0.7, 0.3])
        middle = self.patient.duct[20]
        trocar = self.patient.trocars["hook"]
        axis = (middle - trocar) / np.linalg.norm(middle - trocar)
        self.work = middle + drift(rng, self.frames, 0.5, (7, 7, 3)) - axis * 6
        inside = np.ones(self.frames)
        for slot in self.slots:
            inside[max(0, slot.start - 4) : slot.start + slot.frames + 4] = 0
        self.working = gaussian_filter1d(inside, 4.0)
        self.work = self.work - axis * 75 * (1 - self.working[:, None])

    def _aside(self, grip: np.ndarray) -> np.ndarray:
        """Shift (3,), in mm, of a grasper at `grip` that would hide the clip applier.

        It lies in the picture's plane and points away from the jaws that the grasper is nearest to.
        """
        trocar = self.patient.trocars["grasper"]
        axis = (grip - trocar) / np.linalg.norm(grip - trocar)
        shaft = grip + axis * np.linspace(-60, 4, 65)[:, None]
        jaws = []
        for vessel in (self.patient.duct, self.patient.artery):
            for place in vessel[[14, 20, 26]]:
                along = place - self.patient.trocars["clipper"]
                along /= np.linalg.norm(along) / (0.32 * self.model.length)
                jaws += [place - along, place, place + along]
        way = (shaft / shaft[:, 2:])[None] - np.array([jaw / jaw[2] for jaw in jaws])[:, None]
        way *= grip[2]
        gaps = np.linalg.norm(way, axis=-1)
        nearest = np.unravel_index(gaps.argmin(), gaps.shape)
        return way[nearest] * max(0.0, CLEAR / gaps[nearest] - 1)

    def action_at(self, frame: int) -> ClippingAction | None:
        """The clipping action under way in a frame."""
        return next((a for a in self.actions if a.start <= frame < a.stop), None)

    def clipper_at(self, frame: int) -> Tool | None:
        """The clip applier in a frame."""
        action = self.action_at(frame)
        if action is None:
            return None
        k = frame - action.start
        middle = action.place + self.tissue[frame] + action.presses[k] + action.shifts[k]
        axis = middle - self.patient.trocars["clipper"]
        axis = axis / np.linalg.norm(axis)
        rotation = pose(axis, opening_direction(axis, action.rolls[k]))
        opening = round(float(action.openings[k]) * 40) / 40  # few meshes, kept for reuse
        origin = middle - axis * 0.68 * self.model.length
        return Tool("clipper", rotation, origin, opening, frame < action.leave)

    def view(self, frame: int) -> ScopeView:
        """The scope in a frame, without motion blur."""
        a, b, c = self.angles[frame] + (0, 0, self.patient.camera.roll)
        turn = np.array([[np.cos(c), np.sin(c), 0], [-np.sin(c), np.cos(c), 0], [0, 0, 1]])
        pan = np.array([[np.cos(a), 0, -np.sin(a)], [0, 1, 0], [np.sin(a), 0, np.cos(a)]])
        tilt = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        # The scope turns about the middle of the scene's front, so that it keeps it in view.
        return ScopeView(turn @ pan @ tilt, self.position[frame], float(self.smoke[frame]))

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
        action = self.action_at(frame)
        dent = (middle, np.zeros(3))
        if action is not None:
            dent = (action.place, action.presses[frame - action.start])
        return Moment(view, tissue, tuple(tools), clips, dent)

    def _aimed(self, kind: str, trocar: str, tip: np.ndarray, reach: float, opening: float) -> Tool:
        axis = tip - self.patient.trocars[trocar]
        axis = axis / np.linalg.norm(axis)
        rotation = pose(axis, opening_direction(axis, 0.5))
        return Tool(kind, rotation, tip - axis * reach, opening)

    def _speed(
        self, now, then, view: ScopeView, earlier: ScopeView, width: int
    ) -> tuple[float, float]:
        """Pixels that a point moves while the shutter is open (half the frame's time)."""
        focal = self.patient.camera.focal * width
        points = []
        for point, scope in ((now, view), (then, earlier)):
            x, y, z = scope.rotation @ (point - scope.position)
            points.append(np.array([x, y]) * focal / max(z, 10.0))
        x, y = 0.5 * (points[0] - points[1])
        return float(x), float(y)
