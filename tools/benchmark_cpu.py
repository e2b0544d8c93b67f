"""Five ResNet-50 at 224 px on this CPU: each variant against eager PyTorch and against the peak.

    python tools/benchmark_cpu.py [--model CHECKPOINT ...] [--engine FOLDER ...]

Calls are interleaved in one run: a slow moment of the machine affects all rows. The peak is the
best rate, in multiplications a second, of plain convolutions alone in the same runtime.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from clipassistnet import model
from clipassistnet.deploy import (
    backends,
    frame_files,
    openvino_engine,
    saved_engine,
    timing,
    variants,
)
from clipassistnet.deploy.device import device_name
from clipassistnet.deploy.predictor import BackendError

_SIZE, _MEMBERS = 224, 5
_CALIBRATION = 16  # frames: the speed of int8 does not depend on its ranges
_PEAK_CHANNELS, _PEAK_SIDE, _PEAK_LAYERS = 256, 28, 8
_PEAK_STRIDE = 8  # of the first layer: int8 leaves the widest in float32


def main(arguments: list[str] | None = None) -> None:
    """Time every backend and precision of this CPU, and print them beside eager PyTorch."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--model", nargs="+", help="model.safetensors files (default: random ones)")
    parser.add_argument("--frames", nargs="+", help="TRAINING frames, for int8 (default: noise)")
    parser.add_argument("--engine", nargs="+", default=[], help="saved engines, timed beside them")
    parser.add_argument("--repeats", type=int, default=15, help="timed calls of each row")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    ensemble = given(options.model) if options.model else random_ensemble()
    size = ensemble.spec["image_size"]
    frames = np.random.default_rng(0).integers(0, 256, (_CALIBRATION, size, size, 3), np.uint8)
    if options.frames:
        frames = frame_files.read(options.frames, len(frames), size)
    predictors, refused = variants.load_variants(ensemble, size, frames)
    calls = {p.name: p.predict for p in predictors if p.device == "cpu"}
    macs = dict.fromkeys(calls, multiplications(ensemble, size))
    for folder in options.engine:  # of other networks: their multiplications are not counted
        engine = saved_engine.open_engine(folder)
        name = f"{engine.name}, {folder}"
        calls[name], macs[name] = engine.predict, float("nan")
    peaks = {f"peak {name}": peak for name, peak in _peaks().items()}
    calls.update({name: call for name, (call, _) in peaks.items()})
    macs.update({name: count for name, (_, count) in peaks.items()})
    seconds = timing.time_interleaved(calls, [frames[:1]], options.repeats)
    print(report(ensemble, bool(options.model), refused, seconds, macs))


def given(paths: list[str]) -> model.EnsembleModule:
    """The ensemble of these checkpoints."""
    return model.EnsembleModule([model.load(path) for path in paths]).eval()


def random_ensemble(members: int = _MEMBERS, size: int = _SIZE) -> model.EnsembleModule:
    """ResNet-50s of random weights, each its own: OpenVINO computes equal members only once."""
    networks = [model.build("resnet50", "none") for _ in range(members)]
    for network in networks:
        network.spec["image_size"] = size
    return model.EnsembleModule(networks).eval()


def multiplications(module: nn.Module, size: int) -> int:
    """Multiply-accumulates of convolutions and linear layers for one frame (3, size, size)."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, size, size))
    return counter.get_total_flops() // 2  # one multiplication and one addition each


def _peaks() -> dict[str, tuple[Callable, int]]:
    """For each precision of OpenVINO here: a call of plain convolutions, and their MACs."""
    layers = [nn.Conv2d(3, _PEAK_CHANNELS, 1, stride=_PEAK_STRIDE)]
    for _ in range(_PEAK_LAYERS):
        layers += [nn.ReLU(), nn.Conv2d(_PEAK_CHANNELS, _PEAK_CHANNELS, 3, padding=1)]
    module = nn.Sequential(*layers).eval()
    side = _PEAK_SIDE * _PEAK_STRIDE
    image = torch.rand(1, 3, side, side)
    found = {}
    for precision in backends.PRECISIONS["openvino"]:
        with TemporaryDirectory() as folder:
            try:
                openvino_engine.build(module, side, precision, image, Path(folder))
                convolve = openvino_engine.start(Path(folder), precision)
            except BackendError:
                continue
        call = lambda _, convolve=convolve: convolve(image)  # noqa: E731
        found[precision] = call, multiplications(module, side)
    return found


def report(
    ensemble: nn.Module, trained: bool, refused: dict, seconds: dict, macs: dict[str, float]
) -> str:
    """The benchmark as text.

    Args:
        ensemble: what was timed; `trained`: whether its weights were given.
        refused: why each (backend, precision) is missing.
        seconds: of the calls of each row, eager PyTorch first; peaks are called "peak <precision>".
        macs: multiply-accumulates of each row.
    """
    import pandas as pd  # of the study extra, as OpenVINO and NNCF are

    peaks = {
        name.split()[1]: macs[name] / min(taken) / 1e9
        for name, taken in seconds.items()
        if name.startswith("peak")
    }
    rows, eager, whole = (
        {},
        np.median(next(iter(seconds.values()))),
        next(iter(macs.values())) / 1e9,
    )
    for name, taken in seconds.items():
        if not name.startswith("peak"):
            p50, p95, p99 = np.percentile(taken, [50, 95, 99])
            rate, peak = macs[name] / p50 / 1e9, peaks.get(name.replace(",", "").split()[1], np.nan)
            rows[name] = {"p50 ms": 1e3 * p50, "p95 ms": 1e3 * p95, "p99 ms": 1e3 * p99}
            rows[name].update({"FPS": 1 / p50, "times eager": eager / p50, "GMAC/s": rate})
            rows[name]["of peak"] = rate / peak
    spec, load = ensemble.spec, os.getloadavg()[0]
    weights = "given" if trained else "random, no two members share any (parity is not shown)"
    lines = [
        f"{len(ensemble.models)} x {spec['backbone']}, {spec['image_size']} px, one frame a call",
        f"device: {device_name()}",
        f"{time.strftime('%Y-%m-%d')}, load average {load:.1f}; weights: {weights}\n",
        pd.DataFrame(rows).T.round(2).to_string(),
        f"\nA frame takes {whole:.1f} GMAC (multiply-accumulates). At convolution's peak rate:",
    ]
    lines += [f"  {p}: {peak:.0f} GMAC/s, {peak / whole:.1f} FPS" for p, peak in peaks.items()]
    if trained:
        lines.append("Stages that members share are counted for each; OpenVINO computes them once.")
    missing = [reason for (name, _), reason in refused.items() if name == "openvino"]
    return "\n".join(lines + [f"not here: {reason}" for reason in missing])


if __name__ == "__main__":
    main()
