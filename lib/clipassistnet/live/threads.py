"""The two threads of the live loop: one reads the source, one scores the newest picture."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Callable

import cv2
import numpy as np

from clipassistnet.live.picture_check import PictureCheck
from clipassistnet.live.session import Picture, Score
from clipassistnet.live.source import Source

_RETRY = 0.2  # seconds

Predict = Callable[[np.ndarray], np.ndarray]  # typing's: that of collections.abc needs Python 3.9


class NewestItem:
    """A buffer of one item between two threads: a slow reader gets the newest, nothing queues up.

    `dropped` counts the items that were replaced before they were read.
    """

    def __init__(self, wake: threading.Event | None = None) -> None:
        """`wake` is set at each new item, for a reader that waits for several things."""
        self.dropped = 0
        self._item: Any = None
        self._changed = threading.Condition()
        self._wake = wake

    def put(self, item: Any) -> None:
        """Replace the item."""
        with self._changed:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify()
        if self._wake is not None:
            self._wake.set()

    def take(self, timeout: float = 0.0) -> Any:
        """The newest item, once; None if none has come within `timeout` seconds."""
        with self._changed:
            if self._item is None and timeout > 0:
                self._changed.wait(timeout)
            item, self._item = self._item, None
            return item


class Capture(threading.Thread):
    """Reads the source, stamps and checks its pictures, and opens it again when it is lost.

    Good pictures go `to_score`, all go `to_show`. Of a frame of the wrong size or format only the
    fault is passed on. `source` opens the source (see source.opener). `ended` is set at the end of
    a file.
    """

    def __init__(
        self,
        source: Callable[[], Source],
        check: PictureCheck,
        to_score: NewestItem,
        to_show: NewestItem,
    ) -> None:
        # A daemon: a read that never returns must not keep the program from ending.
        super().__init__(name="capture", daemon=True)
        self._source, self._check = source, check
        self._to_score, self._to_show = to_score, to_show
        self._stop_requested = threading.Event()
        self.ended = threading.Event()
        self.count = 0

    def run(self) -> None:
        """Read until the file ends or `stop` is called."""
        while not self._stop_requested.is_set():
            try:
                source = self._source()
                try:
                    self._read(source)
                finally:
                    source.close()
            except Exception as error:  # whatever a driver raises, the camera may come back
                self._lost(error)

    def stop(self) -> None:
        """End the thread; waits a second at most."""
        self._stop_requested.set()
        self.join(timeout=1)

    def _read(self, source: Source) -> None:
        while not self._stop_requested.is_set():
            frame = source.read()
            arrival = time.monotonic()
            if frame is None:
                if source.finite:
                    self.ended.set()
                    self._stop_requested.set()
                    return
                raise ConnectionError("it gives no more pictures")
            fault = source.fault or self._check.fault(frame)
            self.count += 1
            usable = frame if not fault.startswith("wrong") else None
            picture = Picture(self.count, arrival, usable, fault)
            if not fault:
                self._to_score.put(picture)
            self._to_show.put(picture)

    def _lost(self, error: Exception) -> None:
        fault = f"source lost: {error}"
        self._to_show.put(Picture(self.count, time.monotonic(), None, fault))
        self._stop_requested.wait(_RETRY)


class Scorer(threading.Thread):
    """Scores the newest of `pictures`, over and over, whatever the network raises.

    Args:
        predict: uint8 RGB (1, H, W, 3) to one score, such as deploy.Predictor.predict.
        pictures: holds the newest Picture.
        post: is given each Score. A network that hangs holds up this thread and nothing else.
        clip_applier: as `predict`, to p(clip applier).
    """

    def __init__(
        self,
        predict: Predict,
        pictures: NewestItem,
        post: Callable[[Score], None],
        clip_applier: Predict | None = None,
    ) -> None:
        super().__init__(name="scorer", daemon=True)
        self._predict, self._pictures, self._post = predict, pictures, post
        self._clip_applier = clip_applier
        self._stop_requested = threading.Event()

    def run(self) -> None:
        """Score until `stop` is called."""
        while not self._stop_requested.is_set():
            picture = self._pictures.take(timeout=0.1)
            if picture is not None:
                self._post(self._score(picture))

    def stop(self) -> None:
        """End the thread; waits a second at most."""
        self._stop_requested.set()
        self.join(timeout=1)

    def _score(self, picture: Picture) -> Score:
        frame, present = picture.frame, math.nan
        assert frame is not None, "only good pictures are scored"
        if self._clip_applier:
            present, _ = _predict_one(self._clip_applier, frame)
        return Score(picture, *_predict_one(self._predict, frame), present)


def _predict_one(predict: Predict, frame: np.ndarray) -> tuple[float, str]:
    """(score, "") of one picture, BGR (H, W, 3); (NaN, the reason) after any error."""
    try:
        scores = np.asarray(predict(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)[None]))
        if scores.shape != (1,):
            raise ValueError(f"scores of shape {scores.shape} for 1 picture")
        return float(scores[0]), ""
    except Exception as error:  # memory may be short for a moment: the next picture is tried
        return math.nan, f"the model failed: {type(error).__name__}: {error}"
