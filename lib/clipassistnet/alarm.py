"""From frame scores to what is shown: the alarm, the four states, and when nothing is shown."""

from __future__ import annotations

import enum
import math
from typing import NamedTuple

# Defaults of live: round numbers, fitted to nothing. Notebook 08 chooses others on out-of-fold
# scores and writes them to alarm.json, where a study's frames lie close enough for that.
THRESHOLD, HYSTERESIS, MINIMUM_DURATION = 0.5, 0.1, 0.2
# Live arms by p(clip applier). Notebook 08 freezes the level; this one is for networks without.
# The duration is longer: arming a second late costs less than arming by mistake.
ARMING_LEVEL, ARMING_DURATION = 0.5, 1.0

LONGEST_DURATION = 10.0  # seconds: a warning that waits longer comes after the clip

# Seconds from the arrival of the newest picture with a good score to "no signal". Less than the
# half second that is promised, because drawing takes time too. A source or a network that gives
# fewer than about seven pictures a second never gets a state.
LIMIT = 0.3
# Seconds without a fault before a state is shown again, so that a loose plug causes no flicker.
RECOVERY = 0.5

_ROUNDING = 1e-6  # seconds: five frames of 40 ms are 0.2 s, although not exactly so in binary


class Alarm:
    """Decides from scores p(invisible) and their time stamps whether the tip counts as invisible.

    The answer becomes "invisible" when all scores within at least `minimum_duration` seconds are
    `threshold` or more. It becomes "visible" when all scores within that time are below
    `threshold - hysteresis`. Otherwise it stays as it was. It starts as "invisible": nothing is
    called visible before the scores have said so for long enough.
    """

    def __init__(self, threshold: float, hysteresis: float, minimum_duration: float) -> None:
        """ValueError unless 0 <= hysteresis < threshold <= 1, and 0 to 10 s of minimum_duration.

        A threshold above 1 would never raise the alarm; a hysteresis as wide as the threshold
        would never end it; a duration meant in milliseconds would hold it back for minutes.
        """
        if not 0 < threshold <= 1:
            raise ValueError(f"threshold {threshold}: expected above 0, at most 1")
        if not 0 <= hysteresis < threshold:
            raise ValueError(f"hysteresis {hysteresis}: expected 0 or more, below the threshold")
        if not 0 <= minimum_duration <= LONGEST_DURATION:
            expected = f"expected 0 to {LONGEST_DURATION:g} seconds"
            raise ValueError(f"minimum_duration {minimum_duration}: {expected}")
        self.threshold, self.hysteresis = threshold, hysteresis
        self.minimum_duration = minimum_duration
        self.reset()

    def reset(self) -> None:
        """Forget every score."""
        self.invisible = True
        self._since: float | None = None

    def update(self, score: float, time: float) -> bool:
        """Take the score of the frame that arrived at `time` (seconds); True means invisible.

        Raises ValueError for a score that is not a finite number.
        """
        if not math.isfinite(score):
            raise ValueError(f"score {score}: expected a finite number")
        if self.invisible:
            contradicts = score < self.threshold - self.hysteresis
        else:
            contradicts = score >= self.threshold
        if not contradicts:
            self._since = None
            return self.invisible
        if self._since is None:
            self._since = time
        if time - self._since >= self.minimum_duration - _ROUNDING:
            self.invisible, self._since = not self.invisible, None
        return self.invisible


def arming_settings(level: float) -> tuple[float, float, float]:
    """The arguments of the `Alarm` on 1 - p(clip applier) that means "no clip applier".

    It ends when p stays above `level` plus the hysteresis, and starts when p stays at `level` or
    below.
    """
    threshold = 1 - level
    return threshold, min(HYSTERESIS, threshold / 2), ARMING_DURATION


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
