"""The thread that scores the newest picture."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from clipassistnet.live.capture import Picture
from clipassistnet.live.newest import Newest


class Score(NamedTuple):
    """p(invisible) of a picture, or why there is none; p(clip applier), NaN where none is known."""

    picture: Picture
    value: float
    fault: str = ""
    presence: float = math.nan


class Scorer(threading.Thread):
    """Scores the newest of `pictures` by `predict`, over and over, whatever that may raise.

    `predict`: uint8 RGB (1, H, W, 3) to one score, such as deploy.Predictor.predict; `presence`
    alike, to p(clip applier). Each result is given to `post`. A network that hangs holds up this
    thread and nothing else.
    """

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        pictures: Newest,
        post: Callable[[Score], None],
        presence: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        super().__init__(name="scorer", daemon=True)
        self._predict, self._pictures, self._post = predict, pictures, post
        self._presence = presence
        self._stop_asked = threading.Event()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            picture = self._pictures.take(timeout=0.1)
            if picture is not None:
                self._post(self._score(picture))

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=1)

    def _score(self, picture: Picture) -> Score:
        presence = one(self._presence, picture.frame)[0] if self._presence else math.nan
        return Score(picture, *one(self._predict, picture.frame), presence)


def one(predict: Callable[[np.ndarray], np.ndarray], frame: np.ndarray) -> tuple[float, str]:
    """(score, "") of one picture, BGR (H, W, 3), or (NaN, why there is none), whatever happens."""
    try:
        scores = np.asarray(predict(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)[None]))
        if scores.shape != (1,):
            raise ValueError(f"scores of shape {scores.shape} for 1 picture")
        return float(scores[0]), ""
    except Exception as error:  # it may be a passing lack of memory: the next one is tried
        return math.nan, f"the model failed: {type(error).__name__}: {error}"
