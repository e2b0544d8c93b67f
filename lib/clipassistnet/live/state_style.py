"""How each state looks: a word, a colour and a pattern, each of which is enough to know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from clipassistnet.alarm import State

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX


class Style(NamedTuple):
    """The colours of the pattern's background and foreground, and of the word, all BGR."""

    background: tuple[int, int, int]
    foreground: tuple[int, int, int]
    text: tuple[int, int, int]
    pattern: Callable[[np.ndarray, np.ndarray], np.ndarray]  # of rows and columns, in cells


# Colours of Okabe and Ito's palette, which differ for people with every kind of colour vision. Most
# colour-blind people cannot distinguish red from green, the usual pair. The patterns differ in
# brightness too, so that they also show on a grey screen.
STYLES = {
    State.STANDBY: Style(
        (90, 90, 90), (190, 190, 190), WHITE, lambda y, x: (y % 4 == 0) & (x % 4 == 0)
    ),
    State.VISIBLE: Style((178, 114, 0), (178, 114, 0), WHITE, lambda y, x: np.zeros(1, bool)),
    State.NOT_VISIBLE: Style((0, 94, 213), BLACK, WHITE, lambda y, x: (x + y) // 2 % 2 == 0),
    State.NO_SIGNAL: Style((66, 228, 240), BLACK, BLACK, lambda y, x: (x // 2 + y // 2) % 2 == 0),
}


def patterned(state: State, height: int, width: int, cell: int) -> np.ndarray:
    """The state's pattern, uint8 (height, width, 3); `cell` is the side of a cell in pixels."""
    style = STYLES[state]
    background, foreground = np.array([style.background, style.foreground], np.uint8)
    rows, columns = np.arange(height)[:, None] // cell, np.arange(width)[None] // cell
    pattern = np.broadcast_to(style.pattern(rows, columns), (height, width))
    return np.where(pattern[..., None], foreground, background)


def text_size(text: str, height: float) -> int:
    """Width in pixels of a text whose capitals are `height` pixels high."""
    return cv2.getTextSize(text, FONT, _scale(height), _weight(height))[0][0]


def fitted(text: str, height: float, room: float) -> float:
    """The height of capitals, at most `height`, at which a text is at most `room` pixels wide."""
    return min(height, height * max(1.0, room) / max(1, text_size(text, height)))


def write(
    canvas: np.ndarray, text: str, at: tuple[float, float], height: float, colour: tuple
) -> None:
    """Write text; its base line begins at (x, y), its capitals are `height` pixels high."""
    origin = (round(at[0]), round(at[1]))
    plain = text.encode("ascii", "replace").decode()  # OpenCV draws no other letters
    weight = _weight(height)
    cv2.putText(canvas, plain, origin, FONT, _scale(height), colour, weight, cv2.LINE_AA)


def _scale(height: float) -> float:
    return height / 21  # Hershey capitals are 21 units high


def _weight(height: float) -> int:
    return max(1, round(height / 8))
