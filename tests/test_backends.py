"""Predictors, backends and variants; every engine here is a real one."""

import copy
import dataclasses
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from clipassistnet import deploy
from clipassistnet.deploy import backends, openvino_engine
from clipassistnet.transforms import preprocess
from tiny_ensembles import SIZE, Brightness, blobs, brightness, tiny_ensemble

STATES = deploy.available()


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return blobs()


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
    with pytest.raises(deploy.BackendError, match=r"asked for bfloat16, runs in f32 \(0 of 1"):
        openvino_engine._require_precision(compiled, "bfloat16")


class Compiled:
    """Stands for a compiled network whose convolutions run in these precisions."""

    def __init__(self, *precisions):
        self.precisions = precisions

    def get_runtime_model(self):
        return self

    def get_ops(self):
        kinds = [("Convolution", each) for each in self.precisions] + [("Add", "i8")]
        return [SimpleNamespace(get_rt_info=partial(self._info, *each)) for each in kinds]

    def _info(self, kind, precision):
        texts = {"layerType": kind, "runtimePrecision": precision}
        return {name: SimpleNamespace(astype=lambda _, t=text: t) for name, text in texts.items()}


def test_one_layer_in_int8_is_no_int8_network():
    openvino_engine._require_precision(Compiled("i8", "u8", "f32"), "int8")
    with pytest.raises(deploy.BackendError, match=r"runs in bf16, i8 \(1 of 3 layers"):
        openvino_engine._require_precision(Compiled("i8", "bf16", "bf16"), "int8")


@pytest.mark.gpu
def test_cuda_float32_equals_cpu(ensemble, eager, frames):
    if not STATES["torch-cuda"][0]:
        pytest.skip(STATES["torch-cuda"][1])
    result = deploy.check_parity(eager, deploy.load("torch-cuda", ensemble, SIZE), frames, 0.5)
    assert result["max_difference"] < 1e-4  # TF32 would not reach this


# Variants


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
