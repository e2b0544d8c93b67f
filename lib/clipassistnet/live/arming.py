"""Switches outside the program that arm and disarm it: a file, or a serial line with a pedal."""

from __future__ import annotations

import os
import time

_RETRY = 1.0  # seconds


class SwitchError(ValueError):
    """A switch that cannot be used, and why."""


class FileSwitch:
    """Armed by a file that holds "1", disarmed by one that holds "0" or is gone.

    Anything else, such as the empty file of a writer half way, changes nothing.
    """

    fault = ""

    def __init__(self, path: str) -> None:
        self.name, self._path = f"file {path}", path
        self._last = False  # type: bool | None

    def poll(self) -> bool | None:
        """True to arm, False to disarm, None for no change since the last call."""
        value = self._value()
        if value is None or value == self._last:
            return None
        self._last = value
        return value

    def _value(self) -> bool | None:
        try:
            with open(self._path, "rb") as file:
                return {b"1": True, b"0": False}.get(file.read(16).strip())
        except FileNotFoundError:
            return False
        except OSError:  # locked or moved by its writer at this moment
            return None


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
