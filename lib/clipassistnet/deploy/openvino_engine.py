"""OpenVINO, the runtime of a plain CPU: float32, bfloat16 where the CPU has it, int8.

By default `import openvino`, its convert_model and NNCF report every call to an analytics service,
which is unacceptable in a hospital. `silent` prevents it.
"""

from __future__ import annotations

import copy
import importlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Callable

import numpy as np
import torch
from torch import nn

from clipassistnet.deploy.predictor import BackendError
from clipassistnet.identity import hardware

NETWORK = "network.xml"  # OpenVINO puts the weights beside it, as network.bin
CALIBRATION_FRAMES = 300  # NNCF's own default: more do not move the ranges of activations
_HINTS = {"float32": "f32", "bfloat16": "bf16"}
_RUNNING = {"float32": {"f32"}, "bfloat16": {"bf16"}, "int8": {"i8", "u8"}}


def silent(name: str) -> Any:
    """The module `openvino` or `nncf`, imported so that it reports nothing.

    Both use a stub where the package openvino_telemetry cannot be imported. Raises BackendError
    where the module is missing.
    """
    modules: dict[str, Any] = sys.modules
    modules["openvino_telemetry"] = None  # Python takes None for a module that is missing
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise BackendError(f"openvino: {name} is not installed ({error})") from error


def build(
    ensemble: nn.Module,
    image_size: int,
    precision: str,
    calibration: torch.Tensor | None,
    folder: Path,
) -> None:
    """Write the ensemble as an OpenVINO network of one frame into `folder`.

    `calibration`: preprocessed training frames (N, 3, S, S), for int8 alone. Raises BackendError
    where the CPU lacks the precision, or NNCF is absent.
    """
    openvino = silent("openvino")
    if precision == "bfloat16" and not _has_bfloat16():
        raise BackendError("openvino: this CPU has no bfloat16")
    network = _traced(copy.deepcopy(ensemble).eval(), image_size)
    if precision == "int8":
        network = _quantised(network, calibration)
    openvino.save_model(network, folder / NETWORK, compress_to_fp16=False)


def start(folder: Path, precision: str) -> Callable[[torch.Tensor], np.ndarray]:
    """The function that runs the network of `build`, on as many threads as PyTorch uses.

    Raises BackendError where it would run in another precision.
    """
    # Layers that int8 leaves out: bfloat16 takes half the time, and its error is far below int8's.
    unquantised = "bf16" if _has_bfloat16() else "f32"
    settings = {
        # By default OpenVINO takes bfloat16 wherever the CPU has it.
        "INFERENCE_PRECISION_HINT": _HINTS.get(precision, unquantised),
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),  # as PyTorch: a fair comparison
    }
    compiled = silent("openvino").Core().compile_model(folder / NETWORK, "CPU", settings)
    _require_precision(compiled, precision)
    return lambda batch: compiled(batch.numpy())[0]


def _has_bfloat16() -> bool:
    core = silent("openvino").Core()
    return "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _traced(module: nn.Module, image_size: int) -> Any:
    """The module as an OpenVINO model of one frame, batch normalisation folded into convolutions.

    This uses the frontend and the transformations of openvino.convert_model, without its report.
    """
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = torch.rand(1, 3, image_size, image_size)
    with warnings.catch_warnings(), torch.no_grad():
        # torch has deprecated tracing, which OpenVINO still needs; a user cannot change that.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(module, example, check_trace=False)
        decoder = TorchScriptPythonDecoder(traced)  # must outlive the frontend's use of it
        frontend = FrontEndManager().load_by_framework("pytorch")
        model = frontend.convert(frontend.load(decoder))
    model.reshape(list(example.shape))
    apply_moc_transformations(model, cf=False)
    return model


def _quantised(network: Any, calibration: torch.Tensor | None) -> Any:
    """Weights and activations in 8 bits, their ranges taken from the calibration frames."""
    if calibration is None or not len(calibration):
        raise BackendError("openvino int8: no training frames were given to calibrate with")
    # NNCF makes torch warn that there is no CUDA.
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    nncf = silent("nncf")
    nncf.set_log_level("ERROR")
    import rich  # draws NNCF's progress bars, by widgets that a batch run cannot show

    rich.reconfigure(force_jupyter=False, quiet=not sys.stderr.isatty())
    frames = [frame[None].numpy() for frame in calibration[:CALIBRATION_FRAMES]]
    # Without VNNI instructions pairs of products are added in 16 bits. They overflow unless the
    # weights use half their range: errors were 1.8 times as large without this.
    halved = "avx2" in hardware.cpu_flags() and not hardware.has_vnni()
    attention = any(_is_attention(op) for op in network.get_ordered_ops())
    fix = nncf.OverflowFix.ENABLE if halved else nncf.OverflowFix.DISABLE
    ranges = nncf.quantization.range_estimator.RangeEstimatorParametersSet
    advanced = nncf.AdvancedQuantizationParameters(
        overflow_fix=fix, activations_range_estimator_params=ranges.MEAN_NO_OUTLIERS_MINMAX
    )
    return nncf.quantize(
        network,
        nncf.Dataset(frames),
        subset_size=len(frames),
        model_type=nncf.ModelType.TRANSFORMER if attention else None,
        advanced_parameters=advanced,
        ignored_scope=nncf.IgnoredScope(names=_kept_in_float(network)),
    )


def _kept_in_float(network: Any) -> list[str]:
    """Names of the operations that int8 would harm most for the time they save.

    These are, first, all operations after the last layer with weights (of a convolutional network:
    after the last convolution), up to the mean of the members: NNCF would quantise scores to their
    range on the training frames and clip those above. Second, convolutions whose output is a
    quarter of the frame's side or wider: their errors pass through all later layers. Third, with
    VNNI, the sums of residual blocks, which cost no time in floating point there: in int8 their
    rounding errors add up.

    Measured with VNNI and bfloat16 on five ResNet-50 whose last stage was trained, on 1,977
    simulated frames: the error of the logits was 0.049 of their spread with the first group in
    float, 0.045 with the first convolution as well (1.04 times the time), 0.041 with the sums as
    well (the same time). Of six such networks on 316 real frames the last error was 0.059, then
    0.050 with all wide convolutions (1.3 times the time), and 0.018 in bfloat16.
    """
    operations = network.get_ordered_ops()
    side = network.inputs[0].shape[-1]
    convolutions = [op for op in operations if "Convolution" in op.get_type_name()]
    wide = [op for op in convolutions if 4 * op.output(0).shape[-1] >= side]
    sums = [op for op in operations if op.get_type_name() == "Add" and not _is_bias(op)]
    layers = _transformer_layers(operations) or convolutions
    before, ahead = {op.get_friendly_name() for op in layers}, list(layers)
    while ahead:
        for source in _sources(ahead.pop()):
            if source.get_friendly_name() not in before:
                before.add(source.get_friendly_name())
                ahead.append(source)
    plain = ("Constant", "Convert", "Result")
    after = [
        op
        for op in operations
        if op.get_friendly_name() not in before and op.get_type_name() not in plain
    ]
    return [op.get_friendly_name() for op in wide + after + (sums if hardware.has_vnni() else [])]


def _transformer_layers(operations: list) -> list:
    """The linear layers of a transformer but for its head's; [] of a convolutional network."""
    if not any(_is_attention(op) for op in operations):
        return []
    linear = [op for op in operations if op.get_type_name() == "MatMul" and _has_weights(op)]
    return [op for op in linear if op.output(0).get_partial_shape().rank.get_length() > 2]


def _is_attention(operation: Any) -> bool:
    """Whether it multiplies activations with activations, as only a transformer does."""
    kind = operation.get_type_name()
    return kind == "ScaledDotProductAttention" or (kind == "MatMul" and not _has_weights(operation))


def _has_weights(product: Any) -> bool:
    kinds = {source.get_type_name() for source in _sources(product)}
    return bool(kinds & {"Constant", "Convert"})


def _sources(operation: Any) -> list:
    return [entry.get_source_output().get_node() for entry in operation.inputs()]


def _is_bias(addition: Any) -> bool:
    return any(source.get_type_name() == "Constant" for source in _sources(addition))


def _require_precision(compiled: Any, precision: str) -> None:
    """Raise BackendError unless most layers with weights really run in this precision.

    OpenVINO takes the setting as a hint, so the compiled network is read. Some layers stay exact on
    purpose (`_kept_in_float`).
    """
    operations = [node.get_rt_info() for node in compiled.get_runtime_model().get_ops()]
    running = [
        info["runtimePrecision"].astype(str)
        for info in operations
        if info["layerType"].astype(str) in ("Convolution", "FullyConnected")
    ]
    as_asked = sum(each in _RUNNING[precision] for each in running)
    if 2 * as_asked <= len(running):
        found = ", ".join(sorted(set(running)))
        raise BackendError(
            f"openvino: asked for {precision}, runs in {found} "
            f"({as_asked} of {len(running)} layers as asked)"
        )
