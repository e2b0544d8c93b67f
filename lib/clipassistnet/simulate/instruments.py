"""The tools: clip applier with its clip, grasper, hook. Local axes: z distal, y opening, x width.

The origin of a tool is where its jaws leave the shaft; lengths in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipassistnet.simulate.materials import BLACK, MATT, POLYMER, STEEL
from clipassistnet.simulate.meshes import Surface, cross, grid, join, tube

# Owner of a surface. Everything below OTHER_TOOLS is tissue, with the clips left on it.
OTHER_TOOLS, GRASPER, HOOK = 20, 20, 24
# JAW + 0, JAW + 1: the jaws; CLIP + 0, CLIP + 1: the clip's legs; COLLAR: the end of the shaft.
CLIPPER, JAW, CLIP, COLLAR = 40, 41, 43, 45
COLLAR_LENGTH = 16.0  # mm of the shaft that belong to its end, as boxes drawn by people have it
TIP_LENGTH = 3.0  # mm of each jaw's (or polymer leg's) end that count as its tip


@dataclass(frozen=True)
class ClipperModel:
    """One brand of clip applier: metal jaws are straight beaks, polymer ones bowed, with a hook."""

    polymer: bool
    length: float = 17.0  # of the jaws
    gap: float = 4.2  # from the axis to an open jaw's end
    bend: float = 2.0  # sideways curve at the jaws' end
    width: float = 2.0  # half width of a jaw
    height: float = 1.9  # half thickness of a jaw at its base
    shaft: float = 5.0  # radius
    rings: tuple[float, ...] = (-9.0, -10.8)

    def jaw_line(self, along: np.ndarray, opening: float) -> tuple[np.ndarray, np.ndarray]:
        """Sideways and opening offset of a jaw's centre line at `along` (0 base to 1 tip)."""
        along = np.asarray(along, float)
        if self.polymer:
            rise = np.clip(along / 0.55, 0, 1)
            rise = rise * rise * (3 - 2 * rise) - 0.3 * np.clip(along - 0.6, 0, 1) ** 2 / 0.16
        else:  # the outer edges go on where the shaft's sides end
            rise = 0.5 + 0.5 * along
        thickness = self.thickness(along)
        # A polymer jaw ends in a hook that turns inwards and meets the other jaw's first.
        hook = 0.5 * self.polymer * np.clip((along - 0.9) / 0.1, 0, 1) * min(1.0, 2 * opening)
        return self.bend * along**2, thickness + 0.1 + opening * (self.gap - 0.6) * rise - hook

    def thickness(self, along: np.ndarray) -> np.ndarray:
        """Half thickness of a jaw."""
        if self.polymer:
            return self.height * (0.85 - 0.4 * along)
        return self.height * (1 - 0.2 * along - 0.58 * np.clip(along - 0.45, 0, 1) / 0.55)


def _lathe(profile, material: int, part: int, tint=1.0) -> Surface:
    """Surface of revolution about z of a profile of (z, radius), from proximal to distal."""
    profile = np.asarray(profile, float)
    turn = np.linspace(0, 2 * np.pi, 25)
    ring = np.stack([np.cos(turn), np.sin(turn)], -1)
    points = np.empty((len(profile), 25, 3))
    points[..., :2] = profile[:, None, 1:] * ring
    points[..., 2] = profile[:, None, 0]
    uv = np.stack(np.broadcast_arrays(profile[:, None, 0] / 96, turn[None] / (2 * np.pi)), -1)
    tint = np.broadcast_to(np.asarray(tint, float)[..., None], (len(profile), 25))
    return grid(points[:, ::-1], material, part, closed=True, uv=uv, tint=tint)


def _shaft(radius: float, rings, material: int, part: int, end: float) -> Surface:
    """Shaft with dark grooves (`rings`, z), narrowing to the share `end` of its radius."""
    rows = [(z, radius, 1.0) for z in np.linspace(-230, -25, 9)]
    for ring in sorted(rings):
        rows += [(ring - 0.5, radius, 1.0), (ring - 0.4, radius * 0.95, 0.25)]
        rows += [(ring + 0.4, radius * 0.95, 0.25), (ring + 0.5, radius, 1.0)]
    rows += [(-COLLAR_LENGTH, radius, 1.0), (-5.0, radius, 1.0)]
    if end < 1:
        rows += [(-1.5, radius * end, 0.95), (0.5, radius * end * 0.9, 0.8), (0.6, 0, 0.5)]
    else:  # a polished rim, and the dark mouth from which the jaws come
        rows += [(-1.6, radius, 1.0), (-1.5, radius * 1.02, 1.7), (-0.6, radius * 1.02, 1.7)]
        rows += [(-0.1, radius * 0.95, 1.4), (0.0, radius * 0.85, 0.35), (0.0, 0, 0.25)]
    rows = np.array(sorted(rows, key=lambda row: row[0]))
    return _lathe(rows[:, :2], material, part, rows[:, 2])


def _arm(model: ClipperModel, sign: int) -> Surface:
    """The jaw's arm, which lies in a slot along the shaft's side and stands out of it a little."""
    z = np.linspace(-9.0, 1.0, 6)
    out = np.array([-0.6, 0.3, 0.45, 0.45, 0.4, 0.2])
    path = np.stack([0 * z, sign * (model.shaft - 0.9 + out), z], -1)
    return tube(path, np.full(6, 1.0), MATT, JAW + (sign < 0), sides=6)


def _prong(model: ClipperModel, sign: int, opening: float) -> Surface:
    """One jaw: a tapered bar, round at its end, that follows the jaw's line."""
    end = 1 - TIP_LENGTH / model.length
    along = np.array(
        [-0.08, 0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, end, end, 0.92, 0.96, 0.985, 1, 1]
    )
    side, offset = model.jaw_line(np.clip(along, 0, 1), opening)
    blunt = np.sqrt(np.clip(1 - np.clip((along - 0.93) / 0.07, 0, 1) ** 2, 0, 1))
    blunt[:-1] = np.maximum(blunt[:-1], 0.35)
    width = model.width * (1.3 - 0.75 * along) * blunt
    height = model.thickness(along) * blunt
    turn = np.linspace(0, 2 * np.pi, 13) + np.pi / 12
    square = np.abs(np.stack([np.cos(turn), np.sin(turn)])) ** 0.6
    square *= np.sign(np.stack([np.cos(turn), np.sin(turn)]))
    x = side[:, None] + width[:, None] * square[0]
    y = sign * (offset[:, None] + height[:, None] * square[1] * sign)
    z = np.broadcast_to(along[:, None] * model.length, x.shape)
    points = np.stack([x, y, z], -1)[:, ::-1]
    part = JAW + (sign < 0)
    uv = np.stack([z / 96, np.broadcast_to(turn / 20, x.shape)], -1)
    body = grid(points[:10], MATT, part, closed=True, uv=uv[:10])
    tip = grid(points[10:], MATT, part, closed=True, uv=uv[10:], tip=1 + (sign < 0))
    return join([body, tip])


def clip_leg(model: ClipperModel, sign: int, opening: float, part: int, tip: int = 0) -> Surface:
    """One leg of the clip that lies in the jaws; a polymer leg ends where the jaw ends."""
    start, stop, radius = (0.3, 1.03, 0.75) if model.polymer else (0.5, 0.93, 0.45)
    along = np.linspace(start, stop, 10)
    side, offset = model.jaw_line(np.minimum(along, 1), opening)
    inner = offset - model.thickness(along) - 0.3 * radius
    apex = np.clip((along - start) / 0.12, 0, 1) ** 0.5  # the legs meet at the proximal end
    path = np.stack([side, sign * inner * apex, along * model.length], -1)
    thick = np.full(10, radius)
    thick[[0, -1]] *= 0.5
    material = POLYMER if model.polymer else STEEL
    leg = tube(path, thick, material, part, sides=7)
    if not tip:
        return leg
    near_end = leg.vertices[leg.triangles[:, 0], 2] >= (model.length - TIP_LENGTH)
    leg.triangles[near_end, 3] += 65536 * tip
    return leg


def clipper(model: ClipperModel, opening: float, loaded: bool) -> Surface:
    """The clip applier; `opening` 0 (closed) to 1. `loaded`: a clip lies in the jaws.

    The ends of a loaded polymer clip carry the tip marks 3 and 4 (jaw 1 and 2): the guideline
    lets the clip's tip stand for the jaw's.
    """
    shaft = _shaft(model.shaft, model.rings, STEEL, CLIPPER, 1.0)
    end = shaft.vertices[shaft.triangles[:, :3], 2].min(1) > -COLLAR_LENGTH - 0.1
    shaft.triangles[end, 3] += 256 * (COLLAR - CLIPPER)
    surfaces = [shaft, *(_prong(model, sign, opening) for sign in (1, -1))]
    if not model.polymer:
        surfaces += [_arm(model, sign) for sign in (1, -1)]
    if loaded:
        for k, sign in enumerate((1, -1)):
            surfaces.append(clip_leg(model, sign, opening, CLIP + k, 3 + k if model.polymer else 0))
    return join(surfaces)


def grasper(opening: float) -> Surface:
    """A grasper with two slim jaws with a window's dark groove."""
    shaft = _shaft(2.5, (-6.0,), STEEL, GRASPER, 0.85)
    along = np.linspace(0, 1, 9)
    jaws = []
    for k, sign in enumerate((1, -1)):
        path = np.stack([0 * along, sign * (0.9 + 5 * opening * along), 16 * along], -1)
        radius = 1.5 * np.sqrt(np.clip(1.02 - along**6, 0.02, 1))
        jaws.append(tube(path, radius, STEEL, GRASPER + 1 + k, sides=9))
    return join([shaft, *jaws])


def hook() -> Surface:
    """The cautery hook: a black shaft with an L-shaped wire."""
    shaft = _shaft(2.5, (), BLACK, HOOK, 0.7)
    path = np.array(
        [[0, 0, 0], [0, 0, 4], [0, 0, 8], [0, 0, 11], [0, 0.6, 12], [0, 2, 12.6], [0, 5, 12.8]]
    )
    radius = np.array([0.9, 0.9, 0.9, 0.8, 0.8, 0.7, 0.3])
    return join([shaft, tube(path.astype(float), radius, STEEL, HOOK + 1, sides=8)])


def pose(axis: np.ndarray, opening: np.ndarray) -> np.ndarray:
    """Rotation (3, 3) that takes local z to `axis` and local y as near to `opening` as it goes."""
    z = axis / np.linalg.norm(axis)
    y = opening - (opening @ z) * z
    y = y / np.linalg.norm(y)
    return np.stack([cross(y, z), y, z], 1)
