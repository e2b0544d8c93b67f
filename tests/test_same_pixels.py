"""One file, one truth: cache, deploy, live and its offline overlay see the same pixels."""

from __future__ import annotations

import itertools
import signal
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest

from clipassistnet import model
from clipassistnet.__main__ import main
from clipassistnet.alarm import Alarm, Assistant
from clipassistnet.data.video_source import VideoSource
from clipassistnet.deploy import frame_files
from clipassistnet.live import offline, source
from clipassistnet.transforms import resize
from tiny_ensembles import member
from tiny_videos import FPS, HEIGHT, WIDTH, encode, index_of

CASES = ("colours/hlg.mp4", "colours/control709.mp4")
CASES += tuple(f"mirrored/{name}.mp4" for name in ("plain", "rot180", "hflip", "vflip"))
SIZE = 64
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)  # live handles them


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """A file is not played at its own pace."""
    monkeypatch.setattr(
        "clipassistnet.live.source.time", SimpleNamespace(monotonic=float, sleep=float)
    )


def in_cache(path: Path, count: int) -> np.ndarray:
    frames = VideoSource("v", str(path), 25, None).pictures(list(range(count)))
    return np.stack([resize(frame, SIZE) for frame, _ in frames])


def in_deploy(path: Path) -> np.ndarray:
    return frame_files.read([str(path)], 10**6, SIZE)


def in_live(path: Path) -> np.ndarray:
    opened = source.opener(str(path))()
    try:
        frames = []
        while (frame := opened.read()) is not None:
            frames.append(resize(frame[..., ::-1], SIZE))
        return np.stack(frames)
    finally:
        opened.close()


def in_offline(path: Path, out: Path) -> np.ndarray:
    seen = []

    def predict(frames: np.ndarray) -> np.ndarray:
        seen.extend(resize(frame, SIZE) for frame in frames)
        return np.zeros(len(frames))

    offline.render(str(path), predict, Assistant(Alarm(0.5, 0.1, 0.1), armed=True), str(out))
    return np.stack(seen)


def require_equal(path: Path, out: Path) -> np.ndarray:
    """Every frame is the same for all four; returns the frames."""
    live = in_live(path)
    every = [live, in_cache(path, len(live)), in_deploy(path), in_offline(path, out)]
    for first, second in itertools.pairwise(every):
        np.testing.assert_array_equal(first, second)
    return live


@pytest.mark.parametrize("name", CASES)
def test_odd_files_are_the_same_for_all(shared, tmp_path, name):
    require_equal(shared / "cases" / name, tmp_path / "out.mkv")


# Encoder, its options, pixel format. Live takes a picture whose noise the encoder removed for a
# frozen one, so the quality is high.
KINDS = {
    "h264.mp4": ("libx264", {}, "yuv420p"),
    "av1.mp4": ("libsvtav1", {"preset": "12"}, "yuv420p"),
    "av1_10_bit.mkv": ("libsvtav1", {"preset": "12"}, "yuv420p10le"),
    "av1_grain.webm": ("libsvtav1", {"preset": "12", "svtav1-params": "film-grain=8"}, "yuv420p"),
    "hevc_10_bit.mp4": ("libx265", {"crf": "10", "x265-params": "log-level=none"}, "yuv420p10le"),
    "vp9.webm": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}, "yuv420p"),
    "mpeg2.ts": ("mpeg2video", {"qmin": "1", "qmax": "2"}, "yuv420p"),
}


def made(path: Path, count: int = 12) -> Path:
    """A video of a kind of KINDS, by its name."""
    encoder, codec, pixels = KINDS[path.name]
    if encoder not in av.codecs_available:
        pytest.skip(f"this PyAV has no {encoder}")
    return encode(path, count, encoder=encoder, codec=codec, pixels=pixels)


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_of_every_codec_is_the_same_for_all(tmp_path, name):
    frames = require_equal(made(tmp_path / name), tmp_path / "out.mkv")
    assert [index_of(frame) for frame in frames] == list(range(12))


# Where there is no picture


def sound_alone(path: Path) -> None:
    """A second of sound, and a video stream that holds no frame."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        sound = container.add_stream("aac", rate=8000)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        silence.sample_rate = 8000
        container.mux(sound.encode(silence))
        container.mux(sound.encode())


def garbled(path: Path) -> None:
    """AV1 whose packets hold zeros, in a container that is whole."""
    whole = made(path.with_name("av1.mp4"))
    with av.open(str(whole)) as given:
        packets = [bytes(packet) for packet in given.demux(video=0) if packet.size]
    content = whole.read_bytes()
    for packet in packets:
        content = content.replace(packet, bytes(len(packet)))
    path.write_bytes(content)


BROKEN = {"sound.mkv": sound_alone, "garbled.mp4": garbled}


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("network") / "model.safetensors"
    model.save(member(), path)
    return str(path)


@pytest.mark.parametrize("mode", ["live", "offline", "deploy", "frames"])
@pytest.mark.parametrize("name", BROKEN)
def test_no_picture_is_an_error_of_every_command(tmp_path, capsys, network, name, mode):
    path = tmp_path / name
    BROKEN[name](path)
    record = ["--record", str(tmp_path / "overlay.mkv")]
    live = ["live", "--model", network, "--source", str(path), "--armed", "--backend", "torch"]
    convert = ["deploy", "convert", "--model", network, "--threshold", "0.5", "--backend"]
    arguments = {
        "live": [*live, *record, "--display", "none"],
        "offline": [*live, *record, "--offline"],
        "deploy": [*convert, "openvino", "--frames", str(path), "--out", str(tmp_path / "engine")],
        "frames": ["frames", str(dataset_of(path)), str(tmp_path / "cache"), "--size", "32"],
    }
    before = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        assert main(arguments[mode]) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    said = capsys.readouterr()
    assert name in said.err
    assert "recorded" not in said.out
    assert not (tmp_path / "engine").exists()


def dataset_of(path: Path) -> Path:
    """A dataset folder of this video alone, with one label."""
    (path.parent / "videos.csv").write_text(
        f"video,path,patient,fps,frames\nv,{path.name},p,25,12\n"
    )
    labels = "video,frame,annotator,label\nv,3,anna,visible\n"
    (path.parent / "annotations.csv").write_text(labels)
    return path.parent
