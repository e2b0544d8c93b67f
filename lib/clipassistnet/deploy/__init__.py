"""The ensemble on a device: load a backend, prove it equal to PyTorch, then time it."""

from .backends import available, ladder, load
from .conversion import CONVERTERS, convertible, operations
from .measure import MINIMUM_FRAMES, TOLERANCE, parity, timing
from .predictor import BackendError, Predictor, device_name

__all__ = [
    "CONVERTERS",
    "MINIMUM_FRAMES",
    "TOLERANCE",
    "BackendError",
    "Predictor",
    "available",
    "convertible",
    "device_name",
    "ladder",
    "load",
    "operations",
    "parity",
    "timing",
]
