"""The four states, and the one rule that keeps a stale answer from being shown."""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

from clipassistnet.alarm import Alarm

# Seconds from the arrival of the newest picture with a good score to "no signal". Less than the
# half second that is promised, because drawing takes time too. A source or a network that gives
# fewer than about seven pictures a second never gets a state.
LIMIT = 0.3
# Seconds without a fault before a state is shown again, so that a loose plug causes no flicker.
RECOVERY = 0.5


class State(enum.Enum):
    """What the screen says."""

    STANDBY = "standby"
    VISIBLE = "tip visible"
    NOT_VISIBLE = "tip not visible"
    NO_SIGNAL = "no signal"


class Decision(NamedTuple):
    """The state, and for NO_SIGNAL its cause."""

    state: State
    cause: str = ""


class Assistant:
    """Turns pictures and scores, each with a time stamp, into the state to be shown.

    One rule covers every fault: the state is NO_SIGNAL unless the newest picture without a fault
    that got a finite score arrived at most LIMIT seconds ago. Any failure of the camera, the
    network or this program ends the arrival of such pictures. The faults that are reported only
    name the cause. NO_SIGNAL has priority over STANDBY: a fault shows before the tool is needed.

    It has no thread and reads no clock, so that live use, offline use and tests share it. Times are
    seconds of any one clock.
    """

    def __init__(self, alarm: Alarm, *, armed: bool = False) -> None:
        self.alarm, self.armed = alarm, armed
        self.score = math.nan  # of the newest scored picture
        self.record_fault = ""  # why nothing is recorded: there is no feedback without a record
        self._arrived = self._scored = self._decided = -math.inf
        self._picture_fault = self._score_fault = ""
        self._lost, self._good_since = "starting", math.inf

    def picture(self, time: float, fault: str = "") -> None:
        """A picture arrived, and `fault` says why it cannot be used; or the source failed so."""
        self._arrived, self._picture_fault = time, fault

    def scored(self, arrival: float, score: float, fault: str = "") -> None:
        """The network's score of the picture that arrived then, or why there is no score."""
        self._score_fault = fault
        # The margin allows for rounding in half precision. A logit, or NaN, is no probability.
        if not fault and not -0.01 <= score <= 1.01:
            self._score_fault = f"the model gave {score:.3g} for a score of 0 to 1"
        if self._score_fault:
            return
        self.score, self._scored = score, arrival
        self.alarm.update(score, arrival)

    def decide(self, now: float) -> Decision:
        """The state that is shown from now until the next call."""
        fault = self._fault(now)
        self._decided = now
        if fault:
            self._lost, self._good_since = fault, math.inf
            self.alarm.reset()
            return Decision(State.NO_SIGNAL, fault)
        if self._lost:
            self._good_since = min(self._good_since, now)
            if now - self._good_since < RECOVERY:
                return Decision(State.NO_SIGNAL, "the signal must last half a second")
            self._lost = ""
        if not self.armed:
            return Decision(State.STANDBY)
        return Decision(State.NOT_VISIBLE if self.alarm.invisible else State.VISIBLE)

    def _fault(self, now: float) -> str:
        if self.record_fault:
            return self.record_fault
        if now - self._scored <= LIMIT:
            # A screen that did not change for longer may have shown an old answer.
            held_up = now - self._decided > LIMIT and not self._lost
            return "the program was held up" if held_up else ""
        if self._picture_fault:
            return self._picture_fault
        if now - self._arrived > LIMIT:
            return "no picture from the source"
        return self._score_fault or "the model is too slow for the pictures"
