"""How each state looks: a word, a colour, and a pattern, any one of which tells it apart."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from clipassistnet.live.state import State

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
FONT = cv2.FONT_HERSHEY_SIMPLEX


class Sign(NamedTuple):
    """`paper` and `ink` are the pattern's two colours, `text` the word's, all BGR."""

    paper: tuple[int, int, int]
    ink: tuple[int, int, int]
    text: tuple[int, int, int]
    inked: Callable[[np.ndarray, np.ndarray], np.ndarray]  # of rows and columns, in cells


# Colours of Okabe and Ito's palette, which people with every kind of colour vision tell apart; red
# against green, the usual pair, is the one that most of the colour-blind do not. The patterns
# differ in brightness too, so that they also show on a grey screen.
SIGNS = {
    State.STANDBY: Sign(
        (90, 90, 90), (190, 190, 190), WHITE, lambda y, x: (y % 4 == 0) & (x % 4 == 0)
    ),
    State.VISIBLE: Sign((178, 114, 0), (178, 114, 0), WHITE, lambda y, x: np.zeros(1, bool)),
    State.NOT_VISIBLE: Sign((0, 94, 213), BLACK, WHITE, lambda y, x: (x + y) // 2 % 2 == 0),
    State.NO_SIGNAL: Sign((66, 228, 240), BLACK, BLACK, lambda y, x: (x // 2 + y // 2) % 2 == 0),
}


def patterned(state: State, height: int, width: int, cell: int) -> np.ndarray:
    """A surface (height, width, 3) covered with the state's pattern, in cells of so many pixels."""
    sign = SIGNS[state]
    rows, columns = np.arange(height)[:, None] // cell, np.arange(width)[None] // cell
    return np.where(
        sign.inked(rows, columns)[..., None], np.uint8(sign.ink), np.uint8(sign.paper)
    ) * np.ones((height, width, 1), np.uint8)


def text_size(text: str, height: float) -> int:
    """Width in pixels of a text whose capitals are `height` pixels high."""
    return cv2.getTextSize(text, FONT, _scale(height), _weight(height))[0][0]


def fitted(text: str, height: float, room: float) -> float:
    """The height of capitals, `height` at most, at which a text is no wider than `room` pixels."""
    return min(height, height * max(1.0, room) / max(1, text_size(text, height)))


def write(
    canvas: np.ndarray, text: str, at: tuple[float, float], height: float, colour: tuple
) -> None:
    """Write text with its base line beginning at (x, y), capitals `height` pixels high."""
    origin = (round(at[0]), round(at[1]))
    plain = text.encode("ascii", "replace").decode()  # OpenCV draws nothing else
    weight = _weight(height)
    cv2.putText(canvas, plain, origin, FONT, _scale(height), colour, weight, cv2.LINE_AA)


def _scale(height: float) -> float:
    return height / 21  # Hershey capitals are 21 units high


def _weight(height: float) -> int:
    return max(1, round(height / 8))
