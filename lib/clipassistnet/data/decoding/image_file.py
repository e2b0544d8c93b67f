"""Image files: one picture of any common format, bit depth and number of channels."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from clipassistnet.data.decoding.errors import FrameError

SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")
EIGHT_BITS = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")
ORIENTATION = 0x0112  # the EXIF tag; 1 is upright


def read_image(path: str) -> tuple[np.ndarray, str]:
    """Read an image file.

    Transparency is left out. Values of 16 bits are scaled to 8 bits.

    Returns:
        uint8 RGB (H, W, 3), upright, and what was done to make it so (empty: nothing).

    Raises:
        FrameError: where the file is missing, is cut off, or is no picture of 8 or 16 bits.
    """
    try:
        with Image.open(path) as image:
            note = "turned by EXIF" if image.getexif().get(ORIENTATION, 1) != 1 else ""
            # Both decode the whole file: one that was cut off raises here.
            return _rgb(ImageOps.exif_transpose(image)), note
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FrameError(f"{path}: unreadable image ({reason})") from error


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode in SIXTEEN_BITS or image.mode == "I":
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("grey values outside 16 bits")
        grey = (values // 257).astype(np.uint8)  # 65535 becomes 255
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode not in EIGHT_BITS:
        raise ValueError(f"mode {image.mode}: expected 8 or 16 bits a channel")
    return np.asarray(image.convert("RGB"))
