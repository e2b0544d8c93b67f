"""Render a scene to a picture and keep the buffers from which truth is measured."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from clipassistnet.simulate import raster, shading
from clipassistnet.simulate.instruments import CLIPPER
from clipassistnet.simulate.materials import PARAMETERS
from clipassistnet.simulate.meshes import Surface
from clipassistnet.simulate.virtual_patient import Patient

_LEVELS = 2048
_FOLLOW = 0.06  # how much of the wanted change of exposure a camera makes from frame to frame
_GRAINS = 1 << 18  # of sensor noise, from which every row of a picture takes a run


@dataclass
class ScopeView:
    """Pose of the scope in one frame, with the smoke and the motion that blur its picture."""

    rotation: np.ndarray  # (3, 3) world to camera
    position: np.ndarray  # (3,) mm
    smoke: float = 0.0  # 0 none, 1 opaque
    tool_speed: tuple[float, float] = (0.0, 0.0)  # pixels during the exposure
    camera_speed: tuple[float, float] = (0.0, 0.0)  # pixels during the exposure


class Renderer:
    """Draws one patient at one size. Buffers are reused: a picture is valid until the next one."""

    def __init__(self, patient: Patient, width: int, height: int, seed: np.random.SeedSequence):
        self.patient, self.width, self.height = patient, width, height
        self.rng = np.random.default_rng(seed)
        samples = raster.SAMPLES
        self.depth = np.zeros((height * samples, width * samples), np.float32)
        self.owner = np.zeros((height * samples, width * samples), np.int32)
        self.linear = np.zeros((height, width, 3), np.float32)
        self.near = np.zeros((height, width), np.float32)
        self.picture = np.zeros((height, width, 3), np.uint8)
        camera = patient.camera
        x, y, radius = camera.field
        self.field = np.array([x * width, y * height, radius * width], np.float32)
        self.limits, self.fine_limits = self._limits(1), self._limits(samples)
        level = np.linspace(0, 1, _LEVELS)
        # A soft shoulder, as a camera has: highlights reach white late.
        toned = (1 - np.exp(-2.2 * level * 1.6)) / (1 - np.exp(-2.2 * 1.6))
        self.curve = (255 * toned ** (1 / camera.gamma)).astype(np.float32)
        self.grain = self.rng.normal(size=_GRAINS).astype(np.float32) * np.float32(camera.noise)
        self.exposure = 0.0
        self.surface: Surface  # of the frame that was traced last

    def _limits(self, samples: int) -> np.ndarray:
        """Columns [start, stop) of each row that lie in the field of view, with a little rim."""
        x, y, radius = self.field * samples
        rows = np.arange(self.height * samples) + 0.5 - y
        half = np.sqrt(np.maximum(0, (radius + 2 * samples) ** 2 - rows**2))
        spans = np.stack([np.floor(x - half), np.ceil(x + half)], 1)
        return np.clip(spans, 0, self.width * samples).astype(np.int64)

    def draw(self, surface: Surface, view: ScopeView, *, settled: bool = False) -> np.ndarray:
        """Picture (height, width, 3) uint8 RGB of the surface as seen from the view.

        `settled`: the camera's exposure has settled on what it sees, as for a still picture. Else
        it follows what the pictures before have shown.
        """
        self.trace(surface, view)
        rotation = view.rotation
        lamp = view.position + rotation.T @ np.asarray(self.patient.camera.lamp)
        shading.shade(
            surface.data,
            surface.triangles,
            self.owner,
            self.patient.textures,
            PARAMETERS,
            lamp.astype(np.float32),
            view.position.astype(np.float32),
            rotation[2].astype(np.float32),
            self.limits,
            self.linear,
            self.near,
        )
        if settled:
            self.exposure = self._wanted_exposure()
        self._optics(view)
        wanted = self._wanted_exposure()
        at_once = settled or self.exposure == 0
        self.exposure += (wanted - self.exposure) * (1.0 if at_once else _FOLLOW)
        self._develop()
        return self.picture

    def trace(self, surface: Surface, view: ScopeView) -> None:
        """Fill the visibility buffer: which triangle every subpixel shows."""
        scale = self.width * raster.SAMPLES
        raster.project(
            surface.data,
            view.rotation,
            view.position,
            self.patient.camera.focal * scale,
            0.5 * scale,
            0.5 * self.height * raster.SAMPLES,
        )
        self.depth.fill(0)
        self.owner.fill(-1)
        everything = np.arange(len(surface.triangles), dtype=np.int32)
        raster.rasterise(
            surface.data,
            surface.triangles,
            everything,
            0.0,
            0.0,
            self.fine_limits,
            self.depth,
            self.owner,
        )
        self.surface = surface

    def parts(self) -> np.ndarray:
        """Owner (int8) of every subpixel: its surface's part, -1 for none or out of the field."""
        found = np.empty(self.owner.shape, np.int8)
        raster.parts(self.owner, self.surface.triangles, self.field * raster.SAMPLES, found)
        return found

    def _shadow(self, near: np.ndarray) -> np.ndarray:
        """Light (h, w) that is lost just behind near things, on the side away from the lamp.

        The lamp sits beside the lens, so shadows are narrow: the light that a pixel loses grows
        with how much nearer its surroundings are, and the surroundings are shifted by the lamp.
        """
        camera = self.patient.camera
        around = cv2.GaussianBlur(near, (0, 0), self.width / 110)
        shift = np.array(camera.lamp[:2]) * self.width / 1100
        move = np.float32([[1, 0, -shift[0]], [0, 1, -shift[1]]])
        around = cv2.warpAffine(around, move, near.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
        around /= np.maximum(near, np.float32(1e-4))
        return np.clip(np.float32(camera.shadow) * (around - 1), 0, np.float32(0.6))

    def _optics(self, view: ScopeView) -> None:
        """Shadows, defocus of what is too near, glow, motion blur of the tools, smoke."""
        camera, size = self.patient.camera, (self.width, self.height)
        near = cv2.resize(self.near, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_LINEAR)
        blur = np.clip((near * np.float32(camera.focus) - 1) * np.float32(1.6), 0, 1)
        blur = cv2.GaussianBlur(blur, (0, 0), self.width / 320)
        small = cv2.resize(self.linear, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), self.width / 440)
        glow = np.maximum(small - np.float32(0.6 / max(self.exposure, 1e-3)), 0)
        glow = cv2.GaussianBlur(glow * np.float32(camera.glow), (0, 0), self.width / 150)
        layers = (cv2.resize(layer, size) for layer in (self._shadow(near), soft, blur, glow))
        shading.compose(self.linear, self.limits, *layers)
        if np.hypot(*view.tool_speed) > 1.0:
            samples = raster.SAMPLES
            tool = self.surface.part[self.owner[::samples, ::samples]] >= CLIPPER
            tool &= self.owner[::samples, ::samples] >= 0
            if tool.any():
                _streak(self.linear, view.tool_speed, tool)
        if np.hypot(*view.camera_speed) > 1.0:
            _streak(self.linear, view.camera_speed, None)
        if view.smoke > 0:
            haze = self.rng.normal(size=(4, 6)).astype(np.float32) * 0.12 + 1
            haze = cv2.resize(haze, (self.width, self.height), interpolation=cv2.INTER_CUBIC)
            share = np.clip(view.smoke * haze, 0, 0.95)[..., None]
            level = np.float32(1.8 * self.linear.mean())
            self.linear += share * (level * np.float32([1, 0.95, 0.93]) - self.linear)

    def _wanted_exposure(self) -> float:
        """Exposure that brings the mean of the linear picture to the camera's brightness."""
        inside = self.linear[::4, ::4].max(-1)
        inside = np.minimum(inside[inside > 0], 1.5)
        if inside.size == 0:
            return 1.0
        return self.patient.camera.brightness / max(1e-4, float(inside.mean()))

    def _develop(self) -> None:
        """Apply exposure, tone, noise and field of view; then the camera's own sharpening."""
        camera = self.patient.camera
        gain = self.exposure * np.asarray(camera.balance, np.float32)
        shading.develop(
            self.linear,
            self.limits,
            self.curve,
            gain.astype(np.float32),
            self.field,
            np.asarray(camera.border, np.float32),
            self.grain,
            self.rng.integers(0, _GRAINS - 3 * self.width, self.height),
            self.picture,
        )
        # Edges overshoot as they do in real recordings.
        soft, gain = cv2.GaussianBlur(self.picture, (5, 5), 1.1), camera.sharpening
        cv2.addWeighted(self.picture, 1 + gain, soft, -gain, 0, dst=self.picture)


def _streak(linear: np.ndarray, speed: tuple[float, float], mask: np.ndarray | None) -> None:
    """Blur `linear` in place along `speed` (x, y in pixels), where the mask's streak passes."""
    length = float(np.hypot(*speed))
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    half = np.asarray(speed) / 2
    ends = [tuple(round(float(middle + s * h) * 16) for h in half) for s in (-1, 1)]
    cv2.line(kernel, *ends, 1.0, 1, cv2.LINE_AA, 4)
    kernel /= kernel.sum()
    if mask is None:
        linear[:] = cv2.filter2D(linear, -1, kernel, borderType=cv2.BORDER_REFLECT)
        return
    box = tuple(
        slice(max(0, places.min() - size), places.max() + size + 1) for places in np.nonzero(mask)
    )
    part, mask = linear[box], mask[box].astype(np.float32)
    blurred = cv2.filter2D(part, -1, kernel, borderType=cv2.BORDER_REFLECT)
    share = np.minimum(1, 2 * cv2.filter2D(mask, -1, kernel))[..., None]
    part += share * (blurred - part)
