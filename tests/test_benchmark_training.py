"""tools/benchmark_training.py: all ways train the same network, and each has its rate."""

import pytest
import torch

import benchmark_training
from clipassistnet import model


def test_all_ways_do_the_same_training():
    network = model.build("test_resnet", "none", trainable_stages=0)
    rows = benchmark_training.measure(network, 32, 4, 3, torch.device("cpu")).set_index("way")
    losses = rows["loss"].dropna()
    assert len(losses) >= 3
    plain = losses[benchmark_training.PLAIN]
    assert losses.drop("the same in bfloat16", errors="ignore").tolist() == pytest.approx(
        [plain] * len(losses.drop("the same in bfloat16", errors="ignore")), rel=1e-2
    )
    assert (rows["images_per_second"] > 0).all()
    assert rows.loc[benchmark_training.PLAIN, "ratio"] == 1
