"""Backends, their guards, parity and timing; every engine here is a real one."""

import copy
import dataclasses
import functools
import math
import sys
import types

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from clipassistnet import deploy, hardware
from clipassistnet.deploy import backends, engine_check, openvino_engine, torch2trt_engine
from clipassistnet.model import TIP_INVISIBLE, EnsembleModule
from clipassistnet.transforms import preprocess
from tiny_ensembles import SIZE, blobs, member, tiny_ensemble

STATES = deploy.available()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return blobs()


class Brightness(nn.Module):
    """A network whose scores are known by hand: the mean of the frame, 0 to 1, and an offset."""

    def __init__(self, offset: float = 0.0) -> None:
        super().__init__()
        self.offset = offset
        self.spec = {"image_size": 8, "mean": [0.0] * 3, "std": [1.0] * 3}
        self.spec["predicts"] = TIP_INVISIBLE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=(1, 2, 3)) + self.offset


@pytest.fixture(scope="module")
def greys() -> np.ndarray:
    """51 frames of one grey each: 0, 5, ... 250."""
    return (
        np.arange(0, 255, 5, np.uint8)[:, None, None, None].repeat(8, 1).repeat(8, 2).repeat(3, 3)
    )


def brightness(offset: float = 0.0) -> deploy.Predictor:
    return deploy.load("torch", Brightness(offset), 8)


# Predictor


def test_torch_gives_the_modules_own_scores(ensemble, eager, frames):
    spec = ensemble.spec
    with torch.no_grad():
        expected = ensemble(preprocess(frames[:5], SIZE, spec["mean"], spec["std"])).numpy()
    assert np.array_equal(eager.predict(frames[:5]), expected)
    assert np.ptp(expected) > 0.01
    assert (eager.backend, eager.precision, eager.device) == ("torch", "float32", "cpu")


def test_frames_keep_their_order_over_batches(eager, frames):
    scores = eager.predict(frames)  # 40 frames, more than one batch
    assert scores.shape == (40,)
    assert scores.dtype == np.float32
    alone = [eager.predict(frame[None])[0] for frame in frames[30:]]
    np.testing.assert_allclose(scores[30:], alone, atol=1e-6)
    assert eager.predict(frames[:0]).shape == (0,)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
    ],
)
def test_frames_of_another_kind_are_refused(eager, wrong):
    with pytest.raises(ValueError, match=r"expected uint8 \(N, H, W, 3\)"):
        eager.predict(wrong)


def test_a_wrong_number_of_scores_is_refused(frames):
    broken = dataclasses.replace(brightness(), run=lambda batch: np.zeros(1, np.float32))
    with pytest.raises(deploy.BackendError, match="for 32 frames"):
        broken.predict(frames)


def test_predictor_is_a_frozen_copy_in_eval_mode(ensemble, eager, frames):
    training = copy.deepcopy(ensemble).train()
    loaded = deploy.load("torch", training, SIZE)
    assert training.training
    with torch.no_grad():
        for parameter in training.parameters():
            parameter.zero_()
    assert np.array_equal(loaded.predict(frames[:4]), eager.predict(frames[:4]))


# Backends


def test_available_names_every_backend():
    assert set(STATES) == {"torch", "torch-cuda", "openvino", "torch2trt", "tensorrt"}
    assert STATES["torch"] == (True, torch.__version__)
    assert all(note for _, note in STATES.values())


def test_unknown_backend_and_precision(ensemble):
    with pytest.raises(ValueError, match="backend 'onnx', expected auto or one of torch2trt"):
        deploy.load("onnx", ensemble, SIZE)
    with pytest.raises(ValueError, match="'int4', expected for openvino: float32, bfloat16"):
        deploy.load("openvino", ensemble, SIZE, precision="int4")


@pytest.mark.parametrize("backend", ["torch2trt", "tensorrt", "torch-cuda"])
def test_a_named_backend_never_falls_back(ensemble, backend):
    if STATES[backend][0]:
        pytest.skip(f"{backend} is here")
    with pytest.raises(deploy.BackendError, match=backend):
        deploy.load(backend, ensemble, SIZE)


def test_auto_takes_the_fastest_and_says_why(ensemble):
    chosen = deploy.load("auto", ensemble, SIZE)
    fastest = next(name for name in backends.BACKENDS if STATES[name][0])
    assert chosen.backend == fastest
    assert chosen.reason.startswith(f"{fastest} ")
    for name in backends.BACKENDS[: backends.BACKENDS.index(fastest)]:
        assert STATES[name][1] in chosen.reason


def test_auto_passes_over_what_lacks_the_precision(ensemble):
    if any(STATES[name][0] for name in ("torch2trt", "tensorrt", "torch-cuda")):
        pytest.skip("a GPU is here")
    with pytest.raises(deploy.BackendError, match=r"no backend runs float16.*openvino: no f"):
        deploy.load("auto", ensemble, SIZE, precision="float16")


def test_another_image_size_is_refused():
    with pytest.raises(ValueError, match="image_size 16, the ensemble's is 8"):
        deploy.load("torch", Brightness(), 16)


def test_openvino_float32_equals_pytorch(built, eager, frames):
    result = deploy.check_parity(eager, built, frames, 0.5)
    assert result["passed"]
    assert result["max_difference"] < 1e-4
    assert result["frames"] == 40
    assert (result["backend"], result["precision"]) == ("openvino", "float32")


def test_openvino_bfloat16_is_real_or_refused(ensemble, eager, frames):
    import openvino

    if "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        engine = deploy.load("openvino", ensemble, SIZE, precision="bfloat16")
        assert deploy.check_parity(eager, engine, frames, 0.5)["max_difference"] > 1e-5
    else:
        with pytest.raises(deploy.BackendError, match="this CPU has no bfloat16"):
            deploy.load("openvino", ensemble, SIZE, precision="bfloat16")


def test_openvino_precision_is_read_from_what_was_compiled():
    import openvino

    model = openvino_engine._traced(nn.Conv2d(3, 2, 3), 8)
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    openvino_engine._require_precision(compiled, "float32")
    with pytest.raises(deploy.BackendError, match="asked for bfloat16, runs in f32"):
        openvino_engine._require_precision(compiled, "bfloat16")


# Conversion with torch2trt: what can be known of it without a GPU


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
        monkeypatch.delitem(sys.modules, name, raising=False)
    usable, note = deploy.available()["torch2trt"]
    assert not usable
    assert "CalibrationAlgoType" in note
    assert "JETSON.md" in note


@pytest.mark.gpu
def test_cuda_float32_equals_cpu(ensemble, eager, frames):
    if not STATES["torch-cuda"][0]:
        pytest.skip(STATES["torch-cuda"][1])
    result = deploy.check_parity(eager, deploy.load("torch-cuda", ensemble, SIZE), frames, 0.5)
    assert result["max_difference"] < 1e-4  # TF32 would not reach this


# Parity and timing


def test_parity_by_hand(greys):
    # Greys of 5 k / 255: those from 0.45 up to below 0.5 are 115, 120 and 125 (0.451 to 0.490).
    result = deploy.check_parity(brightness(), brightness(0.05), greys, 0.5)
    assert result["max_difference"] == pytest.approx(0.05, abs=1e-6)
    assert result["flips"] == 3
    assert result["frames"] == 51
    assert not result["passed"]
    assert deploy.check_parity(brightness(), brightness(0.0005), greys, 0.5)["passed"]
    assert deploy.check_parity(brightness(), brightness(), greys, 0.5)["flips"] == 0


def test_a_score_that_is_no_number_fails_parity(greys):
    assert not deploy.check_parity(brightness(), brightness(math.nan), greys, 0.5)["passed"]
    with pytest.raises(ValueError, match="the reference's scores are not finite"):
        deploy.check_parity(brightness(math.nan), brightness(), greys, 0.5)


def test_parity_needs_frames_and_float32_pytorch(built, eager, greys, frames):
    with pytest.raises(ValueError, match="31 frames, expected at least 32"):
        deploy.check_parity(brightness(), brightness(), greys[:31], 0.5)
    with pytest.raises(ValueError, match="the reference is openvino float32"):
        deploy.check_parity(built, eager, frames, 0.5)


def test_several_ensembles_score_their_own_frames_against_their_own_thresholds(greys):
    # Two ensembles in turn. The scores of their second variants are 0.01 and 0.03 too high.
    held_out = np.where(np.arange(51) % 2, "b", "a")
    variants = {n: [brightness(), brightness(by)] for n, by in (("a", 0.01), ("b", 0.03))}
    scores = deploy.score_held_out(variants, greys, held_out)
    np.testing.assert_allclose(scores[0], np.arange(0, 255, 5) / 255, atol=1e-6)
    np.testing.assert_allclose((scores[1] - scores[0])[:4], [0.01, 0.03, 0.01, 0.03], atol=1e-6)
    # Below 0.5 by 0.03 at most: 125 / 255 (odd, so of b); below 0.2 by 0.01 at most: 50 / 255.
    own = np.where(held_out == "b", 0.5, 0.2)
    row = deploy.compare_scores(variants["a"], scores, own)[1]
    assert row["max_difference"] == pytest.approx(0.03, abs=1e-6)
    assert row["flips"] == 2


def test_ensembles_on_different_variants_are_refused(greys):
    held_out = np.where(np.arange(51) % 2, "b", "a")
    variants = {"a": [brightness(), brightness()], "b": [brightness()]}
    with pytest.raises(ValueError, match="run on different variants"):
        deploy.score_held_out(variants, greys, held_out)


def test_a_variant_that_one_ensemble_cannot_take_is_refused_for_all(ensemble, frames, monkeypatch):
    other, build = tiny_ensemble(seed=1), openvino_engine.build

    def failing(module, size, precision, *rest):
        if module is other and precision == "float32":
            raise deploy.BackendError("out of memory")
        build(module, size, precision, *rest)

    monkeypatch.setattr(openvino_engine, "build", failing)
    ensembles = {"a": ensemble, "b": other}
    variants, refused = deploy.load_common_variants(ensembles, SIZE, {"a": frames, "b": frames})
    assert refused["openvino", "float32"] == "out of memory"
    names = [[variant.name for variant in own] for own in variants.values()]
    assert names[0] == names[1]
    assert "openvino float32" not in names[0]


def test_several_ensembles_have_the_same_variants(ensemble, frames):
    variants, refused = deploy.load_common_variants(
        {"a": ensemble, "b": ensemble}, SIZE, {"a": frames, "b": frames}
    )
    names = [[variant.name for variant in own] for own in variants.values()]
    assert names[0] == names[1]
    assert len(names[0]) + len(refused) == sum(map(len, backends.PRECISIONS.values()))


def test_timing_of_predictors_that_passed_parity(greys):
    predictors = [brightness(), brightness(0.0001), brightness(0.2)]
    rows, scores = deploy.compare_with_pytorch(predictors, greys, 0.5)
    assert [row["passed"] for row in rows] == [True, True, False]
    np.testing.assert_allclose(scores[2] - scores[0], 0.2, atol=1e-6)
    rows = deploy.time_predictors(predictors, rows, greys, repeats=20)
    assert rows[0]["ratio"] == 1.0
    for row in rows[:2]:
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["p99_ms"]
        assert row["frames_per_second"] == pytest.approx(1000 / row["p50_ms"])
        assert row["ratio"] == pytest.approx(rows[0]["p50_ms"] / row["p50_ms"])
    names = ("p50_ms", "p95_ms", "p99_ms", "frames_per_second", "ratio")
    assert all(math.isnan(rows[2][name]) for name in names)
    assert rows[0]["device"] == deploy.device_name()
    assert (rows[1]["frames"], rows[2]["flips"]) == (51, 10)  # of parity: 0.3 to 0.5, by 0.2


def test_timing_interleaves_calls_of_a_batch(greys):
    calls = []

    def recorded(name: str, batch: int) -> deploy.Predictor:
        plain = brightness()

        def run(images: torch.Tensor) -> np.ndarray:
            calls.append((name, len(images)))
            return plain.run(images)

        return dataclasses.replace(plain, run=run, batch=batch)

    predictors = [recorded("a", 32), recorded("b", 4), recorded("c", 1)]
    rows, _ = deploy.compare_with_pytorch(predictors, greys, 0.5)
    timed = deploy.time_predictors(predictors, rows, greys, repeats=3, batch=4)
    assert calls[-6:] == [("a", 4), ("b", 4)] * 3
    assert math.isnan(timed[2]["p50_ms"])  # takes one frame at a time
    assert timed[0]["frames_per_second"] == pytest.approx(4000 / timed[0]["p50_ms"])


def test_a_changed_metric_fails_parity(greys):
    # By hand: 51 greys, the 25 darker ones visible. One offset for all frames changes no ranking;
    # scores that fall with the brightness turn an AUROC of 1 into 0.
    targets = (np.arange(51) >= 25).astype(int)
    same = deploy.check_parity(brightness(), brightness(0.0005), greys, 0.5, targets)
    assert (same["auroc"], same["auroc_change"], same["passed"]) == (1.0, 0.0, True)
    plain = brightness()
    noisy = dataclasses.replace(
        plain,
        precision="int8",
        run=lambda x: plain.run(x) + np.float32(0.15) * (plain.run(x) < 0.5),
    )
    changed = deploy.check_parity(plain, noisy, greys, 0.5, targets)
    # Greys from 0.35 to 0.49 now lie in 0.50 to 0.64: 24 of 25 visible ones, of 0, 5 .. 120, that
    # is those from 90 on (7), outrank invisible ones.
    assert changed["max_difference"] == pytest.approx(0.15, abs=1e-6)
    assert changed["auroc"] < 0.998
    assert not changed["passed"]


# Device names


def test_device_name_tells_processor_and_threads():
    threads = torch.get_num_threads()
    assert deploy.device_name().endswith(f", {threads} thread" + "s" * (threads > 1))
    if not hardware.BOARD.is_file():
        assert "Jetson" not in deploy.device_name()


def test_device_name_keeps_a_jetsons_cpu_apart_from_its_gpu(tmp_path, monkeypatch):
    board = tmp_path / "model"
    board.write_text("NVIDIA Jetson AGX Xavier Developer Kit\0")
    monkeypatch.setattr(hardware, "BOARD", board)
    assert deploy.device_name("cuda") == "NVIDIA Jetson AGX Xavier Developer Kit"
    cpu = deploy.device_name("cpu")
    assert "thread" in cpu
    assert cpu.endswith("(the CPU of NVIDIA Jetson AGX Xavier Developer Kit, not its GPU)")
    board.write_text("Raspberry Pi 5 Model B\0")
    assert "Raspberry" not in deploy.device_name("cpu")
