"""The surfaces of a patient's anatomy, around the duct that is to be clipped; lengths in mm.

World axes are those of the scope in its rest position: x right, y down, z into the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from clipassistnet.simulate import materials as m
from clipassistnet.simulate.meshes import Surface, blob, grid, tube, waves

# Tissue surfaces, by owner.
LIVER, LIVER_BACK, GALLBLADDER, DUCT, ARTERY, BED, CAVITY, BOWEL, FAT = range(9)
NECK, FOLD, STRAND = range(16, 19)  # FAT + k: the lumps of fat


def _sheet(
    centre: Sequence[float],
    span: tuple[float, float],
    depth: Callable,
    rows: int,
    material: int,
    part: int,
    tint: float = 1.0,
) -> Surface:
    """Sheet that faces the scope: (x, y) on a grid of `span` about `centre`, z = depth(x, y)."""
    y, x = np.meshgrid(np.linspace(-1, 1, rows), np.linspace(-1, 1, 4 * rows // 3), indexing="ij")
    x, y = centre[0] + span[0] * x, centre[1] + span[1] * y
    points = np.stack([x, y, depth(x, y)], -1)
    return grid(points, material, part, closed=False, tint=tint)


def _bed_depth(target, clearance: float, x, y):
    """Depth of the tissue behind the duct: nearest at the target, falling away around it."""
    distance = np.hypot(x - target[0], y - target[1])
    return target[2] + clearance + 34 * (1 - np.exp(-((distance / 34) ** 2)))


def bed(target: np.ndarray, clearance: float, rng: np.random.Generator) -> Surface:
    """The tissue behind the duct, `clearance` mm behind the target (3,)."""

    def depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        rough = waves(np.stack([x, y, 0 * x], -1), rng, 0.07)
        return _bed_depth(target, clearance, x, y) + 2.6 * rough

    return _sheet(target, (62, 48), depth, 25, m.BED, BED)


def fat(
    target: np.ndarray,
    axis: np.ndarray,
    buried: float,
    clearance: float,
    rng: np.random.Generator,
) -> list[Surface]:
    """Mounds of fat on the bed around the target (3,).

    The more the duct is `buried` (0 to 1), the closer they are. `axis` (3,) is the direction of
    the clip applier: some mounds lie beyond the duct, where its tips come out.
    """
    lumps = []
    for k in range(7):
        size = rng.uniform(2.5, 7.5)
        angle = rng.uniform(0, 2 * np.pi)
        away = size + rng.uniform(1.0, 4.0) + (1 - buried) * rng.uniform(2, 9)
        place = target + away * np.array([np.cos(angle), np.sin(angle), 0])
        place[2] += rng.uniform(-1.0, 9.0) * (1.3 - 0.8 * buried)
        if k < 3:  # some lie where the tips come out beyond the duct
            place = target + axis * (size + rng.uniform(4, 8 + 6 * (1 - buried)))
            place += rng.normal(size=3) * (3, 3, 2)
            place[2] += 1.5 + (1 - buried) * 5
        radii = size * rng.uniform(0.8, 1.9, 3) * (1.0, 1.0, 0.6)
        # It is as high as a free lobule, but it rises from the bed: no mound floats.
        top, floor = place[2] - radii[2], _bed_depth(target, clearance, *place[:2])
        place[2] = max(place[2], floor - 1.0)
        radii[2] = place[2] - top
        material = m.FAT if rng.random() < 0.7 else m.BED
        rough = rng.uniform(0.05, 0.16)
        lumps.append(
            blob(place, radii, material, FAT + k, rng, rough=rough, frequency=1.8, rings=17)
        )
    return lumps


def folds(
    duct: np.ndarray, target: np.ndarray, clearance: float, rng: np.random.Generator
) -> list[Surface]:
    """The ligament that the duct runs into, and torn strands between the duct and the bed."""
    along = np.linspace(0, 1, 15)[:, None]
    start = duct[int(rng.integers(26, 31))] + (0, 0, 4)
    path = start + rng.uniform((4, 22, 6), (34, 44, 14)) * along
    thick = rng.uniform(3, 6) + rng.uniform(10, 20) * along[:, 0] ** 1.3
    thick = thick * (1 + 0.1 * waves(5 * path / 40, rng, 0.6))
    path[:, 2] += 0.75 * (thick - thick[0])  # it sinks into the bed as it widens
    material = m.FAT if rng.random() < 0.75 else m.DUCT
    parts = [tube(path, thick, material, FOLD, sides=24)]
    for _ in range(int(rng.integers(3, 9))):
        angle, away = rng.uniform(0, 2 * np.pi), rng.uniform(9, 20)
        end = target + away * np.array([np.cos(angle), np.sin(angle), 0])
        end[2] = _bed_depth(target, clearance, *end[:2])
        first = duct[int(rng.integers(8, 33))]
        path = first + (end - first) * along + rng.normal(size=3) * 3 * np.sin(np.pi * along)
        radius = rng.uniform(0.25, 0.8) * (1 + 0.8 * np.abs(2 * along[:, 0] - 1) ** 3)
        material = rng.choice([m.FAT, m.DUCT, m.BED])
        parts.append(tube(path, radius, material, STRAND, sides=7))
    return parts


def organs(target: np.ndarray, neck: np.ndarray, rng: np.random.Generator) -> list[Surface]:
    """Liver on the left and behind, gallbladder above, sometimes bowel in front below."""
    x, y, z = target
    sac = np.array((x + rng.uniform(-22, 0), y - rng.uniform(29, 38), z + rng.uniform(4, 14)))
    size_of_sac = (rng.uniform(16, 25), rng.uniform(20, 28), 17)
    funnel = np.linspace(0, 1, 9)
    narrowing = 13 - 10 * funnel**0.8
    size = rng.uniform(38, 52)
    found = [
        blob(
            (x - size - rng.uniform(6, 22), y + rng.uniform(-4, 24), z + rng.uniform(18, 30)),
            (size, size * rng.uniform(0.8, 1.1), 34),
            m.LIVER,
            LIVER,
            rng,
            rough=0.025,
        ),
        blob(
            (x + rng.uniform(34, 54), y + rng.uniform(-30, 0), z + rng.uniform(38, 55)),
            (40, 46, 30),
            m.LIVER,
            LIVER_BACK,
            rng,
            rough=0.03,
        ),
        blob(sac, size_of_sac, m.GALLBLADDER, GALLBLADDER, rng, rough=0.045),
        tube(sac + (neck - sac) * funnel[:, None], narrowing, m.GALLBLADDER, NECK, sides=20),
    ]
    if rng.random() < 0.45:
        place = (x + rng.uniform(-15, 20), y + rng.uniform(36, 44), z - rng.uniform(4, 18))
        found.append(blob(place, (30, 16, 14), m.BOWEL, BOWEL, rng, rough=0.03))
    cavity = _sheet((0, 0), (190, 140), lambda x, y: 150 + 0 * x, 6, m.DARK, CAVITY, 0.6)
    return [*found, cavity]


def vessel(
    target: np.ndarray, direction: np.ndarray, bend: np.ndarray, length: float
) -> np.ndarray:
    """Centre line (n, 3) through the target, `length` mm to each side, bent by `bend` (3,)."""
    along = np.linspace(-1, 1, 41)[:, None]
    return np.asarray(target) + length * along * direction + bend * (along**2)
