"""Which pictures may leave, and how: re-encoded, or by their size and a keyed hash alone."""

import ast
import base64
import binascii
import hashlib
import hmac
import io
import re

import numpy as np
from PIL import Image

SHAREABLE = "shareable"  # tag of a cell whose pictures show no frame and name no video or patient

# The figures that show frames, by notebook. The cell of every other figure is tagged.
SHOW_FRAMES = {
    "03_augmentation": {"preprocessing", "each_transform", "augmented"},
    "06_loss_comparison": {"doubted_labels"},
    "07_saliency": {"guided_gradcam", "grad_cam", "highest_loss", "lowest_loss"},
}

DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+[^,\s\"'<>]*,[^\s\"'<>)]*", re.IGNORECASE)
# 120 letters and digits without a gap, or two long lines of them, are no prose: they encode bytes.
ENCODED = re.compile(r"(?:[A-Za-z0-9+/]{60,}={0,2}\s*){2,}")


def figures_of(source: str) -> set[str]:
    """Names of the figures that a code cell writes with `run.figure(figure, name)`.

    None where the cell is no plain Python (a notebook of the user's own, with magics).
    """
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return set()
    return {
        call.args[1].value
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "figure"
        and len(call.args) == 2
        and isinstance(call.args[1], ast.Constant)
    }


def reencoded(encoded: str) -> str:
    """A base64 picture decoded and encoded anew as base64 PNG: its pixels on white, nothing else.

    Raises:
        ValueError: it cannot be decoded.
    """
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGBA")
    except (OSError, binascii.Error, Image.DecompressionBombError) as error:
        raise ValueError("not a picture") from error
    # Through an array: Pillow carries colour profiles and comments over to what it derives.
    pixels = Image.fromarray(np.asarray(picture))
    white = Image.new("RGBA", pixels.size, "white")
    buffer = io.BytesIO()
    Image.alpha_composite(white, pixels).convert("RGB").save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def withheld(encoded: str, key: bytes) -> str:
    """What stands in a picture's place: its size, and a hash that only who has the key can test.

    Without a key, a small picture could be found by hashing all that it might be.
    """
    try:
        body = base64.b64decode(encoded)
        with Image.open(io.BytesIO(body)) as picture:
            size = f"{picture.width} x {picture.height} pixels"
    except (OSError, binascii.Error, Image.DecompressionBombError):
        body, size = encoded.encode(), f"{len(encoded)} bytes"
    digest = hmac.new(key, body, hashlib.sha256).hexdigest()[:12]
    return f"[picture withheld: {size}, keyed hash {digest}]"


def without_embedded(text: str) -> str:
    """Text without data URIs and without long encoded data."""
    return ENCODED.sub("[data withheld]", DATA_URI.sub("[data withheld]", text))
