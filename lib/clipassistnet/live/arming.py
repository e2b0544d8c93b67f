"""What arms and disarms: a file, a serial line with a pedal, or a clip applier that appears."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Protocol

import numpy as np

from clipassistnet.alarm import Alarm

_RETRY = 1.0  # seconds


class SwitchError(ValueError):
    """A switch that cannot be used, and why."""


class Switch(Protocol):
    """What arms and disarms; `fault` is shown while it cannot."""

    name: str
    fault: str

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None for no change since the last call."""


class FileSwitch:
    """Armed by a file that holds "1", disarmed by one that holds "0" or that was removed.

    Any other content changes nothing, such as an empty file that is just being written. A file that
    cannot be read changes nothing either, and is a `fault`.
    """

    def __init__(self, path: str) -> None:
        """SwitchError where the path is no file: a folder, or a pipe, which would block."""
        if os.path.exists(path) and not os.path.isfile(path):
            raise SwitchError(f"{path}: expected a plain file that holds 1 or 0")
        self.name, self._path, self.fault = f"file {path}", path, ""
        self._last: bool | None = False

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None for no change since the last call."""
        value = self._value()
        if value is None or value == self._last:
            return None
        self._last = value
        return value

    def _value(self) -> bool | None:
        self.fault = ""
        try:
            with open(self._path, "rb") as file:
                return {b"1": True, b"0": False}.get(file.read(16).strip())
        except FileNotFoundError:
            return False
        except OSError:  # its writer may have locked it, for a moment or for good
            self.fault = "pedal file unreadable"
            return None


class AutomaticArming:
    """Arms when a clip applier appears and disarms when it is gone.

    `predict` gives p(clip applier) of uint8 RGB (N, H, W, 3). `alarm` gets 1 - p, so it starts with
    "no clip applier". A picture without a score changes nothing and is a `fault`.
    """

    name = "clip applier in the picture"

    def __init__(self, predict: Callable[[np.ndarray], np.ndarray], alarm: Alarm) -> None:
        self.predict, self.fault = predict, ""
        self._alarm, self._last = alarm, False

    def scored(self, arrival: float, clip_applier: float) -> None:
        """Take p(clip applier) of the picture that arrived then (seconds); NaN for no score."""
        # As for p(invisible), see Assistant: a logit, or NaN, is no probability.
        self.fault = "" if -0.01 <= clip_applier <= 1.01 else "arming failed"
        if not self.fault:
            self._alarm.update(1 - clip_applier, arrival)

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None for no change since the last call."""
        present = not self._alarm.invisible
        if present == self._last:
            return None
        self._last = present
        return present


class SerialSwitch:
    """Armed by the character 1 on a serial line (9600 8N1), disarmed by 0; others mean nothing.

    A line that is lost changes nothing, is a `fault`, and is opened again.
    """

    def __init__(self, device: str) -> None:
        """SwitchError where the device does not exist, or is no serial line."""
        self.name, self._device, self.fault = f"serial line {device}", device, ""
        self._retry_at = 0.0
        try:
            self._line: int | None = _open_serial(device)
        except (ImportError, OSError) as error:
            raise SwitchError(f"{device}: cannot be used as a serial line ({error})") from error

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None where no order was sent since the last call."""
        if self._line is None:
            self._open_again()
            return None
        try:
            sent = os.read(self._line, 256)
        except BlockingIOError:
            return None
        except OSError:
            sent = b""
        if not sent:
            self._lose(self._line)
        orders = [byte for byte in sent if byte in b"01"]
        return orders[-1] == ord("1") if orders else None

    def _lose(self, line: int) -> None:
        os.close(line)
        self._line, self._retry_at = None, time.monotonic() + _RETRY
        self.fault = "pedal lost"

    def _open_again(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + _RETRY
        try:
            self._line = _open_serial(self._device)
            self.fault = ""
        except OSError:
            return


def _open_serial(device: str) -> int:
    """A file descriptor of the line: raw, 9600 baud, reads do not block."""
    import termios  # Windows does not have it

    line = os.open(device, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        settings = termios.tcgetattr(line)
        settings[0] = settings[1] = settings[3] = 0  # input, output, local: no translation
        settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[4] = settings[5] = termios.B9600
        # Without a minimum, a read that finds nothing looks like a line that was closed.
        settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
        termios.tcsetattr(line, termios.TCSANOW, settings)
    except termios.error as error:
        os.close(line)
        raise OSError(str(error)) from error
    return line
