"""The trained networks that come with the project: for each a head, its locator and a card.

They lie in model/heads/<name>/. The head reads features of a frozen backbone, which is not in the
folder: model.pretrained finds it. tools/ship_head.py makes them. This module needs no torch, which
takes seconds: a start screen comes first. Python 3.8.
"""

from __future__ import annotations

import os

import clipassistnet

FOLDER = os.path.join(os.path.dirname(os.path.abspath(clipassistnet.__file__)), "model", "heads")
CHECKPOINT, CARD = "model.safetensors", "README.md"
DEFAULT = "m2cai"  # trained on real frames


def names() -> list[str]:
    """The names of the networks that come with the project."""
    found = os.listdir(FOLDER) if os.path.isdir(FOLDER) else []
    return sorted(name for name in found if os.path.isfile(checkpoint(name)))


def checkpoint(name: str) -> str:
    """The file of a network of this name, which may not exist."""
    return os.path.join(FOLDER, name, CHECKPOINT)
