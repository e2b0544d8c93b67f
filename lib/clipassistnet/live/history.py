"""The last half minute of scores and states, and the rate of decisions."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple

import cv2
import numpy as np

from clipassistnet.alarm import State
from clipassistnet.live.state_style import STYLES

SPAN = 30.0  # seconds
_RATE_SPAN = 2.0
# Height of each state's column, as a share of the area.
_LEVELS = {State.NOT_VISIBLE: 1.0, State.VISIBLE: 0.35, State.STANDBY: 0.15, State.NO_SIGNAL: 0.0}


class Moment(NamedTuple):
    """A decision: its time, the score (NaN where there was none) and the state shown."""

    time: float
    score: float
    state: State


class History:
    """Decisions of the last SPAN seconds."""

    def __init__(self) -> None:
        self._moments: deque[Moment] = deque()

    def add(self, time: float, score: float, state: State) -> None:
        """Add a decision, no older than the one before."""
        self._moments.append(Moment(time, score, state))
        while self._moments[0].time < time - SPAN:
            self._moments.popleft()

    def rate(self, now: float) -> float:
        """Scores a second, over the last two seconds."""
        recent = [m for m in self._moments if m.time > now - _RATE_SPAN and not math.isnan(m.score)]
        return len(recent) / _RATE_SPAN

    def draw(self, area: np.ndarray, now: float, threshold: float) -> None:
        """Draw into `area` (H, W, 3): the score as a line, the state as a column below it.

        Each state's column has its own height, so that it can be known without its colour. There
        is no column where there was no signal.
        """
        area[:] = 40
        height, width = area.shape[:2]
        if not self._moments:
            return
        times, scores, states = zip(*self._moments)
        columns = np.round((1 - (now - np.array(times)) / SPAN) * (width - 1)).astype(int)
        self._draw_states(area, columns.clip(0, width - 1), states)
        area[round((1 - threshold) * (height - 2)), ::4] = 255
        points = np.stack([columns, np.round((1 - np.clip(scores, 0, 1)) * (height - 2))], axis=1)
        gaps = np.flatnonzero(np.isnan(points[:, 1]))
        curves = [c[~np.isnan(c[:, 1])].astype(np.int32) for c in np.split(points, gaps)]
        cv2.polylines(area, [curve for curve in curves if len(curve)], False, (255, 255, 255), 1)

    @staticmethod
    def _draw_states(area: np.ndarray, columns: np.ndarray, states: tuple) -> None:
        """Fill from each moment's column back to the one before; `columns` ascend."""
        height = len(area)
        tops = np.array([round(height * (1 - level)) for level in _LEVELS.values()])
        colours = np.array([STYLES[state].background for state in _LEVELS], np.uint8)
        order = {state: index for index, state in enumerate(_LEVELS)}
        widths = np.diff(columns, prepend=columns[0] - 1)
        filled = np.repeat([order[state] for state in states], widths)
        part = area[:, columns[0] : columns[-1] + 1]
        inside = np.arange(height)[:, None] >= tops[filled]
        part[inside] = np.broadcast_to(colours[filled], part.shape)[inside]
