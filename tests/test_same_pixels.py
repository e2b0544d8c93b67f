"""One file, one truth: cache, deploy, live and its offline overlay see the same pixels."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from clipassistnet.alarm import Alarm, Assistant
from clipassistnet.data.video_source import VideoSource
from clipassistnet.deploy import frame_files
from clipassistnet.live import offline, source
from clipassistnet.transforms import resize
from tiny_videos import encode

CASES = ("colours/hlg.mp4", "colours/control709.mp4")
CASES += tuple(f"mirrored/{name}.mp4" for name in ("plain", "rot180", "hflip", "vflip"))
SIZE = 64


def in_cache(path: Path) -> np.ndarray:
    frames = VideoSource("v", str(path), 25, None).pictures([0])
    return resize(next(iter(frames))[0], SIZE)


def in_deploy(path: Path) -> np.ndarray:
    return frame_files.read([str(path)], 1, SIZE)[0]


def in_live(path: Path) -> np.ndarray:
    opened = source.opener(str(path))()
    try:
        return resize(opened.read()[..., ::-1], SIZE)
    finally:
        opened.close()


def in_offline(path: Path, out: Path) -> np.ndarray:
    seen = []

    def predict(frames: np.ndarray) -> np.ndarray:
        seen.append(frames[0])
        return np.zeros(len(frames))

    offline.render(str(path), predict, Assistant(Alarm(0.5, 0.1, 0.1), armed=True), str(out))
    return resize(seen[0], SIZE)


def require_equal(path: Path, out: Path) -> None:
    pictures = [in_cache(path), in_deploy(path), in_live(path), in_offline(path, out)]
    for first, second in itertools.pairwise(pictures):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("name", CASES)
def test_the_first_frame_is_the_same_for_all(shared, tmp_path, name):
    require_equal(shared / "cases" / name, tmp_path / "out.mkv")


def test_the_first_frame_of_a_plain_file_is_the_same_for_all(tmp_path):
    require_equal(encode(tmp_path / "plain.mp4"), tmp_path / "out.mkv")
