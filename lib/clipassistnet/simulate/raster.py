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
def project(vertices, rotation, position, focal, centre_x, centre_y, screen):
    """World (N, 3) in mm to `screen` (N, 3): x, y in subpixels and 1 / depth (0 before NEAR)."""
    for i in range(vertices.shape[0]):
        x = vertices[i, 0] - position[0]
        y = vertices[i, 1] - position[1]
        z = vertices[i, 2] - position[2]
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
def rasterise(screen, triangles, chosen, left, top, depth, owner):
    """Draw the `chosen` triangles into `depth` (1 / mm, larger is nearer) and `owner` (triangle).

    The buffers are a window of the picture whose corner is subpixel (left, top); it may lie
    outside the picture, so that tips beyond its edge are counted too. Back faces are culled.
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
            low, high = x0 + 0.5 - xa, x1 + 0.5 - xa
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


@njit(inline="always")
def _tap(tiles, m, x0, x1, y0, y1, fx, fy, channel):
    """Bilinear look-up of one channel."""
    upper = tiles[m, y0, x0, channel] + fx * (tiles[m, y0, x1, channel] - tiles[m, y0, x0, channel])
    lower = tiles[m, y1, x0, channel] + fx * (tiles[m, y1, x1, channel] - tiles[m, y1, x0, channel])
    return upper + fy * (lower - upper)


@njit(inline="always", fastmath=True)
def _shade(t, sx, sy, vertices, normals, uv, tint, triangles, material_of, screen, textures, materials, lamp, eye, axis):
    """Light one sample: diffuse and wet or metallic gloss under the scope's lamp. Returns 1 / z, r, g, b."""
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
    m = material_of[t]
    u = wa * uv[a, 0] + wb * uv[b, 0] + wc * uv[c, 0]
    v = wa * uv[a, 1] + wb * uv[b, 1] + wc * uv[c, 1]
    size = textures.shape[1]
    u = (u - np.floor(u)) * np.float32(size)
    v = (v - np.floor(v)) * np.float32(size)
    x0, y0 = min(np.int64(u), size - 1), min(np.int64(v), size - 1)
    fx, fy = u - np.float32(x0), v - np.float32(y0)
    x1 = x0 + 1 if x0 + 1 < size else 0
    y1 = y0 + 1 if y0 + 1 < size else 0
    nx = wa * normals[a, 0] + wb * normals[b, 0] + wc * normals[c, 0]
    ny = wa * normals[a, 1] + wb * normals[b, 1] + wc * normals[c, 1]
    nz = wa * normals[a, 2] + wb * normals[b, 2] + wc * normals[c, 2]
    # Bumps tilt the normal along two tangents; the scene is seen from about -z, so that the
    # directions x and y, made orthogonal to the normal, always serve.
    gx = _tap(textures, m, x0, x1, y0, y1, fx, fy, 3) * materials[m, 3]
    gy = _tap(textures, m, x0, x1, y0, y1, fx, fy, 4) * materials[m, 3]
    along = gx * nx + gy * ny
    nx, ny, nz = nx + gx - along * nx, ny + gy - along * ny, nz - along * nz
    scale = ONE / np.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-12))
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    px = wa * vertices[a, 0] + wb * vertices[b, 0] + wc * vertices[c, 0]
    py = wa * vertices[a, 1] + wb * vertices[b, 1] + wc * vertices[c, 1]
    pz = wa * vertices[a, 2] + wb * vertices[b, 2] + wc * vertices[c, 2]
    lx, ly, lz = lamp[0] - px, lamp[1] - py, lamp[2] - pz
    square = lx * lx + ly * ly + lz * lz + np.float32(1.0)
    near_lamp = ONE / np.sqrt(square)
    lx, ly, lz = lx * near_lamp, ly * near_lamp, lz * near_lamp
    cone = max(ZERO, -(lx * axis[0] + ly * axis[1] + lz * axis[2]))
    light = np.float32(4900.0) * near_lamp * near_lamp * cone * cone * cone  # 1 at 70 mm
    hx, hy, hz = eye[0] - px, eye[1] - py, eye[2] - pz
    scale = ONE / np.sqrt(hx * hx + hy * hy + hz * hz)
    hx, hy, hz = hx * scale + lx, hy * scale + ly, hz * scale + lz
    facing = max(ZERO, nx * hx + ny * hy + nz * hz)
    facing = facing * facing / (hx * hx + hy * hy + hz * hz)
    lambert = nx * lx + ny * ly + nz * lz
    wrap = materials[m, 0]
    diffuse = max(ZERO, (lambert + wrap) / (ONE + wrap))
    alpha = materials[m, 2] * materials[m, 2]
    lobe = alpha / (facing * (alpha * alpha - ONE) + ONE)
    gloss = materials[m, 1] * _tap(textures, m, x0, x1, y0, y1, fx, fy, 5) * lobe * lobe * light
    # Light that tissue throws back.
    bounce = np.float32(0.10) * (ONE - nz) * light + np.float32(0.006)
    shade = wa * tint[a] + wb * tint[b] + wc * tint[c]
    metal = materials[m, 4]
    red = _tap(textures, m, x0, x1, y0, y1, fx, fy, 0)
    green = _tap(textures, m, x0, x1, y0, y1, fx, fy, 1)
    blue = _tap(textures, m, x0, x1, y0, y1, fx, fy, 2)
    matt = diffuse * light + bounce * np.float32(0.72)
    plain = (ONE - metal) * gloss
    gloss *= metal
    return (
        near,
        shade * (red * (matt + bounce * np.float32(0.28) + gloss) + plain),
        shade * (green * (matt + gloss) + plain),
        shade * (blue * (matt + gloss) + plain),
    )


@njit(**_OPTIONS)
def shade(mesh, part_of, owner, screen, textures, materials, lamp, eye, axis, field, out, depth):
    """Resolve the visibility buffer into linear RGB `out` (H, W, 3) and 1 / z `depth` (H, W).

    `field` is the round field of view (x, y, radius in pixels); nothing beyond it is shaded.
    """
    vertices, normals, uv, tint, triangles, material_of = mesh
    weight = np.float32(1.0 / (SAMPLES * SAMPLES))
    parts = np.empty(SAMPLES * SAMPLES, np.int64)
    counts = np.empty(SAMPLES * SAMPLES, np.int64)
    first = np.empty(SAMPLES * SAMPLES, np.int64)
    limit = (field[2] + 2.0) ** 2
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x, 0] = out[y, x, 1] = out[y, x, 2] = depth[y, x] = 0.0
            if (x - field[0]) ** 2 + (y - field[1]) ** 2 > limit:
                continue
            groups = 0
            for s in range(SAMPLES * SAMPLES):
                t = owner[y * SAMPLES + s // SAMPLES, x * SAMPLES + s % SAMPLES]
                if t < 0:
                    continue
                g = 0
                while g < groups and parts[g] != part_of[t]:
                    g += 1
                if g == groups:
                    parts[g], counts[g], first[g] = part_of[t], 0, s
                    groups += 1
                counts[g] += 1
            for g in range(groups):
                sy, sx = y * SAMPLES + first[g] // SAMPLES, x * SAMPLES + first[g] % SAMPLES
                t = owner[sy, sx]
                near, red, green, blue = _shade(
                    t, np.float32(sx + 0.5), np.float32(sy + 0.5), vertices, normals, uv, tint,
                    triangles, material_of, screen, textures, materials,
                    lamp, eye, axis,
                )  # fmt: skip
                share = weight * np.float32(counts[g])
                depth[y, x] = max(depth[y, x], near)
                out[y, x, 0] += share * red
                out[y, x, 1] += share * green
                out[y, x, 2] += share * blue


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
