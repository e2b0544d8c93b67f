"""Patterns of image files such as `v01_{frame:06d}.jpg`, in which the frame's number is filled in.

Other braces in a path are those of a folder's or a file's own name.
"""

import os
import re

FRAME_FIELD = re.compile(r"\{frame(:0?[0-9]*d)?\}")


def is_pattern(path: str) -> bool:
    """Whether a path of videos.csv, or one made of it, stands for image files."""
    return FRAME_FIELD.search(path) is not None


def image_path(pattern: str, frame: int) -> str:
    """The path of the image file of this frame."""
    field = list(FRAME_FIELD.finditer(pattern))[-1]
    number = format(frame, (field[1] or ":")[1:])
    return pattern[: field.start()] + number + pattern[field.end() :]


def is_sound(path: str) -> bool:
    """Whether a path has one field, and no other braces but those of folders that exist."""
    parts = FRAME_FIELD.split(path)
    if len(parts) != 3:
        return False
    before, _, after = parts
    folder, start = os.path.split(before)
    return not re.search("[{}]", start + after) and ("{" not in folder or os.path.isdir(folder))
