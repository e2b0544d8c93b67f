"""Decoding for every part that shows a picture to a network: the same file gives the same pixels.

Runs on Python 3.8 with numpy, Pillow and PyAV alone, for the frame cache and the live loop alike.
Pictures come out as uint8 RGB, upright, in the colours of a standard screen (BT.709 primaries,
gamma 2.4), whatever matrix, range, transfer function, bit depth and orientation the file has.
"""

from clipassistnet.data.decoding.errors import FrameError
from clipassistnet.data.decoding.image_file import read_image
from clipassistnet.data.decoding.orientation import upright
from clipassistnet.data.decoding.video_file import open_video, picture, stream_note, video_stream

__all__ = [
    "FrameError",
    "open_video",
    "picture",
    "read_image",
    "stream_note",
    "upright",
    "video_stream",
]
