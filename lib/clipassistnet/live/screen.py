"""Where the overlay is shown: a window, or nowhere."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import Protocol

import cv2
import numpy as np

from clipassistnet.alarm import Decision

_TITLE = "ClipAssistNet (for research, not a medical device)"


class ScreenError(RuntimeError):
    """A window that cannot be opened, and what would help."""


class Screen(Protocol):
    """Where the overlay is shown."""

    def show(self, canvas: np.ndarray) -> None:
        """Show a canvas, BGR uint8 (H, W, 3)."""

    def show_state(self, decision: Decision) -> None:
        """Show a state that is new, beside the canvas."""

    def key(self) -> str:
        """The key pressed since the last call, "" for none."""

    def close(self) -> None:
        """Show nothing any more."""


class NoScreen:
    """For a machine without a display: shows nothing, has no keys."""

    def show(self, canvas: np.ndarray) -> None:
        """Do nothing."""

    def show_state(self, decision: Decision) -> None:
        """Do nothing."""

    def key(self) -> str:
        """No key."""
        return ""

    def close(self) -> None:
        """Do nothing."""


class Terminal(NoScreen):
    """Prints a line for each new state, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def show_state(self, decision: Decision) -> None:
        """Print the state, and the cause of a lost signal."""
        cause = f": {decision.cause}" if decision.cause else ""
        print(f"{time.monotonic() - self._start:8.1f} s  {decision.state.value.upper()}{cause}")
        sys.stdout.flush()

    def close(self) -> None:
        """Say that the last line is no longer true."""
        print(f"{time.monotonic() - self._start:8.1f} s  ended", flush=True)


class Window:
    """A window of OpenCV; for the main thread only."""

    def __init__(self) -> None:
        """ScreenError where there is no display, or this OpenCV has no windows."""
        _require_display()
        cv2.namedWindow(_TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        self._shape: tuple[int, ...] | None = None

    def show(self, canvas: np.ndarray) -> None:
        """Show a canvas, BGR uint8 (H, W, 3)."""
        if canvas.shape != self._shape:  # after the start screen, and at the first picture
            cv2.resizeWindow(_TITLE, canvas.shape[1], canvas.shape[0])
            self._shape = canvas.shape
        cv2.imshow(_TITLE, canvas)

    def show_state(self, decision: Decision) -> None:
        """Do nothing: the canvas shows it."""

    def key(self) -> str:
        """The key pressed since the last call, "" for none; "q" where the window was closed."""
        code = cv2.waitKey(1) & 0xFF
        if self._shape and cv2.getWindowProperty(_TITLE, cv2.WND_PROP_VISIBLE) < 1:
            return "q"
        return chr(code).lower() if code != 0xFF else ""

    def close(self) -> None:
        """Close the window."""
        with contextlib.suppress(cv2.error):  # it was closed by hand
            cv2.destroyWindow(_TITLE)


def choose(display: str) -> Screen:
    """The screen of --display: auto, window, terminal or none.

    "auto" is a window, or the terminal where no window can be opened; the reason is printed.
    Raises ScreenError where "window" cannot be opened.
    """
    if display == "none":
        return NoScreen()
    if display == "terminal":
        return Terminal()
    try:
        return Window()
    except ScreenError as error:
        if display == "window":
            raise
        print(f"no window, so the states are printed here: {error}")
        return Terminal()


def _require_display() -> None:
    lines = [line.split() for line in cv2.getBuildInformation().splitlines()]
    if ["GUI:", "NONE"] in lines:
        raise ScreenError(
            "this OpenCV has no windows (opencv-python-headless): use --display terminal; or "
            "JetPack's or the distribution's OpenCV (python3-opencv); or pip uninstall "
            "opencv-python-headless and pip install opencv-python"
        )
    # Without a display Qt would end the process instead of raising an exception.
    displays = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in displays):
        raise ScreenError(
            "no display (DISPLAY is not set): use --display terminal, or log in at one"
        )
