"""An ensemble on a device: load it on a backend, check parity with PyTorch, time it, save it."""

from clipassistnet.deploy.backends import available, load, used_operations
from clipassistnet.deploy.device import device_name
from clipassistnet.deploy.parity import (
    METRIC_TOLERANCE,
    MINIMUM_FRAMES,
    TOLERANCE,
    check_parity,
    compare_scores,
    compare_with_pytorch,
    score_held_out,
)
from clipassistnet.deploy.predictor import BackendError, Predictor
from clipassistnet.deploy.saved_engine import EngineError, open_engine, read_sidecar, save
from clipassistnet.deploy.timing import time_interleaved, time_predictors
from clipassistnet.deploy.torch2trt_operations import CONVERTERS, convertible, operations
from clipassistnet.deploy.variants import load_common_variants, load_variants, pick_frames

__all__ = [
    "CONVERTERS",
    "METRIC_TOLERANCE",
    "MINIMUM_FRAMES",
    "TOLERANCE",
    "BackendError",
    "EngineError",
    "Predictor",
    "available",
    "check_parity",
    "compare_scores",
    "compare_with_pytorch",
    "convertible",
    "device_name",
    "load",
    "load_common_variants",
    "load_variants",
    "open_engine",
    "operations",
    "pick_frames",
    "read_sidecar",
    "save",
    "score_held_out",
    "time_interleaved",
    "time_predictors",
    "used_operations",
]
