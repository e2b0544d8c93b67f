"""What a picture costs on its way from the source to the screen, stage by stage."""

from __future__ import annotations

import time
from typing import Iterator, Sequence

import cv2
import numpy as np

from clipassistnet.alarm import Alarm
from clipassistnet.live.history import History
from clipassistnet.live.overlay import Overlay, View
from clipassistnet.live.state import Assistant

STAGES = ("decode", "resize and normalise", "predict", "decide", "draw")


def stages(
    predictors: Sequence, pictures: Iterator[np.ndarray], threshold: float
) -> list[dict[str, object]]:
    """Median milliseconds of each stage of a picture for each predictor, and of them all.

    `predictors`: of deploy; every picture goes to each of them in turn, so that a machine's slow
    spells fall on all. `pictures`: uint8 RGB (H, W, 3), decoded as they are asked for; the first is
    not counted. Returns a row a predictor: backend, precision, a column a stage of STAGES,
    end_to_end_ms, end_to_end_p95_ms, frames_per_second (at the median). Raises ValueError where
    there are fewer than two pictures.
    """
    ways = [_Way(predictor, threshold) for predictor in predictors]
    start = time.perf_counter()
    for number, picture in enumerate(pictures):
        decoded = time.perf_counter() - start
        for way in ways:
            way.show(picture, number / 25, decoded)
        start = time.perf_counter()
    return [way.row() for way in ways]


class _Way:
    """The way of pictures by one predictor: what the live loop does, without its threads."""

    def __init__(self, predictor, threshold: float) -> None:
        self.predictor, self.seconds = predictor, []
        self.assistant, self.history = Assistant(Alarm(threshold, 0.0, 0.0), armed=True), History()
        self.overlay = None

    def show(self, picture: np.ndarray, now: float, decoded: float) -> None:
        canvas = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
        self.overlay = self.overlay or Overlay(picture.shape[1::-1])
        stamps = [time.perf_counter()]
        images = self.predictor.prepare(picture[None])
        stamps.append(time.perf_counter())
        score = float(self.predictor.run(images)[0])
        stamps.append(time.perf_counter())
        self.assistant.picture(now)
        self.assistant.scored(now, score)
        decision = self.assistant.decide(now)
        self.history.add(now, score, decision.state)
        stamps.append(time.perf_counter())
        view = View(decision, score, self.assistant.alarm.threshold, now, "", fresh=True)
        self.overlay.draw(canvas, view, self.history)
        stamps.append(time.perf_counter())
        self.seconds.append([decoded, *np.diff(stamps)])

    def row(self) -> dict[str, object]:
        if len(self.seconds) < 2:
            raise ValueError(f"{len(self.seconds)} pictures, expected at least 2")
        taken = 1000 * np.array(self.seconds[1:])
        whole = taken.sum(axis=1)
        return {
            "backend": self.predictor.backend,
            "precision": self.predictor.precision,
            **dict(zip(STAGES, np.median(taken, axis=0).tolist())),
            "end_to_end_ms": float(np.median(whole)),
            "end_to_end_p95_ms": float(np.percentile(whole, 95)),
            "frames_per_second": 1000 / float(np.median(whole)),
        }
