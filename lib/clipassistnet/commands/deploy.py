"""Build an engine of trained networks for this machine, check it, and list what can build one.

The engine is compared with PyTorch on real frames before it is saved; one that differs is refused.
"""

from __future__ import annotations

import argparse
import json

from clipassistnet.commands.parsing import command_parser
from clipassistnet.deploy import backends, frame_files, parity, saved_engine, timing
from clipassistnet.deploy.predictor import Predictor
from clipassistnet.live.training_study import arming_facts_to_store, facts_to_store
from clipassistnet.model import classifier, crop_ensemble

_FRAMES = 64  # of parity
_REPEATS = 20
_EXAMPLE = (
    "deploy convert --model runs/*/model.safetensors --frames frames/*.npy --threshold 0.5 "
    "--out engine"
)


def main(arguments: list[str]) -> int:
    """Returns the exit status: 0 done, 1 where a saved engine failed its check."""
    options = _parser().parse_args(arguments)
    return options.run(options)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("deploy", __doc__, _EXAMPLE)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    states = commands.add_parser("backends", help="what this machine has, and what it lacks")
    states.set_defaults(run=_backends)
    convert = commands.add_parser("convert", help="build an engine, prove it, save it")
    convert.add_argument("--backend", default="auto", help="auto, torch2trt, tensorrt, openvino")
    convert.add_argument("--precision", default="float32", help="float32, float16, bfloat16, int8")
    convert.add_argument("--calibration", nargs="+", default=[], help="TRAINING frames, for int8")
    convert.add_argument("--out", required=True, help="folder of the engine")
    convert.set_defaults(run=_convert)
    check = commands.add_parser("check", help="parity and speed of a saved engine")
    check.add_argument("engine", help="folder of the engine")
    check.set_defaults(run=_check)
    for command in (convert, check):
        command.add_argument("--model", nargs="+", required=True, help="model.safetensors files")
        command.add_argument(
            "--frames", nargs="+", required=True, help=".npy of a frame cache, videos or pictures"
        )
        command.add_argument(
            "--threshold", type=_threshold, required=True, help="operating point, from notebook 08"
        )
    return parser


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0, at most 1")
    return value


def _backends(options: argparse.Namespace) -> int:
    for name, (here, note) in backends.available().items():
        print(f"{name:11}{'here, ' if here else 'not here: '}{note}")
    return 0


def _convert(options: argparse.Namespace) -> int:
    ensemble, frames = _given(options)
    size = ensemble.spec["image_size"]
    calibration = frame_files.read(options.calibration, 300, size) if options.calibration else None
    engine = backends.load(
        options.backend, ensemble, size, precision=options.precision, calibration=calibration
    )
    print(engine.reason)
    reference = _reference(engine, ensemble)
    row = parity.check_parity(reference, engine, frames, options.threshold)
    if ensemble.spec["predicts"] == classifier.TIP_INVISIBLE:
        facts = facts_to_store(options.model, options.threshold)
    else:
        facts = arming_facts_to_store(options.model)
    print(json.dumps(saved_engine.save(options.out, engine, row, facts), indent=1))
    return 0


def _check(options: argparse.Namespace) -> int:
    ensemble, frames = _given(options)
    engine = saved_engine.open_engine(options.engine, ensemble)
    both = [_reference(engine, ensemble), engine]
    rows, _ = parity.compare_with_pytorch(both, frames, options.threshold)
    times = timing.time_predictors(both, rows, frames, repeats=_REPEATS)
    print(json.dumps({"parity": rows[1], "timing": times}, indent=1))
    return 0 if rows[1]["passed"] else 1


def _given(options: argparse.Namespace):
    # Either question can become an engine: its sidecar says which, and live asks.
    predicts = classifier.load(options.model[0]).spec["predicts"]
    ensemble = crop_ensemble.load(options.model, predicts=predicts)
    return ensemble, frame_files.read(options.frames, _FRAMES, ensemble.spec["image_size"])


def _reference(engine: Predictor, ensemble) -> Predictor:
    """Float32 PyTorch on the engine's own device: a Jetson's CPU would take minutes."""
    backend = "torch" if engine.device == "cpu" else "torch-cuda"
    return backends.load(backend, ensemble, engine.image_size)
