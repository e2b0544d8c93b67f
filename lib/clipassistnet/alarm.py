"""From frame scores to a steady answer: threshold, hysteresis and minimum duration."""

from __future__ import annotations

import math

# Until notebook 08 chooses them on cross-validation videos: round numbers, fitted to nothing.
THRESHOLD, HYSTERESIS, MINIMUM_DURATION = 0.5, 0.1, 0.2
# Of 1 - p(clip applier): arming a second early or late costs less than arming by mistake.
PRESENCE, PRESENCE_DURATION = 0.5, 1.0

LONGEST_DURATION = 10.0  # seconds: a warning that waits longer comes after the clip

_ROUNDING = 1e-6  # seconds: five frames of 40 ms are 0.2 s, if not quite so in binary


class Alarm:
    """Whether the tip is to be called invisible, from scores p(invisible) and their time stamps.

    The answer becomes "invisible" when every score of at least `minimum_duration` seconds is
    `threshold` or more, and "visible" when every one of as long a time is below
    `threshold - hysteresis`. In between, and where scores disagree, it stays as it was. It begins
    as "invisible": nothing is called visible before scores have said so for long enough.
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
        self._since = None  # type: float | None

    def update(self, score: float, time: float) -> bool:
        """Take the next score, of a frame that arrived at `time` (seconds); True for invisible.

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
