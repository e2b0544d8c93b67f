"""How far a rendering is: measured in the video's own time, promised from the pace so far."""

from __future__ import annotations

import sys
import time


class Progress:
    """A bar for a person, a line every tenth for a log. `duration` in seconds, None if unknown."""

    def __init__(self, duration: float | None) -> None:
        self._duration, self._start = duration, time.monotonic()
        self._person = sys.stderr.isatty()
        self._shown_at, self._tenths = 0.0, 0

    def update(self, frames: int, seconds: float, done: bool = False) -> None:
        """So many frames are written, up to this time of the video."""
        now = time.monotonic()
        share = min(1.0, seconds / self._duration) if self._duration else 0.0
        tenths = 10 if done else int(10 * share)
        if done or (now - self._shown_at > 0.2 if self._person else tenths > self._tenths):
            self._shown_at, self._tenths = now, tenths
            self._show(self._text(frames, seconds, 1.0 if done else share, now), done)

    def _text(self, frames: int, seconds: float, share: float, now: float) -> str:
        spent = now - self._start
        pace = f"{frames / spent:.1f} frames/s, {seconds / spent:.2f} x real time"
        if not self._duration:
            return f"{frames} frames, length unknown, {pace}"
        filled = round(30 * share)
        left = f", {spent * (1 - share) / share:.0f} s left" if 0 < share < 1 else ""
        return f"[{'#' * filled}{'.' * (30 - filled)}] {share:4.0%} {frames} frames, {pace}{left}"

    def _show(self, text: str, done: bool) -> None:
        if self._person:
            sys.stderr.write(f"\r{text:<100}" + ("\n" if done else ""))
        else:
            sys.stderr.write(text + "\n")
        sys.stderr.flush()
