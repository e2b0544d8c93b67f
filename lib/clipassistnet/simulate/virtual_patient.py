"""A virtual patient: anatomy, colours, camera and instruments, drawn from the patient's own seed.

World axes are those of the scope in its rest position: x right, y down, z into the picture, in mm.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from clipassistnet.simulate import anatomy
from clipassistnet.simulate import materials as m
from clipassistnet.simulate.instruments import ClipperModel
from clipassistnet.simulate.meshes import TILE, Surface, cross, join, tube, waves


@dataclass(frozen=True)
class Camera:
    """Optics and sensor of one patient's video equipment; shares are of the picture's size."""

    focal: float  # focal length, share of the width
    field: tuple[float, float, float]  # round field of view: x, y (shares), radius (of the width)
    border: tuple[float, float, float]  # colour beyond the field, 8 bit
    balance: tuple[float, float, float]  # white balance
    brightness: float  # linear level that the exposure aims at
    gamma: float
    noise: float  # 8 bit
    sharpening: float  # gain of the details
    lamp: tuple[float, float, float]  # mm from the lens
    focus: float  # mm; nearer things blur
    glow: float  # share of a highlight's light that the lens scatters around it
    shadow: float  # how dark the gaps behind near things are
    roll: float  # rad


@dataclass(frozen=True)
class Patient:
    """What stays the same over all videos of a patient."""

    camera: Camera
    tissue: Surface
    texture_seed: np.random.SeedSequence
    texture_pixels: int
    duct: np.ndarray  # (n, 3) centre line
    artery: np.ndarray  # (n, 3)
    radius: dict[str, float]
    trocars: dict[str, np.ndarray]  # where the tools come from
    roll: float  # rad; how the applier's jaws open, from the picture's plane
    neck: np.ndarray  # where the grasper holds the gallbladder
    buried: float  # 0: well dissected, 1: duct buried in fat

    @cached_property
    def textures(self) -> np.ndarray:
        """Tiles of all materials (see `materials.textures`), made when they are first needed."""
        rng = np.random.default_rng(self.texture_seed)
        return m.textures(rng, self.texture_pixels, _colours(rng))


def _camera(rng: np.random.Generator) -> Camera:
    if rng.random() < 0.9:
        radius = rng.uniform(0.36, 0.47)
        field = (0.5 + rng.normal() * 0.02, 0.5 + rng.normal() * 0.01, radius)
    else:
        field = (0.5, 0.5, 2.0)
    red = rng.uniform(0.95, 1.2)
    border = (16.0, 1.0, 1.0) if rng.random() < 0.4 else (1.0, 1.0, 2.0)
    return Camera(
        focal=rng.uniform(0.8, 1.0),
        field=field,
        border=border,
        balance=(red, 1.0, rng.uniform(0.97, 1.29)),
        brightness=rng.uniform(0.075, 0.125),
        gamma=rng.uniform(1.32, 1.58),
        noise=rng.uniform(0.6, 1.8),
        sharpening=rng.uniform(0.2, 0.9),
        lamp=tuple(rng.normal(size=3) * (3.0, 3.0, 1.0)),
        focus=rng.uniform(45, 60),
        glow=rng.uniform(0.0, 0.25),
        shadow=rng.uniform(2.0, 6.0),
        roll=rng.normal() * 0.3,
    )


def _colours(rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Draw the linear RGB of each material, with a patient's own tint."""
    base = {
        m.LIVER: rng.choice([(0.30, 0.085, 0.070), (0.34, 0.12, 0.11), (0.30, 0.075, 0.045)]),
        m.GALLBLADDER: rng.choice([(0.42, 0.33, 0.36), (0.52, 0.30, 0.26), (0.50, 0.40, 0.30)]),
        m.FAT: rng.choice([(0.66, 0.37, 0.19), (0.70, 0.46, 0.25), (0.66, 0.44, 0.34)]),
        m.DUCT: (0.62, 0.36, 0.30),
        m.ARTERY: (0.55, 0.22, 0.20),
        m.BED: rng.choice([(0.46, 0.20, 0.13), (0.50, 0.28, 0.22), (0.52, 0.30, 0.18)]),
        m.BOWEL: (0.58, 0.30, 0.26),
        m.STEEL: np.array((0.116, 0.11, 0.106)) * rng.uniform(0.8, 1.9),
        m.BLACK: (0.03, 0.03, 0.035),
        m.POLYMER: rng.choice([(0.75, 0.73, 0.68), (0.42, 0.30, 0.62), (0.70, 0.70, 0.72)]),
        m.DARK: (0.12, 0.035, 0.03),
        m.MATT: np.array((0.20, 0.20, 0.195)) * rng.uniform(0.7, 1.4),
    }
    tools = (m.STEEL, m.BLACK, m.POLYMER, m.MATT)
    grey = rng.uniform(0, 0.25)
    tinted = {}
    for material, colour in base.items():
        colour = np.asarray(colour) * (1 if material in tools else rng.uniform(0.88, 1.12, 3))
        if material not in tools:
            colour = colour * (1 - grey) + grey * colour.mean()
        tinted[material] = colour
    return tinted


def draw_patient(seed: np.random.SeedSequence, width: int) -> Patient:
    """Draw a patient. `width` (pixels of the picture) sets the resolution of the textures."""
    geometry_seed, texture_seed = seed.spawn(2)
    rng = np.random.default_rng(geometry_seed)
    camera = _camera(rng)
    target = np.array([rng.uniform(-8, 8), rng.uniform(-6, 6), rng.uniform(60, 84)])
    away = np.array([rng.uniform(70, 110), rng.uniform(-35, 80), -rng.uniform(35, 75)])
    axis = -away / np.linalg.norm(away)
    roll = rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)
    opening = opening_direction(axis, roll)
    duct_way = cross(axis, opening) + rng.normal(size=3) * 0.15
    duct_way *= np.sign(duct_way[1]) / np.linalg.norm(duct_way)
    neck = target - 17 * duct_way + np.array([-2, 0, 2])
    duct = anatomy.vessel(
        target, duct_way, rng.normal(size=3) * 5 + (0, 0, rng.uniform(20, 30)), 30
    )
    aside = axis * rng.uniform(6, 9) + np.array([0, 0, rng.uniform(1, 5)])
    artery = anatomy.vessel(
        target + aside,
        duct_way + rng.normal(size=3) * 0.15,
        np.array([0, 0, rng.uniform(20, 30)]),
        30,
    )
    radius = {"duct": rng.uniform(1.7, 2.8), "artery": rng.uniform(1.0, 1.5)}
    buried = rng.uniform(0.15, 0.55)
    clearance = 16 - 10 * buried
    # The vessels are freed in the middle alone: their ends widen and sink into the tissue.
    flare = 1 + 1.2 * np.linspace(-1, 1, 41) ** 4
    knobs = flare + 0.08 * waves(duct / 6, rng, 1.0)
    tissue = join(
        [
            tube(duct, radius["duct"] * knobs, m.DUCT, anatomy.DUCT),
            tube(artery, radius["artery"] * flare, m.ARTERY, anatomy.ARTERY, sides=10),
            *anatomy.fat(target, axis, buried, clearance, rng),  # near things are drawn first
            *anatomy.folds(duct, target, clearance, rng),
            *anatomy.organs(target, neck, rng),
            anatomy.bed(target, clearance, rng),
        ]
    )
    # Somewhat finer than the picture's pixels at 70 mm, so that the nearest texel serves.
    pixels = 16 * round(min(1.25 * TILE * camera.focal * width / 70, 1024) / 16)
    trocars = {
        "clipper": target + away,
        "grasper": target + np.array([-90, rng.uniform(-70, 10), -rng.uniform(20, 60)]),
        "hook": target + np.array([70, rng.uniform(-60, 20), -rng.uniform(40, 70)]),
    }
    return Patient(
        camera=camera,
        tissue=tissue,
        texture_seed=texture_seed,
        texture_pixels=pixels,
        duct=duct,
        artery=artery,
        radius=radius,
        trocars=trocars,
        roll=roll,
        neck=neck,
        buried=buried,
    )


def opening_direction(axis: np.ndarray, roll: float) -> np.ndarray:
    """Unit vector in which jaws open; roll 0: in the picture's plane, pi / 2: in depth."""
    across = np.array([-axis[1], axis[0], 0.0])  # z crossed with the axis
    across /= np.linalg.norm(across)
    return np.cos(roll) * across + np.sin(roll) * cross(axis, across)


def draw_clipper_model(rng: np.random.Generator, *, polymer: bool) -> ClipperModel:
    """Draw a brand of clip applier, for metal or polymer clips."""
    spacing = rng.uniform(1.4, 2.5)
    return ClipperModel(
        polymer=polymer,
        length=rng.uniform(14, 20),
        gap=rng.uniform(3.5, 4.7) + 0.8 * polymer,
        bend=rng.choice([-1, 1]) * rng.uniform(0.3, 2.0),
        width=rng.uniform(1.6, 2.6),
        height=rng.uniform(1.6, 2.2),
        shaft=rng.uniform(4.4, 5.2),
        rings=tuple(-rng.uniform(8, 12) - np.arange(rng.choice((1, 2, 2, 2, 3))) * spacing),
    )
