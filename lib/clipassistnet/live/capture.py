"""The thread that reads the source, stamps and checks its pictures, and reopens it when lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from clipassistnet.live.newest import Newest
from clipassistnet.live.picture_check import PictureCheck

_RETRY = 0.2  # seconds


class Picture(NamedTuple):
    """A picture as it arrived; or, without a frame, what became of the source.

    `frame` is BGR uint8 (H, W, 3), `arrival` in seconds of time.monotonic().
    """

    number: int
    arrival: float
    frame: np.ndarray | None
    fault: str = ""


class Capture(threading.Thread):
    """Reads as fast as the source gives: sound pictures go `to_score`, everything `to_show`.

    `source` opens the source (see source.opener) and is called again whenever it is lost. A frame
    of the wrong size or format is not passed on, only what is wrong with it. `ended` is set at the
    end of a file.
    """

    def __init__(
        self, source: Callable, check: PictureCheck, to_score: Newest, to_show: Newest
    ) -> None:
        # A daemon: a read that never returns must not keep the program from ending.
        super().__init__(name="capture", daemon=True)
        self._source, self._check = source, check
        self._to_score, self._to_show = to_score, to_show
        self._stop_asked = threading.Event()
        self.ended = threading.Event()
        self.count = 0

    def run(self) -> None:
        while not self._stop_asked.is_set():
            try:
                source = self._source()
                try:
                    self._read(source)
                finally:
                    source.close()
            except Exception as error:  # whatever a driver raises, the camera may come back
                self._lost(error)

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=1)

    def _read(self, source) -> None:
        while not self._stop_asked.is_set():
            frame = source.read()
            arrival = time.monotonic()
            if frame is None:
                if source.finite:
                    self.ended.set()
                    self._stop_asked.set()
                    return
                raise ConnectionError("it gives no more pictures")
            fault = self._check.fault(frame)
            self.count += 1
            usable = frame if not fault.startswith("wrong") else None
            picture = Picture(self.count, arrival, usable, fault)
            if not fault:
                self._to_score.put(picture)
            self._to_show.put(picture)

    def _lost(self, error: Exception) -> None:
        fault = f"source lost: {error}"
        self._to_show.put(Picture(self.count, time.monotonic(), None, fault))
        self._stop_asked.wait(_RETRY)
