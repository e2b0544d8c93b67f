"""From frame scores to a steady answer: threshold, hysteresis and minimum duration."""

from __future__ import annotations

import math

# Defaults of live: round numbers, fitted to nothing. Notebook 08 chooses others on out-of-fold
# scores and writes them to alarm.json, where a study's frames lie close enough for that.
THRESHOLD, HYSTERESIS, MINIMUM_DURATION = 0.5, 0.1, 0.2
# The alarm that arms judges 1 - p(clip applier). Its duration is longer: arming a second late
# costs less than arming by mistake.
ARMING_THRESHOLD, ARMING_DURATION = 0.5, 1.0

LONGEST_DURATION = 10.0  # seconds: a warning that waits longer comes after the clip

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
