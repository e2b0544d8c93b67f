"""Materials of the surfaces: tiles of colour, bumps and gloss, drawn for each patient."""

from __future__ import annotations

import cv2
import numpy as np

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
    stems = [(rng.uniform(0, pixels, 2), rng.uniform(0, 2 * np.pi), 1.9) for _ in range(count)]
    while stems:
        place, heading, width = stems.pop()
        for _ in range(int(rng.integers(12, 40))):
            heading += rng.normal() * 0.28
            step = place + 5 * np.array([np.cos(heading), np.sin(heading)])
            ends = [tuple(int(c * 16) for c in point % pixels) for point in (place, step)]
            if np.abs(place % pixels - step % pixels).max() < 20:
                cv2.line(tile, *ends, 1.0, max(1, round(width)), cv2.LINE_AA, 4)
            place = step
            if width > 1 and rng.random() < 0.07:
                stems.append((place, heading + rng.choice([-0.7, 0.7]), width - 0.8))
    return cv2.GaussianBlur(tile, (0, 0), 0.8)


def _pack(colour, height: np.ndarray, gloss) -> np.ndarray:
    """Eight bytes a texel: square roots of linear RGB, slope of the height in x and y, gloss."""
    slope_x = (np.roll(height, -1, 1) - np.roll(height, 1, 1)) * 0.5
    slope_y = (np.roll(height, -1, 0) - np.roll(height, 1, 0)) * 0.5
    scale = 20 / max(1e-6, np.hypot(slope_x, slope_y).std())
    texels = np.zeros((*height.shape, 8), np.float32)
    texels[..., :3] = 255 * np.sqrt(np.clip(colour, 0, 1))
    texels[..., 3], texels[..., 4] = 128 - slope_x * scale, 128 - slope_y * scale
    texels[..., 5] = 128 * gloss
    return np.clip(texels + 0.5, 0, 255).astype(np.uint8)


def _mix(first, second, share: np.ndarray) -> np.ndarray:
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(first) * (1 - share) + np.asarray(second) * share


def textures(rng: np.random.Generator, pixels: int, colours: dict[int, np.ndarray]) -> np.ndarray:
    """Tiles of all materials (M, pixels, pixels, 2), eight bytes a texel.

    `colours` are linear RGB by material.
    """
    broad, middle, fine = (
        _noise(rng, pixels, slope, low) for slope, low in ((1.7, 0), (1.3, 4), (0.9, 20))
    )
    other = np.roll(broad[::-1], pixels // 4, 1)
    vessels = _vessels(rng, pixels, int(rng.integers(10, 26)))
    red, yellow, cream = (
        np.array(c) for c in ((0.32, 0.03, 0.03), (0.75, 0.5, 0.16), (0.7, 0.45, 0.34))
    )
    smooth, lumpy = (_noise(rng, pixels, slope, 3) for slope in (2.7, 2.1))
    wet = np.clip(0.7 + 0.4 * np.roll(middle, pixels // 3, 0), 0.1, 1.8)
    tiles = {}
    for material, colour in colours.items():
        shade = 1 + 0.14 * broad + 0.04 * middle + 0.03 * fine
        # The liver's wet sheen differs most between patients: from matt to mirror-like.
        gloss = wet * rng.uniform(0.2, 1.3) if material == LIVER else wet
        tiles[material] = _pack(colour * shade[..., None], smooth, gloss)
    spilt, drawn = rng.uniform(1.6, 3.6), rng.uniform(0.2, 0.7)  # blood; how far vessels show
    base = colours[GALLBLADDER] * (1 + 0.12 * broad + 0.05 * fine)[..., None]
    base = _mix(base, red, drawn * vessels + 0.12 * np.maximum(other - 0.6, 0))
    tiles[GALLBLADDER] = _pack(_mix(base, yellow, 0.25 * (broad - 0.5)), smooth, wet)
    clots = cv2.GaussianBlur(np.roll(middle, pixels // 5, 1), (0, 0), pixels / 300) * 1.3
    clots = np.clip(1.2 * (clots + other - spilt), 0, 0.9)
    base = colours[FAT] * (1 + 0.06 * middle + 0.08 * broad + 0.04 * fine)[..., None]
    base = _mix(base, red, 0.3 * (other - 0.7) + 0.7 * drawn * vessels)
    tiles[FAT] = _pack(_mix(base, red * 0.4, clots), lumpy, wet)
    base = _mix(colours[BED], yellow, 0.2 * broad)
    base = _mix(base, cream, 0.35 * (broad[:, ::-1] - 0.3)) * (1 + 0.05 * fine)[..., None]
    base = _mix(base, red * 0.6, 0.6 * (other - 0.5) + 0.7 * drawn * vessels)
    tiles[BED] = _pack(_mix(base, red * 0.4, 1.3 * clots), lumpy + 0.03 * middle, 1.2 * wet)
    base = _mix(
        colours[DUCT] * (1 + 0.1 * middle)[..., None], red, 0.5 * vessels + 0.4 * (other - 0.8)
    )
    tiles[DUCT] = _pack(base, lumpy, wet)
    for material in (STEEL, BLACK, POLYMER, MATT):
        shade = 1 + 0.06 * broad + 0.04 * fine
        tiles[material] = _pack(
            colours[material] * shade[..., None], fine + broad, 1 + 0.1 * middle
        )
    return np.stack([tiles[material] for material in sorted(tiles)]).view(np.uint32)
