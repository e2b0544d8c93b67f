"""The pictures of a notebook: re-encoded, or replaced by their size and a keyed hash."""

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

DATA_URI = re.compile(r"data:[\w.+-]+/[\w.+-]+[^,\s\"'<>]*,[^\s\"'<>)]*", re.IGNORECASE)
# 120 letters and digits without a gap, or two long lines of them, are not prose: they encode bytes.
ENCODED = re.compile(r"(?:[A-Za-z0-9+/]{60,}={0,2}\s*){2,}")


def figures_of(source: str) -> set[str]:
    """Names of the figures that a code cell writes with `run.figure(figure, name)`.

    No names where the cell is not plain Python: a user's own notebook may have magics.
    """
    try:
        calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    except SyntaxError:
        return set()
    return {
        str(call.args[1].value)
        for call in calls
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "figure"
        and len(call.args) == 2
        and isinstance(call.args[1], ast.Constant)
    }


def reencoded(encoded: str) -> str:
    """A base64 picture as a new base64 PNG that holds its pixels, on white, and nothing else.

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
    """The note that replaces a picture: its size and a keyed hash.

    Without a key, a small picture could be found by hashing every picture that it might be.
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
