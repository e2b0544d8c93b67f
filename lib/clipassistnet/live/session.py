"""One live decision: the step from pictures and scores to the state that is shown.

The live loop, the overlay video of a file and the profile all use it, so they follow the same
rules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from clipassistnet.alarm import LIMIT, Assistant, Decision, State
from clipassistnet.live.arming import AutomaticArming, Switch
from clipassistnet.live.history import History
from clipassistnet.live.overlay import Overlay, OverlayContent

_SIZE = (640, 360)  # of the overlay before the first picture


class Picture(NamedTuple):
    """A picture as it arrived. Without a frame: what happened to the source.

    `frame` is BGR uint8 (H, W, 3). `arrival` is in seconds, of the session's clock.
    """

    number: int
    arrival: float
    frame: np.ndarray | None
    fault: str = ""


class Score(NamedTuple):
    """p(invisible) of a picture, or a fault; p(clip applier), NaN where it is not known."""

    picture: Picture
    value: float
    fault: str = ""
    clip_applier: float = math.nan


class Session:
    """Arming, decision, history and overlay of one source.

    Each step calls `take`, then `decide`, then `canvas` where it is to be drawn. It has no thread
    and reads no clock: times are seconds of any one clock.

    Args:
        assistant: decides the state.
        switches: what arms and disarms (see `arming`). The last order counts.
        arming: the switch that works by scores of the pictures.
        log: is called with the event "armed" or "disarmed", its time, and by=<the switch's name>.
        size: width and height of the overlay before the first picture.
        training: what the network was trained on, a line for the overlay.
    """

    def __init__(
        self,
        assistant: Assistant,
        *,
        switches: Sequence[Switch] = (),
        arming: AutomaticArming | None = None,
        log: Callable[..., None] | None = None,
        size: tuple[int, int] | None = None,
        training: str = "",
    ) -> None:
        self.assistant, self.history = assistant, History()
        self.switches: list[Switch] = [*switches, arming] if arming else list(switches)
        self.decision: Decision | None = None
        self.last_good = -math.inf  # arrival of the newest picture without a fault
        self._arming, self._log, self._training = arming, log, training
        self._overlay = Overlay(size or _SIZE)
        self._frame: np.ndarray | None = None
        self._scores: Sequence[Score] = ()

    @property
    def has_frame(self) -> bool:
        """Whether any picture with a frame has arrived."""
        return self._frame is not None

    def take(self, now: float, picture: Picture | None, scores: Sequence[Score] = ()) -> None:
        """Take the newest picture and the scores since the last step, and ask the switches."""
        if picture is not None:
            self._take_picture(picture)
        for score in scores:
            self.assistant.scored(score.picture.arrival, score.value, score.fault)
            if self._arming:
                self._arming.scored(score.picture.arrival, score.clip_applier)
        self._scores = scores
        for switch in self.switches:
            order = switch.poll()
            if order is not None:
                self.arm(order, switch.name, now)

    def arm(self, armed: bool, by: str, now: float) -> None:
        """Arm or disarm, and log by what; nothing happens where that is the state already."""
        if armed == self.assistant.armed:
            return
        self.assistant.armed = armed
        if self._log:
            self._log("armed" if armed else "disarmed", now, by=by)

    def decide(self, now: float, record_fault: str = "") -> Decision:
        """The state that is shown from now until the next call.

        `record_fault` says why the session is not being recorded.
        """
        self.assistant.record_fault = record_fault
        self.decision = self.assistant.decide(now)
        for score in self._scores:
            self.history.add(now, score.value, self.decision.state)
        self._scores = ()
        return self.decision

    def canvas(self, decision: Decision, now: float, notes: Sequence[str] = ()) -> np.ndarray:
        """The overlay, BGR uint8; `notes` stand beside the history."""
        lost = decision.state is State.NO_SIGNAL
        if lost:
            self.history.add(now, math.nan, State.NO_SIGNAL)
        faults = [switch.fault for switch in self.switches if switch.fault]
        content = OverlayContent(
            decision=decision,
            score=math.nan if lost else self.assistant.score,
            threshold=self.assistant.alarm.threshold,
            now=now,
            notes="   ".join([*notes, *faults]),
            training=self._training,
            fresh=now - self.last_good <= LIMIT,
        )
        return self._overlay.draw(self._frame, content, self.history)

    def _take_picture(self, picture: Picture) -> None:
        self.assistant.picture(picture.arrival, picture.fault)
        if not picture.fault:
            self.last_good = picture.arrival
        if picture.frame is not None:
            if self._frame is None:
                self._overlay = Overlay((picture.frame.shape[1], picture.frame.shape[0]))
            self._frame = picture.frame
