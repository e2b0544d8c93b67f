"""Surfaces as grids of points: the few shapes from which anatomy and tools are built."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

TILE = 72.0  # mm of tissue that one texture tile covers

# Columns of Surface.data: everything about a vertex lies in one cache line or two.
NORMAL, PLACE, UV, TINT, SCREEN = slice(0, 3), slice(3, 6), slice(6, 8), 8, slice(9, 12)


@dataclass(frozen=True)
class Surface:
    """Triangles with what shading and truth need of them; lengths in mm."""

    data: np.ndarray  # (N, 12) float32, a row a vertex: normal, place, texture tile, tint, screen
    triangles: np.ndarray  # (T, 4) int32: three vertices, and material + 256 part + 65536 tip

    @property
    def vertices(self) -> np.ndarray:
        """Places of the vertices (N, 3), a view."""
        return self.data[:, PLACE]

    @property
    def screen(self) -> np.ndarray:
        """Places on the screen (N, 3): x, y in subpixels, 1 / depth; a view, set by a renderer."""
        return self.data[:, SCREEN]

    @property
    def part(self) -> np.ndarray:
        """Owner of each triangle (T,)."""
        return (self.triangles[:, 3] >> 8) & 255

    @property
    def tip(self) -> np.ndarray:
        """Mark of each triangle's tip (T,); 0 where it belongs to none."""
        return self.triangles[:, 3] >> 16

    def moved(self, rotation: np.ndarray, translation: np.ndarray) -> Surface:
        """The surface after a rigid motion: `rotation` (3, 3), `translation` (3,) in mm."""
        rotation = rotation.T.astype(np.float32)
        data = self.data.copy()
        data[:, NORMAL] = self.data[:, NORMAL] @ rotation
        data[:, PLACE] = self.data[:, PLACE] @ rotation + translation.astype(np.float32)
        return Surface(data, self.triangles)


def cross(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Cross product of two vectors (3,), without the overhead of numpy's general one."""
    (a, b, c), (x, y, z) = first, second
    return np.array([b * z - c * y, c * x - a * z, a * y - b * x])


@lru_cache(maxsize=64)
def _grid_triangles(rows: int, columns: int) -> np.ndarray:
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b, c, d = corner[:-1, :-1], corner[1:, :-1], corner[1:, 1:], corner[:-1, 1:]
    # Wound so that a triangle seen from outside has a positive area on a screen with y down.
    triangles = np.stack([np.stack([a, c, b, 0 * a], -1), np.stack([a, d, c, 0 * a], -1)])
    return np.ascontiguousarray(triangles.reshape(-1, 4).astype(np.int32))


def grid(
    points: np.ndarray,
    material: int,
    part: int,
    *,
    closed: bool,
    uv: np.ndarray | None = None,
    tint: np.ndarray | float = 1.0,
    tip: int = 0,
) -> Surface:
    """Surface over a grid of points (n, m, 3).

    `closed`: the last column repeats the first one. Rows and columns must run so that the cross
    product of row and column direction points outwards.
    """
    rows, columns = points.shape[:2]
    if closed:
        around = np.concatenate([points[:, -2:-1], points, points[:, 1:2]], 1)
        across = around[:, 2:] - around[:, :-2]
    else:
        across = np.gradient(points, axis=1)
    normals = np.cross(np.gradient(points, axis=0), across)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    # At a pole the grid has no direction across: point away from the neighbouring ring.
    neighbour = points[[1, *range(rows - 2), -2]].mean(1, keepdims=True)
    normals = np.where(length > 1e-6, normals, points - neighbour)
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    vertices = points.reshape(-1, 3)
    if uv is None:
        # The scene is always seen from about -z: a sheared planar map has no seam and no pole.
        uv = (vertices[:, :2] + 0.35 * vertices[:, 2:]) / TILE
    data = np.zeros((rows * columns, 12), np.float32)
    data[:, NORMAL], data[:, PLACE] = normals.reshape(-1, 3), vertices
    data[:, UV] = uv.reshape(-1, 2)
    data[:, TINT] = np.broadcast_to(tint, (rows, columns)).reshape(-1)
    triangles = _grid_triangles(rows, columns).copy()
    triangles[:, 3] = material + 256 * part + 65536 * tip
    return Surface(data, triangles)


def join(surfaces: list[Surface]) -> Surface:
    """Join surfaces to one; the order of their triangles is kept."""
    offsets = np.cumsum([0, *(len(s.data) for s in surfaces[:-1])], dtype=np.int32)
    triangles = np.concatenate([s.triangles for s in surfaces])
    start = 0
    for surface, offset in zip(surfaces, offsets, strict=True):
        triangles[start : start + len(surface.triangles), :3] += offset
        start += len(surface.triangles)
    return Surface(np.concatenate([s.data for s in surfaces]), triangles)


def waves(directions: np.ndarray, rng: np.random.Generator, frequency: float) -> np.ndarray:
    """Smooth random field of about unit variance over points (..., 3)."""
    total = np.zeros(directions.shape[:-1])
    for octave in range(3):
        for _ in range(4):
            wave = rng.normal(size=3) * frequency * 2**octave
            phase = rng.uniform(0, 2 * np.pi)
            total += np.sin(directions @ wave + phase) * 0.5 * 0.5**octave
    return total


def blob(
    centre: Sequence[float],
    radii: Sequence[float],
    material: int,
    part: int,
    rng: np.random.Generator,
    *,
    rough: float = 0.08,
    frequency: float = 1.6,
    rings: int = 26,
) -> Surface:
    """Closed lump: an ellipsoid with a rough surface, poles up and down."""
    polar = np.linspace(0, np.pi, rings)[:, None]
    turn = np.linspace(0, 2 * np.pi, rings * 7 // 5)[None, :]
    directions = np.stack(
        [np.sin(polar) * np.cos(turn), np.cos(polar) + 0 * turn, -np.sin(polar) * np.sin(turn)], -1
    )
    swell = 1 + rough * waves(directions, rng, frequency)
    swell[:, -1] = swell[:, 0]
    swell[[0, -1]] = swell[[0, -1]].mean(1, keepdims=True)
    points = np.asarray(centre) + directions * swell[..., None] * np.asarray(radii)
    return grid(points, material, part, closed=True)


def frames_along(path: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors (n, 3) orthogonal to a path (n, 3) that bends little, without twist."""
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    guide = np.eye(3)[np.argmin(np.abs(tangent).max(0))]
    side = np.cross(tangent, guide)
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    return side, np.cross(tangent, side)


def tube(
    path: np.ndarray, radius: np.ndarray, material: int, part: int, sides: int = 14
) -> Surface:
    """Tube around a path (n, 3) with radius (n,)."""
    side, other = frames_along(path)
    turn = np.linspace(0, 2 * np.pi, sides + 1)
    ring = (
        np.cos(turn)[None, :, None] * side[:, None] + np.sin(turn)[None, :, None] * other[:, None]
    )
    points = path[:, None] + radius[:, None, None] * ring
    return grid(points[:, ::-1], material, part, closed=True)
