"""What a picture costs, stage by stage."""

import time

import numpy as np
import pytest

from clipassistnet import deploy
from clipassistnet.live.profile import STAGES, stage_times


def predictor(seconds: float) -> deploy.Predictor:
    """A network that takes this long and finds every picture invisible."""

    def run(images):
        time.sleep(seconds)
        return np.ones(len(images), np.float32)

    settings = {"image_size": 32, "mean": (0.5,) * 3, "std": (0.5,) * 3, "batch": 1, "memory": 0}
    return deploy.Predictor("torch", "float32", "cpu", "", run=run, **settings)


def pictures(number: int, seconds: float = 0.0):
    for _ in range(number):
        time.sleep(seconds)
        yield np.zeros((120, 160, 3), np.uint8)


def test_every_stage_is_counted_where_it_belongs():
    slow, fast = stage_times([predictor(0.03), predictor(0.0)], pictures(6, 0.02), 0.5)
    assert 30 <= slow["predict"] < 60
    assert 20 <= slow["decode"] == fast["decode"] < 50  # one decoding for both
    assert fast["predict"] < 20
    stages = sum(slow[stage] for stage in STAGES)
    assert slow["end_to_end_ms"] == pytest.approx(stages, rel=0.2)  # medians of parts and whole
    assert slow["frames_per_second"] == pytest.approx(1000 / slow["end_to_end_ms"])
    assert slow["end_to_end_ms"] <= slow["end_to_end_p95_ms"]


def test_the_first_picture_is_not_counted():
    with pytest.raises(ValueError, match="1 pictures, expected at least 2"):
        stage_times([predictor(0.0)], pictures(1), 0.5)
