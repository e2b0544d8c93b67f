"""Live feedback in the operating room, that never says "visible" when it does not know.

For research. Not a medical device. Runs on Python 3.8 with numpy and OpenCV (and torch, torchvision
and timm for the network); recording and offline rendering need PyAV.
"""

from clipassistnet.alarm import Alarm
from clipassistnet.live.loop import Live
from clipassistnet.live.offline import render
from clipassistnet.live.profile import stages
from clipassistnet.live.source import SourceError, opener
from clipassistnet.live.state import LIMIT, RECOVERY, Assistant, Decision, State
from clipassistnet.live.switches import Appearance

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
