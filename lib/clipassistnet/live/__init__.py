"""Live feedback in the operating room, that never says "visible" when it does not know.

For research. Not a medical device. Runs on Python 3.8 with numpy and OpenCV (and torch, torchvision
and timm for the network); recording and offline rendering need PyAV.
"""

from .alarm import Alarm
from .arming import Appearance
from .assistant import LIMIT, RECOVERY, Assistant, Decision, State
from .loop import Live
from .render import render
from .source import SourceError, opener
from .stages import stages

__all__ = [
    "LIMIT",
    "RECOVERY",
    "Alarm",
    "Appearance",
    "Assistant",
    "Decision",
    "Live",
    "SourceError",
    "State",
    "opener",
    "render",
    "stages",
]
