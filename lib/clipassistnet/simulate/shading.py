"""Compiled kernels: light the visibility buffer's samples, develop them into a picture."""

from __future__ import annotations

import numpy as np
from numba import njit

from clipassistnet.simulate.raster import OPTIONS, SAMPLES

ONE = np.float32(1.0)  # numba computes int with float32 in float64, which is slow
ZERO = np.float32(0.0)


@njit(inline="always", fastmath=True)
def _gather(t, sx, sy, data, triangles, textures, materials, work, texels, n):
    """Interpolate what one sample (sx, sy) of triangle t needs into column n of `work`
    and, as stored, into `texels`."""
    # Unsigned indices spare numba's check for negative ones.
    a, b, c = np.uint64(triangles[t, 0]), np.uint64(triangles[t, 1]), np.uint64(triangles[t, 2])
    xa, ya, xb, yb = data[a, 9], data[a, 10], data[b, 9], data[b, 10]
    xc, yc = data[c, 9], data[c, 10]
    inverse = ONE / ((xb - xa) * (yc - ya) - (xc - xa) * (yb - ya))
    wb = ((yc - ya) * (sx - xa) - (xc - xa) * (sy - ya)) * inverse
    wc = ((xb - xa) * (sy - ya) - (yb - ya) * (sx - xa)) * inverse
    wa = (ONE - wb - wc) * data[a, 11]
    wb, wc = wb * data[b, 11], wc * data[c, 11]
    near = wa + wb + wc
    scale = ONE / near
    wa, wb, wc = wa * scale, wb * scale, wc * scale
    for k in range(9):
        work[k, n] = wa * data[a, k] + wb * data[b, k] + wc * data[c, k]
    m = np.uint64(triangles[t, 3] & 255)
    u, v = work[6, n], work[7, n]
    size = textures.shape[1]
    x = np.uint64(min(np.int64((u - np.floor(u)) * np.float32(size)), size - 1))
    y = np.uint64(min(np.int64((v - np.floor(v)) * np.float32(size)), size - 1))
    texels[0, n], texels[1, n] = textures[m, y, x, 0], textures[m, y, x, 1]
    for k in range(5):
        work[9 + k, n] = materials[m, k]
    return near


@njit(inline="always")
def _byte(word, shift):
    """One byte of a 32-bit word as float32."""
    return np.float32(np.int32((word >> np.uint32(shift)) & np.uint32(255)))


@njit(inline="always", fastmath=True)
def _light(work, texels, n, lamp, eye, axis):
    """Light the first n columns of `work` in place (rows 0 to 2 become linear RGB).

    Diffuse light that tissue scatters (wrap) and wet or metallic gloss (GGX) under the scope's
    lamp, which falls off with the square of the distance and towards the edge of its cone. The
    loop is free of branches and look-ups, so that the compiler makes SIMD of it.
    """
    small, bright = np.float32(1 / 255), np.float32(4900.0)  # light is 1 at 70 mm
    tilt, middle = np.float32(1 / 40), np.float32(128.0)
    for i in range(n):
        px, py, pz = work[3, i], work[4, i], work[5, i]
        # Bumps tilt the normal along x and y, made orthogonal to it: the scene is seen from -z.
        gx = (_byte(texels[0, i], 24) - middle) * tilt * work[12, i]
        gy = (_byte(texels[1, i], 0) - middle) * tilt * work[12, i]
        nx, ny, nz = work[0, i], work[1, i], work[2, i]
        along = gx * nx + gy * ny
        nx, ny, nz = nx + gx - along * nx, ny + gy - along * ny, nz - along * nz
        scale = ONE / np.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-12))
        nx, ny, nz = nx * scale, ny * scale, nz * scale
        lx, ly, lz = lamp[0] - px, lamp[1] - py, lamp[2] - pz
        near = ONE / np.sqrt(lx * lx + ly * ly + lz * lz + ONE)
        lx, ly, lz = lx * near, ly * near, lz * near
        cone = max(ZERO, -(lx * axis[0] + ly * axis[1] + lz * axis[2]))
        light = bright * near * near * cone * cone * cone * cone * cone * cone * cone
        hx, hy, hz = eye[0] - px, eye[1] - py, eye[2] - pz
        scale = ONE / np.sqrt(hx * hx + hy * hy + hz * hz)
        hx, hy, hz = hx * scale + lx, hy * scale + ly, hz * scale + lz
        facing = max(ZERO, nx * hx + ny * hy + nz * hz)
        facing = facing * facing / (hx * hx + hy * hy + hz * hz)
        wrap, alpha = work[9, i], work[11, i] * work[11, i]
        diffuse = max(ZERO, (nx * lx + ny * ly + nz * lz + wrap) / (ONE + wrap))
        lobe = alpha / (facing * (alpha * alpha - ONE) + ONE)
        gloss = work[10, i] * _byte(texels[1, i], 8) * np.float32(1 / 128) * lobe * lobe * light
        # Light that tissue throws back, reddish.
        bounce = np.float32(0.05) * (ONE - nz) * light + np.float32(0.004)
        matt = diffuse * light + bounce * np.float32(0.72) + work[13, i] * gloss
        plain = (ONE - work[13, i]) * gloss
        red = _byte(texels[0, i], 0) * small
        green = _byte(texels[0, i], 8) * small
        blue = _byte(texels[0, i], 16) * small
        shade = work[8, i]
        work[0, i] = shade * (red * red * (matt + bounce * np.float32(0.28)) + plain)
        work[1, i] = shade * (green * green * matt + plain)
        work[2, i] = shade * (blue * blue * matt + plain)


@njit(**OPTIONS)
def shade(
    data: np.ndarray,
    triangles: np.ndarray,
    owner: np.ndarray,
    textures: np.ndarray,
    materials: np.ndarray,
    lamp: np.ndarray,
    eye: np.ndarray,
    axis: np.ndarray,
    limits: np.ndarray,
    out: np.ndarray,
    depth: np.ndarray,
) -> None:
    """Resolve the visibility buffer into linear RGB `out` (H, W, 3) and 1 / z `depth` (H, W).

    Only columns within `limits` (H, 2) are shaded: nothing beyond the field of view.
    """
    cells = SAMPLES * SAMPLES
    # A row of an odd number of cache lines: rows that are powers of two apart evict each other.
    work = np.empty((14, (out.shape[1] * cells // 32) * 32 + 48), np.float32)
    texels = np.empty((2, work.shape[1]), np.uint32)
    column = np.empty(out.shape[1] * cells, np.int64)
    share = np.empty(out.shape[1] * cells, np.float32)
    parts = np.empty(cells, np.int64)
    for y in range(out.shape[0]):
        out[y] = ZERO
        depth[y] = ZERO
        n = 0
        for x in range(limits[y, 0], limits[y, 1]):
            start, last, g = n, -1, -1
            for s in range(cells):
                sy, sx = y * SAMPLES + s // SAMPLES, x * SAMPLES + s % SAMPLES
                t = owner[sy, sx]
                if t < 0:
                    continue
                if t == last:
                    share[g] += ONE / np.float32(cells)
                    continue
                last, g = t, start
                while g < n and parts[g - start] != triangles[t, 3]:
                    g += 1
                if g == n:
                    near = _gather(
                        t,
                        np.float32(sx + 0.5),
                        np.float32(sy + 0.5),
                        data,
                        triangles,
                        textures,
                        materials,
                        work,
                        texels,
                        n,
                    )
                    depth[y, x] = max(depth[y, x], near)
                    parts[g - start], column[n], share[n] = triangles[t, 3], x, ZERO
                    n += 1
                share[g] += ONE / np.float32(cells)
        _light(work, texels, n, lamp, eye, axis)
        for i in range(n):
            for k in range(3):
                out[y, column[i], k] += share[i] * work[k, i]


@njit(**OPTIONS)
def compose(
    linear: np.ndarray,
    limits: np.ndarray,
    lost: np.ndarray,
    soft: np.ndarray,
    blur: np.ndarray,
    glow: np.ndarray,
) -> None:
    """In place: `soft` (H, W, 3) where `blur` (H, W) is 1, darker by `lost`, and `glow` on top.

    Nothing changes beyond the `limits` (H, 2) of the columns.
    """
    for y in range(linear.shape[0]):
        for x in range(limits[y, 0], limits[y, 1]):
            kept, share = ONE - lost[y, x], blur[y, x]
            for k in range(3):
                sharp = linear[y, x, k]
                mixed = sharp + share * (soft[y, x, k] - sharp)
                linear[y, x, k] = kept * mixed + glow[y, x, k]


@njit(**OPTIONS)
def develop(
    linear: np.ndarray,
    limits: np.ndarray,
    curve: np.ndarray,
    gain: np.ndarray,
    field: np.ndarray,
    border: np.ndarray,
    grain: np.ndarray,
    starts: np.ndarray,
    out: np.ndarray,
) -> None:
    """Camera: exposure, tone `curve` (over 0..1), sensor noise, field of view; uint8 `out`.

    Row y takes its noise from `grain`, from `starts[y]` on. Beyond the `limits` (H, 2) of the
    columns there is nothing but the border's colour.
    """
    last = np.float32(curve.shape[0] - 1)
    half, rim = np.float32(0.5), np.float32(0.7)
    for y in range(out.shape[0]):
        noise = starts[y]
        down = np.float32(y) - field[1]
        for x in range(out.shape[1]):
            if x < limits[y, 0] or x >= limits[y, 1]:
                for k in range(3):
                    out[y, x, k] = np.uint8(border[k])
                continue
            right = np.float32(x) - field[0]
            distance = np.sqrt(right * right + down * down)
            inside = min(ONE, max(ZERO, (field[2] - distance) * rim + half))
            for k in range(3):
                level = min(last, max(ZERO, linear[y, x, k] * gain[k] * last))
                tone = curve[np.uint32(level)] + grain[noise + 3 * x + k]
                value = inside * tone + (ONE - inside) * border[k]
                out[y, x, k] = np.uint8(min(np.float32(255.0), max(ZERO, value + half)))
