"""What arms and disarms it: a file, a serial line with a pedal, or a clip applier that appears."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

from clipassistnet.alarm import Alarm

_RETRY = 1.0  # seconds


class SwitchError(ValueError):
    """A switch that cannot be used, and why."""


class FileSwitch:
    """Armed by a file that holds "1", disarmed by one that holds "0" or is gone.

    Anything else, such as the empty file of a writer half way, changes nothing. A file that cannot
    be read changes nothing either, and is a `fault` to be shown.
    """

    def __init__(self, path: str) -> None:
        """SwitchError where something else has this name: a folder, or a pipe, which would wait."""
        if os.path.exists(path) and not os.path.isfile(path):
            raise SwitchError(f"{path}: expected a plain file that holds 1 or 0")
        self.name, self._path, self.fault = f"file {path}", path, ""
        self._last = False  # type: bool | None

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
        except OSError:  # locked by its writer at this moment, or for good
            self.fault = "pedal file unreadable"
            return None


class Appearance:
    """Arms when a clip applier appears and disarms when it is gone.

    `predict` gives p(clip applier) of uint8 RGB (N, H, W, 3). `alarm` steadies the answer: it is
    fed 1 - p, and so begins with "none". A picture without a score changes nothing and is a `fault`
    to be shown.
    """

    name = "clip applier in the picture"

    def __init__(self, predict: Callable[[np.ndarray], np.ndarray], alarm: Alarm) -> None:
        self.predict, self.fault = predict, ""
        self._alarm, self._last = alarm, False

    def scored(self, time: float, presence: float) -> None:
        """Take p(clip applier) of the picture that arrived then (seconds); NaN for no score."""
        # As for p(invisible), see Assistant: a logit, or NaN, is no probability.
        self.fault = "" if -0.01 <= presence <= 1.01 else "arming failed"
        if not self.fault:
            self._alarm.update(1 - presence, time)

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None for no change since the last call."""
        present = not self._alarm.invisible
        if present == self._last:
            return None
        self._last = present
        return present


class SerialSwitch:
    """Armed by the character 1 on a serial line (9600 8N1), disarmed by 0; others mean nothing.

    A line that is lost changes nothing, is a `fault` to be shown, and is opened again.
    """

    def __init__(self, device: str) -> None:
        """SwitchError where the device is not there, or is no serial line."""
        self.name, self._device, self.fault = f"serial line {device}", device, ""
        self._retry_at = 0.0
        try:
            self._line = _open_serial(device)  # type: int | None
        except (ImportError, OSError) as error:
            raise SwitchError(f"{device}: cannot be used as a serial line ({error})") from error

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None where nothing was sent since the last call."""
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
            self._lose()
        orders = [byte for byte in sent if byte in b"01"]
        return orders[-1] == ord("1") if orders else None

    def _lose(self) -> None:
        os.close(self._line)
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
    """A file descriptor of the line: raw, 9600 baud, reads that never wait."""
    import termios  # POSIX has it, Windows has not

    line = os.open(device, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        settings = termios.tcgetattr(line)
        settings[0] = settings[1] = settings[3] = 0  # input, output, local: nothing is interpreted
        settings[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
        settings[4] = settings[5] = termios.B9600
        # Without a minimum, a read that finds nothing looks like a line that was closed.
        settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
        termios.tcsetattr(line, termios.TCSANOW, settings)
    except termios.error as error:
        os.close(line)
        raise OSError(str(error)) from error
    return line
