"""Materials of the surfaces: tiles of colour, bumps and gloss, drawn for each patient."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numba import njit

from clipassistnet.simulate.raster import OPTIONS

LIVER, GALLBLADDER, FAT, DUCT, ARTERY, BED, BOWEL, STEEL, BLACK, POLYMER, DARK, MATT = range(12)

# Columns: wrap of diffuse light (tissue scatters), gloss, roughness, bump, metal.
_TABLE = {
    LIVER: (0.12, 0.045, 0.36, 0.07, 0.0),
    GALLBLADDER: (0.15, 0.035, 0.28, 0.14, 0.0),
    FAT: (0.22, 0.05, 0.30, 0.25, 0.0),
    DUCT: (0.20, 0.05, 0.30, 0.35, 0.0),
    ARTERY: (0.18, 0.05, 0.30, 0.35, 0.0),
    BED: (0.15, 0.06, 0.30, 0.32, 0.0),
    BOWEL: (0.22, 0.04, 0.30, 0.15, 0.0),
    STEEL: (0.05, 1.30, 0.40, 0.015, 1.0),
    BLACK: (0.10, 0.15, 0.45, 0.05, 0.0),
    POLYMER: (0.40, 0.20, 0.40, 0.05, 0.0),
    DARK: (0.25, 0.02, 0.50, 0.20, 0.0),
    MATT: (0.15, 0.60, 0.50, 0.03, 0.8),
}
PARAMETERS = np.array([_TABLE[m] for m in sorted(_TABLE)], np.float32)


def _noise(rng: np.random.Generator, pixels: int, slope: float, low: float = 0.0) -> np.ndarray:
    """Noise tile of unit variance that repeats; its spectrum falls as frequency ** -slope."""
    frequency = np.fft.fftfreq(pixels) * pixels
    radius = np.hypot(frequency[:, None], frequency[None, : pixels // 2 + 1])
    spectrum = np.where(radius > low, np.maximum(radius, 1.0) ** -slope, 0.0)
    phase = np.fft.rfft2(rng.normal(size=(pixels, pixels)))
    field = np.fft.irfft2(phase * spectrum)
    return (field / field.std()).astype(np.float32)


def _vessels(rng: np.random.Generator, pixels: int, count: int) -> np.ndarray:
    """Tile of branching vessels, 0 to 1."""
    tile = np.zeros((pixels, pixels), np.float32)
    stems = [(*rng.uniform(0, pixels, 2), rng.uniform(0, 2 * np.pi), 1.9) for _ in range(count)]
    while stems:
        x, y, heading, width = stems.pop()
        for _ in range(int(rng.integers(12, 40))):
            heading += rng.normal() * 0.28
            first = (x % pixels, y % pixels)
            x, y = x + 5 * math.cos(heading), y + 5 * math.sin(heading)
            second = (x % pixels, y % pixels)
            if max(abs(first[0] - second[0]), abs(first[1] - second[1])) < 20:
                start, end = ((int(16 * a), int(16 * b)) for a, b in (first, second))
                cv2.line(tile, start, end, 1.0, max(1, round(width)), cv2.LINE_AA, 4)
            if width > 1 and rng.random() < 0.07:
                stems.append((x, y, heading + rng.choice([-0.7, 0.7]), width - 0.8))
    return cv2.GaussianBlur(tile, (0, 0), 0.8)


@njit(**OPTIONS)
def _pack(colour, height, gloss, texels):
    """Fill `texels` (n, n, 8): square roots of linear RGB, slope of the height in x and y, gloss.

    `colour` is (n, n, 3), `height` and `gloss` are (n, n), all float32; the tile repeats.
    """
    size = height.shape[0]
    slopes = np.empty((2, size, size), np.float32)
    total = squares = 0.0
    for y in range(size):
        for x in range(size):
            across = np.float32(0.5) * (height[y, (x + 1) % size] - height[y, x - 1])
            down = np.float32(0.5) * (height[(y + 1) % size, x] - height[y - 1, x])
            slopes[0, y, x], slopes[1, y, x] = across, down
            total += np.hypot(across, down)
            squares += across * across + down * down
    # All tiles' slopes have the same deviation; how far they tilt the surface is the material's.
    mean = total / (size * size)
    scale = np.float32(20 / max(1e-6, np.sqrt(squares / (size * size) - mean * mean)))
    for y in range(size):
        for x in range(size):
            for k in range(3):
                level = min(max(colour[y, x, k], np.float32(0)), np.float32(1))
                texels[y, x, k] = np.uint8(255 * np.sqrt(level) + np.float32(0.5))
            for k in range(2):
                level = np.float32(128.5) - slopes[k, y, x] * scale
                texels[y, x, 3 + k] = np.uint8(min(max(level, np.float32(0)), np.float32(255)))
            level = 128 * gloss[y, x] + np.float32(0.5)
            texels[y, x, 5] = np.uint8(min(max(level, np.float32(0)), np.float32(255)))


def _mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)[..., None]
    return first * (1 - share) + second * share


def textures(rng: np.random.Generator, pixels: int, colours: dict[int, np.ndarray]) -> np.ndarray:
    """Tiles of all materials (M, pixels, pixels, 2), eight bytes a texel.

    `colours` are linear RGB by material.
    """
    broad, middle, fine = (
        _noise(rng, pixels, slope, low) for slope, low in ((1.7, 0), (1.3, 4), (0.9, 20))
    )
    other = np.roll(broad[::-1], pixels // 4, 1)
    vessels = _vessels(rng, pixels, int(rng.integers(10, 26)))
    colours = {material: np.float32(colour) for material, colour in colours.items()}
    red, yellow, cream = np.float32([(0.32, 0.03, 0.03), (0.75, 0.5, 0.16), (0.7, 0.45, 0.34)])
    smooth, lumpy = (_noise(rng, pixels, slope, 3) for slope in (2.7, 2.1))
    wet = np.clip(0.7 + 0.4 * np.roll(middle, pixels // 3, 0), 0.1, 1.8)
    tiles = np.zeros((len(_TABLE), pixels, pixels, 8), np.uint8)
    shade = (1 + 0.14 * broad + 0.04 * middle + 0.03 * fine)[..., None]
    for material in (LIVER, ARTERY, BOWEL, DARK):
        # The liver's wet sheen differs most between patients: from matt to mirror-like.
        gloss = wet * rng.uniform(0.2, 1.3) if material == LIVER else wet
        _pack(colours[material] * shade, smooth, gloss, tiles[material])
    spilt, drawn = rng.uniform(1.6, 3.6), rng.uniform(0.2, 0.7)  # blood; how far vessels show
    base = colours[GALLBLADDER] * (1 + 0.12 * broad + 0.05 * fine)[..., None]
    base = _mix(base, red, drawn * vessels + 0.12 * np.maximum(other - 0.6, 0))
    _pack(_mix(base, yellow, 0.25 * (broad - 0.5)), smooth, wet, tiles[GALLBLADDER])
    clots = cv2.GaussianBlur(np.roll(middle, pixels // 5, 1), (0, 0), pixels / 300) * 1.3
    clots = np.clip(1.2 * (clots + other - spilt), 0, 0.9)
    base = colours[FAT] * (1 + 0.06 * middle + 0.08 * broad + 0.04 * fine)[..., None]
    base = _mix(base, red, 0.3 * (other - 0.7) + 0.7 * drawn * vessels)
    _pack(_mix(base, red * 0.4, clots), lumpy, wet, tiles[FAT])
    base = _mix(colours[BED], yellow, 0.2 * broad)
    base = _mix(base, cream, 0.35 * (broad[:, ::-1] - 0.3)) * (1 + 0.05 * fine)[..., None]
    base = _mix(base, red * 0.6, 0.6 * (other - 0.5) + 0.7 * drawn * vessels)
    _pack(_mix(base, red * 0.4, 1.3 * clots), lumpy + 0.03 * middle, 1.2 * wet, tiles[BED])
    base = _mix(
        colours[DUCT] * (1 + 0.1 * middle)[..., None], red, 0.5 * vessels + 0.4 * (other - 0.8)
    )
    _pack(base, lumpy, wet, tiles[DUCT])
    shade = (1 + 0.06 * broad + 0.04 * fine)[..., None]
    for material in (STEEL, BLACK, POLYMER, MATT):
        _pack(colours[material] * shade, fine + broad, 1 + 0.1 * middle, tiles[material])
    return tiles.view(np.uint32)
