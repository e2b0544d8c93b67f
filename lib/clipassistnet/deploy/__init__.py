"""The ensemble on a device: load a backend, prove it equal to PyTorch, time it, save its engine."""

from clipassistnet.deploy.backends import available, ladder, ladders, load, used_operations
from clipassistnet.deploy.measure import (
    METRIC_TOLERANCE,
    MINIMUM_FRAMES,
    TOLERANCE,
    compare,
    interleaved,
    judge,
    parity,
    prove,
    spread,
    timing,
)
from clipassistnet.deploy.predictor import BackendError, Predictor, device_name
from clipassistnet.deploy.saved_engine import EngineError, open_engine, read_sidecar, save
from clipassistnet.deploy.torch2trt_engine import CONVERTERS, convertible, operations

__all__ = [
    "CONVERTERS",
    "METRIC_TOLERANCE",
    "MINIMUM_FRAMES",
    "TOLERANCE",
    "BackendError",
    "EngineError",
    "Predictor",
    "available",
    "compare",
    "convertible",
    "device_name",
    "interleaved",
    "judge",
    "ladder",
    "ladders",
    "load",
    "open_engine",
    "operations",
    "parity",
    "prove",
    "read_sidecar",
    "save",
    "spread",
    "timing",
    "used_operations",
]
