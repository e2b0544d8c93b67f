"""From the sample values of a decoded frame to RGB, by the colour description of the file.

FFmpeg's scaler handles matrix, range and bit depth. It does not change primaries and transfer
function, which is done here for what a standard screen does not show as it is: wide gamut (BT.2020,
P3), HLG and PQ (ITU-R BT.2100). Such pictures are converted as a standard screen would show them,
with white at 203 cd/m2 (ITU-R BT.2408); brighter highlights are cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from clipassistnet.data.decoding.errors import FrameError

# Code points of ITU-T H.273, which FFmpeg and PyAV use.
UNSPECIFIED, BT709, BT601, BT2020, P3 = 2, 1, 5, 9, 12
MATRICES = {
    BT709: "ITU709",
    4: "FCC",
    BT601: "ITU601",
    6: "ITU601",
    7: "SMPTE240M",
    BT2020: "BT2020",
}
PQ, HLG = 16, 18
FULL_RANGE = 2
WHITE = 203.0  # cd/m2 of diffuse white (ITU-R BT.2408)
HLG_PEAK = 1000.0  # cd/m2 of the screen that HLG is shown on (ITU-R BT.2100)
GAMMA = 2.4  # of a standard screen (ITU-R BT.1886)
BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)
# Linear RGB to linear RGB of BT.709 primaries (ITU-R BT.2087 for BT.2020; SMPTE EG 432-1 for P3).
TO_BT709 = {
    BT2020: np.array(
        [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]],
        np.float32,
    ),
    P3: np.array(
        [[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]], np.float32
    ),
}


def rgb(frame: Any) -> np.ndarray:
    """The picture of a frame as it is stored (not turned), uint8 RGB (H, W, 3).

    A file that names no matrix is taken for BT.709 above 576 lines or 1023 columns, and for BT.601
    below, as video players do.

    Args:
        frame: av.VideoFrame, of any pixel format.

    Raises:
        FrameError: for a BT.2020 file, where PyAV is too old for it.
    """
    primaries, transfer = _code(frame, "color_primaries"), _code(frame, "color_trc")
    code = _code(frame, "colorspace")
    if code == UNSPECIFIED:
        code = BT709 if frame.height > 576 or frame.width > 1023 else BT601
    matrix = MATRICES.get(code)
    if primaries not in TO_BT709 and transfer not in (PQ, HLG):
        return _scaled(frame, "rgb24", matrix)
    signal = _scaled(frame, "rgb48le", matrix)
    light = _light(signal, transfer)
    if primaries in TO_BT709:
        light = light @ TO_BT709[primaries].T
    return _table(_encoded, 2**16)[(light.clip(0, 1) * 65535 + 0.5).astype(np.uint16)]


def _code(frame: Any, name: str) -> int:
    # PyAV on Python 3.8 has no color_trc and color_primaries of frames.
    return int(getattr(frame, name, UNSPECIFIED))


def _scaled(frame: Any, format: str, matrix: str | None) -> np.ndarray:
    # Matrix and range of the target mean nothing for RGB. But PyAV 12 (of Python 3.8) ignores those
    # of the source where source and target are equal.
    options: dict[str, Any] = {}
    if matrix:
        target = "ITU601" if matrix == "ITU709" else "ITU709"
        options = {"src_colorspace": matrix, "dst_colorspace": target}
    if _code(frame, "color_range") == FULL_RANGE or frame.format.name.startswith("yuvj"):
        options.update(src_color_range="JPEG", dst_color_range="MPEG")
    try:
        return frame.reformat(format=format, **options).to_ndarray()
    except KeyError as error:  # PyAV before 18 does not know BT.2020
        raise FrameError(f"colours of {matrix}: expected a newer PyAV, or a BT.709 copy") from error


def _light(signal: np.ndarray, transfer: int) -> np.ndarray:
    """Light of the screen (H, W, 3), 1 is diffuse white, of uint16 R'G'B'."""
    if transfer == PQ:
        return _table(_pq, 2**16)[signal] / np.float32(WHITE)
    if transfer == HLG:
        scene = _table(_hlg, 2**16)[signal]
        luminance = (scene @ BT2020_LUMINANCE)[..., None]
        return scene * luminance ** np.float32(0.2) * np.float32(HLG_PEAK / WHITE)
    return _table(_screen, 2**16)[signal]


_TABLES: dict[tuple[Callable[[np.ndarray], np.ndarray], int], np.ndarray] = {}


def _table(function: Callable[[np.ndarray], np.ndarray], levels: int) -> np.ndarray:
    """Values of a function at equal steps from 0 to 1, computed once."""
    key = function, levels
    if key not in _TABLES:
        _TABLES[key] = function(np.linspace(0, 1, levels))
    return _TABLES[key]


def _hlg(signal: np.ndarray) -> np.ndarray:
    """Scene light, 0 to 1, of an HLG signal (ITU-R BT.2100, table 5, inverse OETF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    bright = (np.exp((signal - c) / a) + b) / 12
    return np.where(signal <= 0.5, signal**2 / 3, bright).astype(np.float32)


def _pq(signal: np.ndarray) -> np.ndarray:
    """Light in cd/m2 of a PQ signal (ITU-R BT.2100, table 4, EOTF)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    root = signal ** (1 / m2)
    return (10000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)).astype(np.float32)


def _screen(signal: np.ndarray) -> np.ndarray:
    """Light, 0 to 1, of a standard screen (ITU-R BT.1886)."""
    return (signal**GAMMA).astype(np.float32)


def _encoded(light: np.ndarray) -> np.ndarray:
    """The 8-bit signal for which a standard screen gives this light."""
    return np.round(255 * light ** (1 / GAMMA)).astype(np.uint8)
