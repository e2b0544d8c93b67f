"""Compiled kernels: move and project vertices, rasterise triangles into a visibility buffer.

The visibility buffer holds the depth and the triangle of every subpixel (SAMPLES x SAMPLES a
pixel). Shading follows, once for each surface in a pixel (`shading`): this gives anti-aliased
edges at little more than the cost of one sample. The same buffer shows what hides a tip.
"""

from __future__ import annotations

import numpy as np
from numba import njit

SAMPLES = 2
NEAR = 4.0  # mm; a triangle that reaches closer to the lens is dropped
# Without "numpy" every division is checked for zero, and no loop becomes SIMD.
OPTIONS = {"cache": True, "fastmath": True, "nogil": True, "error_model": "numpy"}


@njit(**OPTIONS)
def settle(
    data: np.ndarray, shift: np.ndarray, place: np.ndarray, push: np.ndarray, width: float
) -> None:
    """Move places (columns 3 to 5 of `data`, mm) by `shift`, and about `place` by `push` as well.

    The push fades over `width` mm, as tissue gives way to a tool that presses on it.
    """
    scale = np.float32(-0.5 / (width * width))
    for i in range(data.shape[0]):
        x, y, z = data[i, 3] - place[0], data[i, 4] - place[1], data[i, 5] - place[2]
        share = np.exp((x * x + y * y + z * z) * scale)
        for k in range(3):
            data[i, 3 + k] += shift[k] + share * push[k]


@njit(**OPTIONS)
def project(
    data: np.ndarray,
    rotation: np.ndarray,
    position: np.ndarray,
    focal: float,
    centre_x: float,
    centre_y: float,
) -> None:
    """Project places (columns 3 to 5 of `data`, mm) to the screen (columns 9 to 11).

    These are x and y in subpixels, and 1 / depth, which is 0 for what lies before NEAR.
    """
    for i in range(data.shape[0]):
        x = data[i, 3] - position[0]
        y = data[i, 4] - position[1]
        z = data[i, 5] - position[2]
        depth = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z
        if depth < NEAR:
            data[i, 11] = 0.0
            continue
        inverse = 1.0 / depth
        right = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
        down = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
        data[i, 9] = centre_x + focal * right * inverse
        data[i, 10] = centre_y + focal * down * inverse
        data[i, 11] = inverse


@njit(inline="always")
def _clip(slope, offset, low, high):
    """Part of [low, high] where slope * x + offset >= 0."""
    if slope > 1e-9:
        low = max(low, -offset / slope)
    elif slope < -1e-9:
        high = min(high, -offset / slope)
    elif offset < 0:
        high = low - 2.0
    return low, high


@njit(**OPTIONS)
def rasterise(
    data: np.ndarray,
    triangles: np.ndarray,
    chosen: np.ndarray,
    left: float,
    top: float,
    limits: np.ndarray,
    depth: np.ndarray,
    owner: np.ndarray,
) -> None:
    """Draw the `chosen` triangles into `depth` (1 / mm, larger is nearer) and `owner` (triangle).

    The buffers are a window of the picture whose corner is subpixel (left, top); it may lie
    outside the picture, so that tips beyond its edge are counted too. `limits` (rows, 2) is the
    span of columns [start, stop) to fill in each row. Back faces are culled.
    """
    height, width = depth.shape
    for k in range(chosen.shape[0]):
        t = chosen[k]
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        za, zb, zc = data[a, 11], data[b, 11], data[c, 11]
        if za == 0.0 or zb == 0.0 or zc == 0.0:
            continue
        xa, ya = data[a, 9] - left, data[a, 10] - top
        xb, yb = data[b, 9] - left, data[b, 10] - top
        xc, yc = data[c, 9] - left, data[c, 10] - top
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area <= 0.0:
            continue
        x0 = max(0, int(np.ceil(min(xa, xb, xc) - 0.5)))
        x1 = min(width - 1, int(np.floor(max(xa, xb, xc) - 0.5)))
        y0 = max(0, int(np.ceil(min(ya, yb, yc) - 0.5)))
        y1 = min(height - 1, int(np.floor(max(ya, yb, yc) - 0.5)))
        if x0 > x1 or y0 > y1:
            continue
        # Barycentric weights of b and c are planes over the picture; that of a is the rest. Every
        # row's span is where all three are positive.
        bx, by = (yc - ya) / area, (xa - xc) / area
        cx, cy = (ya - yb) / area, (xb - xa) / area
        zx = bx * (zb - za) + cx * (zc - za)
        zy = by * (zb - za) + cy * (zc - za)
        for y in range(y0, y1 + 1):
            dy = y + 0.5 - ya
            low = max(x0, limits[y, 0]) + 0.5 - xa
            high = min(x1, limits[y, 1] - 1) + 0.5 - xa
            low, high = _clip(bx, by * dy, low, high)
            low, high = _clip(cx, cy * dy, low, high)
            low, high = _clip(-bx - cx, 1.0 - (by + cy) * dy, low, high)
            start, stop = int(np.ceil(low + xa - 0.5)), int(np.floor(high + xa - 0.5))
            z = za + zx * (start + 0.5 - xa) + zy * dy
            for x in range(start, stop + 1):
                if z > depth[y, x]:
                    depth[y, x] = z
                    owner[y, x] = t
                z += zx


@njit(**OPTIONS)
def parts(owner: np.ndarray, triangles: np.ndarray, field: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` (rows, columns) int8 with the part that owns each subpixel, -1 where none does.

    `owner` holds triangles; a subpixel's part is -1 outside the round `field` (x, y, radius) too.
    """
    for y in range(owner.shape[0]):
        down = y + 0.5 - field[1]
        for x in range(owner.shape[1]):
            right = x + 0.5 - field[0]
            t = owner[y, x]
            if t < 0 or right * right + down * down > field[2] * field[2]:
                out[y, x] = -1
            else:
                out[y, x] = (triangles[t, 3] >> 8) & 255
