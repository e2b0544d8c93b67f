"""Measure the truth of a rendered frame: each tip's visible share and place, the label, its cause.

The guideline: a frame is visible if the tips of both jaws are in the picture and not hidden. A
polymer clip's tip stands for the jaw's. A frame that does not let one conclude is invisible.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipassistnet.simulate import raster
from clipassistnet.simulate.instruments import CLIP, CLIPPER, GRASPER, HOOK, JAW, OTHER_TOOLS
from clipassistnet.simulate.motion import Tool
from clipassistnet.simulate.renderer import Renderer, ScopeView

SEEN = 0.5  # a tip counts as seen from this visible share on
JOINED = 0.12  # jaws less open than this have one joined tip
RECOGNISABLE = 0.006  # share of the field that a recognisable clipper fills
# Motion during the exposure, share of the picture's width, that smears a tip so that it is lost. In
# sixteen simulated frames between 0.022 and 0.04 every tip could be made out.
BLURRED = 0.05
HAZY = 0.55  # smoke that hides whether a tip is occluded
DIM = 16.0  # 8-bit level below which a tip is lost in the dark
FEW_PIXELS = 1.5e-4  # share of the picture from which a clipper is annotated
_TOOLS = (("Grasper", GRASPER, HOOK), ("Hook", HOOK, CLIPPER), ("Clipper", CLIPPER, 99))  # owners
_HIDERS = ("occluded_tissue", "occluded_tool", "self_occluded", "out_of_view")


@dataclass(frozen=True)
class Tip:
    """One jaw's tip: place in pixels (it may lie outside the picture), visible share 0 to 1."""

    x: float
    y: float
    visible_share: float
    hidden_by: str  # main cause of the hidden part; "none" where nothing is hidden


@dataclass(frozen=True)
class Truth:
    """Truth of a frame. `ambiguity`, 0 to 1, says how easily an annotator errs."""

    label: str
    cause: str
    ambiguity: float
    tips: tuple[Tip, ...]
    boxes: tuple[tuple[str, float, float, float, float], ...]

    @property
    def near_cause(self) -> str:
        """Cause that an annotator gives who takes a visible tip for hidden."""
        causes = [tip.hidden_by for tip in self.tips if tip.hidden_by != "none"]
        return causes[0] if causes else "contrast"


def _window(screen: np.ndarray, triangles: np.ndarray) -> tuple[int, int, int, int]:
    """Subpixel bounds of triangles: left, top, width, height."""
    points = screen[np.unique(triangles)]
    points = points[points[:, 2] > 0, :2]
    if len(points) == 0:
        return 0, 0, 0, 0
    left, top = np.floor(points.min(0)).astype(int) - 1
    right, bottom = np.ceil(points.max(0)).astype(int) + 1
    return left, top, min(right - left, 4000), min(bottom - top, 4000)


def _cells(renderer: Renderer, mark: int) -> tuple[np.ndarray, np.ndarray]:
    """Subpixels (n, 2: x, y) that a tip would fill if nothing hid it, in picture coordinates."""
    surface = renderer.surface
    chosen = np.flatnonzero(surface.tip == mark).astype(np.int32)
    left, top, width, height = _window(surface.screen, surface.triangles[chosen, :3])
    depth, owner = np.zeros((height, width), np.float32), np.full((height, width), -1, np.int32)
    limits = np.tile([0, width], (height, 1))
    raster.rasterise(
        surface.data, surface.triangles, chosen, float(left), float(top), limits, depth, owner
    )
    y, x = np.nonzero(owner >= 0)
    return x + left, y + top


def _hiders(parts: np.ndarray, x: np.ndarray, y: np.ndarray, own: tuple[int, ...]) -> np.ndarray:
    """Index in _HIDERS of what hides each cell; -1 where the cell is seen."""
    height, width = parts.shape
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    found = np.full(len(x), -1)
    found[inside] = parts[y[inside], x[inside]]
    hider = np.select(
        [found < 0, found < OTHER_TOOLS, found < CLIPPER, np.isin(found, own)], [3, 0, 1, -1], 2
    )
    return hider


def _share(hider: np.ndarray) -> tuple[float, str]:
    """Visible share of a tip's cells, and the main cause of the hidden ones."""
    if len(hider) == 0:
        return 0.0, "out_of_view"
    hidden = np.bincount(hider[hider >= 0], minlength=len(_HIDERS))
    cause = _HIDERS[int(hidden.argmax())] if hidden.any() else "none"
    return float((hider < 0).mean()), cause


def tip_shares(renderer: Renderer, parts: np.ndarray, *, joined: bool) -> list[tuple[float, str]]:
    """Visible share and main cause of what is hidden, of both tips in the frame traced last."""
    marks = set(np.unique(renderer.surface.tip))
    jaws = []
    for jaw in (0, 1):
        own = (JAW, JAW + 1, CLIP, CLIP + 1) if joined else (JAW + jaw, CLIP + jaw)
        cells = [_cells(renderer, mark) for mark in (1 + jaw, 3 + jaw) if mark in marks]
        jaws.append([_hiders(parts, x, y, own) for x, y in cells])
    if joined:  # the joined tip is one thing: the share of both together
        jaws = [[np.concatenate(pair) for pair in zip(*jaws, strict=True)]] * 2
    return [max(_share(hider) for hider in hiders) for hiders in jaws]


def tips(renderer: Renderer, parts: np.ndarray, clipper: Tool, *, joined: bool) -> tuple[Tip, ...]:
    """Both tips of the clip applier in the frame that the renderer traced last."""
    shares = tip_shares(renderer, parts, joined=joined)
    ends = [_end(renderer, clipper, mark) for mark in (1, 2)]
    return tuple(Tip(*end, *share) for end, share in zip(ends, shares, strict=True))


def _end(renderer: Renderer, clipper: Tool, mark: int) -> tuple[float, float]:
    """Where the distal end of a jaw is projected, in pixels."""
    surface = renderer.surface
    vertices = np.unique(surface.triangles[surface.tip == mark, :3])
    distal = (surface.vertices[vertices] - clipper.origin) @ clipper.rotation[:, 2]
    points = surface.screen[vertices[distal > distal.max() - 0.2]]
    x, y = points[:, :2].mean(0) / raster.SAMPLES
    return float(x), float(y)


def _boxes(parts: np.ndarray) -> tuple[tuple[str, float, float, float, float], ...]:
    """Boxes of the tools in view; the clipper's leaves its shaft out where its end is seen."""
    boxes = []
    for name, low, high in _TOOLS:
        mask = (parts >= low) & (parts < high)
        end = mask & (parts > CLIPPER)
        mask = end if end.any() else mask
        columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
        if len(columns):
            left, top = columns[0] / raster.SAMPLES, rows[0] / raster.SAMPLES
            right, bottom = (columns[-1] + 1) / raster.SAMPLES, (rows[-1] + 1) / raster.SAMPLES
            boxes.append((name, float(left), float(top), float(right), float(bottom)))
    return tuple(boxes)


def _brightness(picture: np.ndarray, found: tuple[Tip, ...]) -> float:
    """Level of the darker tip's surroundings in the picture (8 bit)."""
    height, width = picture.shape[:2]
    levels = []
    for tip in found:
        x, y = int(np.clip(tip.x, 0, width - 1)), int(np.clip(tip.y, 0, height - 1))
        levels.append(float(picture[max(0, y - 2) : y + 3, max(0, x - 2) : x + 3].mean()))
    return min(levels)


def judge(
    found: tuple[Tip, ...], filled: float, blur: float, smoke: float, level: float
) -> tuple[str, str, float]:
    """Label, cause and ambiguity by the guideline.

    `filled`: share of the field that the clipper fills; `blur`: motion as a share of the width;
    `smoke` 0 to 1; `level`: 8-bit brightness at the tips.
    """
    worst = min(found, key=lambda tip: tip.visible_share)
    margins = (worst.visible_share - SEEN) / 0.16
    ambiguity = np.exp(-(margins**2)) + 0.7 * np.exp(-(((blur / BLURRED - 1) / 0.35) ** 2))
    ambiguity += 0.7 * np.exp(-(((smoke / HAZY - 1) / 0.3) ** 2))
    ambiguity += 0.5 * np.exp(-(((level - DIM) / 7) ** 2)) + 0.03
    ambiguity = float(min(1.0, ambiguity))
    if worst.visible_share < SEEN:
        return "invisible", worst.hidden_by, ambiguity
    if filled < RECOGNISABLE:
        return "invisible", "unrecognisable", ambiguity
    if blur > BLURRED:
        return "invisible", "blur", ambiguity
    if smoke > HAZY or level < DIM:
        return "invisible", "contrast", ambiguity
    return "visible", "none", ambiguity


def measure(renderer: Renderer, view: ScopeView, clipper: Tool | None) -> Truth | None:
    """Truth of the frame that was drawn last; None where too few pixels of the clipper are seen."""
    parts = renderer.parts()
    boxes = _boxes(parts)
    pixels = np.count_nonzero(parts >= CLIPPER)
    if clipper is None or pixels == 0:
        return Truth("absent", "no_clipper", 0.0, (), boxes)
    if pixels < FEW_PIXELS * parts.size:
        return None
    found = tips(renderer, parts, clipper, joined=clipper.opening < JOINED)
    filled = pixels / max(1, np.count_nonzero(parts >= 0))
    level = _brightness(renderer.picture, found)
    label, cause, ambiguity = judge(found, filled, _blur(renderer, view), view.smoke, level)
    return Truth(label, cause, ambiguity, found, boxes)


def hidden(renderer: Renderer, view: ScopeView, clipper: Tool) -> bool | None:
    """Is a tip invisible in the frame that was traced last? None where no clipper is annotated.

    It needs no picture, so it cannot tell where a tip is lost in the dark (`DIM`).
    """
    parts = renderer.parts()
    pixels = np.count_nonzero(parts >= CLIPPER)
    if pixels < FEW_PIXELS * parts.size:
        return None
    shares = tip_shares(renderer, parts, joined=clipper.opening < JOINED)
    found = tuple(Tip(0.0, 0.0, *share) for share in shares)
    filled = pixels / max(1, np.count_nonzero(parts >= 0))
    label, _, _ = judge(found, filled, _blur(renderer, view), view.smoke, 255.0)
    return label == "invisible"


def _blur(renderer: Renderer, view: ScopeView) -> float:
    """Motion during the exposure, share of the picture's width."""
    return float((np.hypot(*view.tool_speed) + np.hypot(*view.camera_speed)) / renderer.width)
