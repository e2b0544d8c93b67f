"""Tiny videos whose every frame carries its own index in its pixels, so that a shift shows."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd

from clipassistnet.data import dataset

WIDTH, HEIGHT, BITS = 64, 48, 8
FPS, FRAMES = 25, 40


def picture(index: int) -> np.ndarray:
    """RGB picture (48,64,3): the index in eight columns, its complement in the lower half."""
    bits = (index >> np.arange(BITS)) & 1
    upper = np.repeat(np.where(bits, 200, 50), WIDTH // BITS)
    rows = np.repeat(np.stack([upper, 250 - upper]), HEIGHT // 2, axis=0)
    noise = np.random.default_rng(index).integers(-20, 20, (HEIGHT, WIDTH, 3))
    return (rows[..., None] + noise).astype(np.uint8)


def index_of(frame: np.ndarray) -> int:
    """Index that a decoded frame carries, of whatever size; -1 where halves contradict."""
    height, width = frame.shape[:2]
    cells = frame.mean(axis=2)[: height // 2 * 2, : width // BITS * BITS]
    upper, lower = cells.reshape(2, height // 2, BITS, width // BITS).mean(axis=(1, 3)) > 125
    return int(upper @ (1 << np.arange(BITS))) if np.array_equal(upper, ~lower) else -1


def encode(
    path: Path,
    count: int = FRAMES,
    pts: list[int] | None = None,
    time_base: Fraction = Fraction(1, FPS),
    options: dict[str, str] | None = None,
    codec: dict[str, str] | None = None,
    encoder: str = "libx264",
    pixels: str = "yuv420p",
) -> Path:
    """Write a video of `picture(0)`... at these time stamps (one a tick by default).

    `options` are those of the container, `codec` those of the encoder: key frames every 12 frames,
    two B frames between others. `pixels` is FFmpeg's name of the pixel format.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        given = {"g": "12", "bf": "2"} if encoder == "libx264" else {}
        stream = container.add_stream(encoder, rate=FPS, options=given | (codec or {}))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixels
        stream.codec_context.time_base = time_base
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts, frame.time_base = (pts[index] if pts else index), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def label(frame: int) -> str:
    return "invisible" if frame // 8 % 2 else "visible"


def annotations() -> pd.DataFrame:
    """Every second frame; v07 and v08 (test) by three annotators, of whom B and C err.

    B errs on the frames 8 and 16, C on 24: 3 of 20 frames lack full agreement, in each of the two
    videos. The frames 1 and 3 of v08 show no clipper: all three call them absent.
    """
    wrong = {("B", 8), ("B", 16), ("C", 24)}
    other = {"visible": "invisible", "invisible": "visible"}
    rows = []
    for number in range(1, 9):
        for annotator in "ABC" if number > 6 else "A":
            for frame in range(0, FRAMES, 2):
                name = label(frame)
                rows.append(
                    (frame, annotator, other[name] if (annotator, frame) in wrong else name)
                )
                rows[-1] = (f"v{number:02d}", *rows[-1])
            if number == 8:
                rows += [("v08", frame, annotator, "absent") for frame in (1, 3)]
    table = pd.DataFrame(rows, columns=["video", "frame", "annotator", "label"])
    table["cause"] = table["label"].map(
        {"visible": "none", "invisible": "occluded_tissue", "absent": "no_clipper"}
    )
    return table


def write_dataset(folder: Path) -> Path:
    """Dataset of eight videos v01 to v08 with every table; v01 and v02 are of one patient."""
    (folder / "videos").mkdir(parents=True)
    names = [f"v{number:02d}" for number in range(1, 9)]
    for name in names:
        encode(folder / "videos" / f"{name}.mp4")
    videos = pd.DataFrame(
        {
            "video": names,
            "path": [f"videos/{name}.mp4" for name in names],
            "patient": ["p1", "p1", "p2", "p3", "p4", "p5", "p6", "p7"],
            "split": ["train"] * 6 + ["test"] * 2,
            "fps": FPS,
            "frames": FRAMES,
            "clipper": ["metal", "polymer"] * 4,
            "source": "tests",
            "licence": "Apache-2.0",
        }
    )
    each = pd.DataFrame({"video": names})
    truth = each.merge(pd.DataFrame({"frame": range(FRAMES)}), how="cross")
    truth["label"] = truth["frame"].map(label)
    truth["cause"] = truth["label"].map({"visible": "none", "invisible": "occluded_tissue"})
    dataset.write(
        folder,
        videos=videos,
        annotations=annotations(),
        phases=each.assign(start=0, end=FRAMES, phase="clipping"),
        actions=each.assign(
            frame=20, tip_visible_before=[True, False] * 4, safe=[True] * 6 + [False] * 2
        ),
        boxes=each.assign(frame=20, tool="Clipper", x0=8.0, y0=4.0, x1=40.5, y1=44.0),
        tips=each.merge(
            pd.DataFrame({"jaw": ["upper", "lower"], "y": [10.0, 14.0]}), how="cross"
        ).assign(frame=20, x=32.0, visible_share=0.5),
        truth=truth,
    )
    return folder
