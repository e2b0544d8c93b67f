"""Compiled kernels: project, rasterise into a visibility buffer, shade, develop the picture.

The visibility buffer holds the depth and the triangle of every subpixel (SAMPLES x SAMPLES a
pixel). Shading comes after, once for each surface in a pixel, which gives anti-aliased edges at
little more than the price of one sample. The same buffer tells what hides a tip.
"""

import numpy as np
from numba import njit

SAMPLES = 2
NEAR = 4.0  # mm; a triangle that reaches closer to the lens is dropped
ONE = np.float32(1.0)  # numba computes int with float32 in float64, which is slow
ZERO = np.float32(0.0)
_OPTIONS = {"cache": True, "fastmath": True, "nogil": True}


@njit(**_OPTIONS)
def project(data, rotation, position, focal, centre_x, centre_y, screen):
    """Vertices (N, 12: columns 3 to 5, mm) to `screen` (N, 3): x, y in subpixels and 1 / depth (0 before NEAR)."""
    for i in range(data.shape[0]):
        x = data[i, 3] - position[0]
        y = data[i, 4] - position[1]
        z = data[i, 5] - position[2]
        depth = rotation[2, 0] * x + rotation[2, 1] * y + rotation[2, 2] * z
        if depth < NEAR:
            screen[i, 2] = 0.0
            continue
        inverse = 1.0 / depth
        right = rotation[0, 0] * x + rotation[0, 1] * y + rotation[0, 2] * z
        down = rotation[1, 0] * x + rotation[1, 1] * y + rotation[1, 2] * z
        screen[i, 0] = centre_x + focal * right * inverse
        screen[i, 1] = centre_y + focal * down * inverse
        screen[i, 2] = inverse


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


@njit(**_OPTIONS)
def rasterise(screen, triangles, chosen, left, top, limits, depth, owner):
    """Draw the `chosen` triangles into `depth` (1 / mm, larger is nearer) and `owner` (triangle).

    The buffers are a window of the picture whose corner is subpixel (left, top); it may lie
    outside the picture, so that tips beyond its edge are counted too. `limits` (rows, 2) is the
    span of columns [start, stop) to fill in each row. Back faces are culled.
    """
    height, width = depth.shape
    for k in range(chosen.shape[0]):
        t = chosen[k]
        a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
        za, zb, zc = screen[a, 2], screen[b, 2], screen[c, 2]
        if za == 0.0 or zb == 0.0 or zc == 0.0:
            continue
        xa, ya = screen[a, 0] - left, screen[a, 1] - top
        xb, yb = screen[b, 0] - left, screen[b, 1] - top
        xc, yc = screen[c, 0] - left, screen[c, 1] - top
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


@njit(inline="always", fastmath=True)
def _gather(t, sx, sy, data, triangles, marks, screen, textures, materials, work, n):
    """Interpolate what one sample (sx, sy) of triangle t needs into column n of `work`."""
    a, b, c = triangles[t, 0], triangles[t, 1], triangles[t, 2]
    xa, ya, xb, yb = screen[a, 0], screen[a, 1], screen[b, 0], screen[b, 1]
    xc, yc = screen[c, 0], screen[c, 1]
    inverse = ONE / ((xb - xa) * (yc - ya) - (xc - xa) * (yb - ya))
    wb = ((yc - ya) * (sx - xa) - (xc - xa) * (sy - ya)) * inverse
    wc = ((xb - xa) * (sy - ya) - (yb - ya) * (sx - xa)) * inverse
    wa = (ONE - wb - wc) * screen[a, 2]
    wb, wc = wb * screen[b, 2], wc * screen[c, 2]
    near = wa + wb + wc
    scale = ONE / near
    wa, wb, wc = wa * scale, wb * scale, wc * scale
    for k in range(9):
        work[k, n] = wa * data[a, k] + wb * data[b, k] + wc * data[c, k]
    m = marks[t, 0]
    u, v = work[6, n], work[7, n]
    size = textures.shape[1]
    x = min(np.int64((u - np.floor(u)) * np.float32(size)), size - 1)
    y = min(np.int64((v - np.floor(v)) * np.float32(size)), size - 1)
    for k in range(6):
        work[9 + k, n] = np.float32(textures[m, y, x, k])
    for k in range(5):
        work[15 + k, n] = materials[m, k]
    return near


@njit(inline="always", fastmath=True)
def _light(work, n, lamp, eye, axis):
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
        gx = (work[12, i] - middle) * tilt * work[18, i]
        gy = (work[13, i] - middle) * tilt * work[18, i]
        nx, ny, nz = work[0, i], work[1, i], work[2, i]
        along = gx * nx + gy * ny
        nx, ny, nz = nx + gx - along * nx, ny + gy - along * ny, nz - along * nz
        scale = ONE / np.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-12))
        nx, ny, nz = nx * scale, ny * scale, nz * scale
        lx, ly, lz = lamp[0] - px, lamp[1] - py, lamp[2] - pz
        near = ONE / np.sqrt(lx * lx + ly * ly + lz * lz + ONE)
        lx, ly, lz = lx * near, ly * near, lz * near
        cone = max(ZERO, -(lx * axis[0] + ly * axis[1] + lz * axis[2]))
        light = bright * near * near * cone * cone * cone
        hx, hy, hz = eye[0] - px, eye[1] - py, eye[2] - pz
        scale = ONE / np.sqrt(hx * hx + hy * hy + hz * hz)
        hx, hy, hz = hx * scale + lx, hy * scale + ly, hz * scale + lz
        facing = max(ZERO, nx * hx + ny * hy + nz * hz)
        facing = facing * facing / (hx * hx + hy * hy + hz * hz)
        wrap, alpha = work[15, i], work[17, i] * work[17, i]
        diffuse = max(ZERO, (nx * lx + ny * ly + nz * lz + wrap) / (ONE + wrap))
        lobe = alpha / (facing * (alpha * alpha - ONE) + ONE)
        gloss = work[16, i] * work[14, i] * np.float32(1 / 128) * lobe * lobe * light
        # Light that tissue throws back, reddish.
        bounce = np.float32(0.10) * (ONE - nz) * light + np.float32(0.006)
        matt = diffuse * light + bounce * np.float32(0.72) + work[19, i] * gloss
        plain = (ONE - work[19, i]) * gloss
        red, green, blue = work[9, i] * small, work[10, i] * small, work[11, i] * small
        shade = work[8, i]
        work[0, i] = shade * (red * red * (matt + bounce * np.float32(0.28)) + plain)
        work[1, i] = shade * (green * green * matt + plain)
        work[2, i] = shade * (blue * blue * matt + plain)


@njit(**_OPTIONS)
def shade(mesh, owner, screen, textures, materials, lamp, eye, axis, limits, out, depth):
    """Resolve the visibility buffer into linear RGB `out` (H, W, 3) and 1 / z `depth` (H, W).

    Only columns within `limits` (H, 2) are shaded: nothing beyond the field of view.
    """
    data, triangles, marks = mesh
    cells = SAMPLES * SAMPLES
    # A row of an odd number of cache lines: rows that are powers of two apart evict each other.
    work = np.empty((20, (out.shape[1] * cells // 32) * 32 + 48), np.float32)
    column = np.empty(out.shape[1] * cells, np.int64)
    share = np.empty(out.shape[1] * cells, np.float32)
    parts = np.empty(cells, np.int64)
    for y in range(out.shape[0]):
        out[y] = ZERO
        depth[y] = ZERO
        n = 0
        for x in range(limits[y, 0], limits[y, 1]):
            start = n
            for s in range(cells):
                sy, sx = y * SAMPLES + s // SAMPLES, x * SAMPLES + s % SAMPLES
                t = owner[sy, sx]
                if t < 0:
                    continue
                g = start
                while g < n and parts[g - start] != marks[t, 1]:
                    g += 1
                if g == n:
                    near = _gather(
                        t, np.float32(sx + 0.5), np.float32(sy + 0.5), data, triangles, marks,
                        screen, textures, materials, work, n,
                    )  # fmt: skip
                    depth[y, x] = max(depth[y, x], near)
                    parts[g - start], column[n], share[n] = marks[t, 1], x, ZERO
                    n += 1
                share[g] += ONE / np.float32(cells)
        _light(work, n, lamp, eye, axis)
        for i in range(n):
            for k in range(3):
                out[y, column[i], k] += share[i] * work[k, i]


@njit(**_OPTIONS)
def develop(linear, curve, gain, field, border, noise, seed, out):
    """Camera: exposure, tone `curve` (over 0..1), sensor noise, field of view; uint8 `out`."""
    state = np.uint32(seed)
    last = curve.shape[0] - 1
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            distance = np.sqrt((x - field[0]) ** 2 + (y - field[1]) ** 2)
            inside = min(1.0, max(0.0, (field[2] - distance) * 0.7 + 0.5))
            for k in range(3):
                state ^= np.uint32(state << np.uint32(13))
                state ^= np.uint32(state >> np.uint32(17))
                state ^= np.uint32(state << np.uint32(5))
                # The four bytes' sum is bell-shaped enough for a sensor: mean 510, deviation 148.
                total = (
                    (state & np.uint32(255))
                    + ((state >> np.uint32(8)) & np.uint32(255))
                    + ((state >> np.uint32(16)) & np.uint32(255))
                    + (state >> np.uint32(24))
                )
                grain = (np.float32(total) - np.float32(510.0)) * np.float32(1 / 148.0) * noise
                exposed = linear[y, x, k] * gain[k]
                value = border[k]
                if inside > 0.0:
                    tone = curve[min(last, max(0, int(exposed * last)))]
                    value = inside * (tone + grain) + (1 - inside) * border[k]
                out[y, x, k] = np.uint8(min(255.0, max(0.0, value + 0.5)))
