"""The overlay: the picture with the state around it and figures below it; nothing covers it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from clipassistnet.alarm import Decision, State
from clipassistnet.live.history import History
from clipassistnet.live.state_style import STYLES, WHITE, fitted, patterned, text_size, write

DISCLAIMER = "For research. Not a medical device."
_GREY = (170, 170, 170)
_NARROWEST = 480  # pixels
_SMALLEST = 8  # pixels, capitals of the small figures


class OverlayContent(NamedTuple):
    """What is shown beside the picture.

    `training`: what the network was trained on. `fresh`: the picture is current; an old picture is
    darkened, or it would be taken for live.
    """

    decision: Decision
    score: float
    threshold: float
    now: float
    notes: str
    training: str
    fresh: bool


class Overlay:
    """Draws pictures of one size (width, height).

    The state's pattern surrounds the picture. Above it is the state's word, below it are the score,
    its history and notes. The canvas is larger than the picture, so no pixel of the picture is
    covered. A small picture is enlarged by a whole number, so that there is room for the words.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.zoom = -(-_NARROWEST // size[0])
        self.width, self.height = size[0] * self.zoom, size[1] * self.zoom
        self.edge = max(8, round(self.height / 24))
        self.banner, self.strip = max(28, self.height // 9), max(44, self.height // 9)
        # Even sides: a video stores colour at half the width and height.
        self._shape = (
            (self.banner + self.height + self.edge + self.strip + 1) // 2 * 2,
            (self.width + 2 * self.edge + 1) // 2 * 2,
        )
        self._frames = {state: self._frame(state) for state in State}

    def draw(
        self, picture: np.ndarray | None, content: OverlayContent, history: History
    ) -> np.ndarray:
        """The canvas, BGR uint8. `picture` BGR (height, width, 3), or None before the first."""
        canvas = self._frames[content.decision.state].copy()
        if picture is not None:
            picture = picture if content.fresh else _darkened(picture)
            if self.zoom > 1:
                size = (self.width, self.height)
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST)
            self.place(canvas)[:] = picture
        if content.decision.cause:
            self._write_cause(canvas, content.decision)
        self._draw_strip(canvas[self.banner + self.height + self.edge :], content, history)
        return canvas

    def place(self, canvas: np.ndarray) -> np.ndarray:
        """The part of the canvas that shows the picture."""
        return canvas[self.banner :, self.edge :][: self.height, : self.width]

    def _frame(self, state: State) -> np.ndarray:
        """The canvas without a picture: pattern, word, black where the picture comes."""
        height, width = self._shape
        canvas = patterned(state, height, width, max(2, self.edge // 4))
        self.place(canvas)[:] = 0
        canvas[self.banner + self.height + self.edge :] = 20
        size = self._word_height(state)
        if state is State.NO_SIGNAL:
            self._plate(canvas, 0, self._cause_left() + self.edge, state)
            left = 2 * self.edge
        else:
            left = (width - text_size(_word(state), size)) // 2
            self._plate(canvas, left - self.edge, width - left + self.edge, state)
        write(canvas, _word(state), (left, (self.banner + size) / 2), size, STYLES[state].text)
        return canvas

    def _plate(self, canvas: np.ndarray, left: int, right: int, state: State) -> None:
        """A plain background for a text, which could not be read on the pattern."""
        canvas[: self.banner, max(0, left) : right] = STYLES[state].background

    def _word_height(self, state: State) -> float:
        return self.banner * (0.42 if state is State.NO_SIGNAL else 0.55)

    def _cause_left(self) -> int:
        word = text_size(_word(State.NO_SIGNAL), self._word_height(State.NO_SIGNAL))
        return 3 * self.edge + word

    def _write_cause(self, canvas: np.ndarray, decision: Decision) -> None:
        left = self._cause_left()
        room = canvas.shape[1] - left - 2 * self.edge
        size = max(6.0, fitted(decision.cause, self.banner * 0.28, room))
        self._plate(
            canvas, left, left + text_size(decision.cause, size) + self.edge, decision.state
        )
        baseline = (self.banner + size) / 2
        write(canvas, decision.cause, (left, baseline), size, STYLES[decision.state].text)

    def _draw_strip(self, strip: np.ndarray, content: OverlayContent, history: History) -> None:
        pad, height = self.edge, strip.shape[0]
        score = "--" if np.isnan(content.score) else f"{content.score:.2f}"
        size = height * 0.36
        label = max(_SMALLEST, height * 0.15)
        write(strip, score, (pad, height * 0.46), size, WHITE)
        caption = f"p(invisible), alarm from {content.threshold:.2f}"
        write(strip, caption, (pad, height * 0.86), label, _GREY)
        left = 2 * pad + text_size(caption, label)
        right = max(left + pad, int(strip.shape[1] * 0.62))
        history.draw(strip[4 : height - 4, left:right], content.now, content.threshold)
        room = strip.shape[1] - right - 2 * pad
        simulated = "SIMULATED" in content.training
        colour = STYLES[State.NO_SIGNAL].background if simulated else _GREY
        rows = (content.notes, _GREY), (content.training, colour), (DISCLAIMER, _GREY)
        for (text, shade), baseline in zip(rows, (0.28, 0.57, 0.86)):
            at = (right + pad, height * baseline)
            write(strip, text, at, fitted(text, label, room), shade)


def start_screen(lines: list[str]) -> np.ndarray:
    """The first screen, BGR uint8 (540, 960, 3): the disclaimer, and these lines."""
    canvas = np.full((540, 960, 3), 20, np.uint8)
    write(canvas, "ClipAssistNet", (60, 110), 40, WHITE)
    write(canvas, DISCLAIMER, (60, 190), 28, STYLES[State.NO_SIGNAL].background)
    for number, line in enumerate(lines):
        write(canvas, line, (60, 260 + 36 * number), 14, _GREY)
    return canvas


def _word(state: State) -> str:
    return state.value.upper()


def _darkened(picture: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) // 3
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
