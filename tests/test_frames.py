"""Frames come out at the index they were annotated at, or not at all.

Every picture of the tiny videos carries its own index, so that a shift by one frame is seen.
"""

import json
import os
import pickle
import random
import re
import shutil
import subprocess
import sys
import wave
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from clipassistnet.data import dataset, frame_cache, frame_extraction, frame_seeking, video_source
from clipassistnet.data.decoding import FrameError
from clipassistnet.data.frame_cache import FrameCacheError
from clipassistnet.data.timeline import Timeline, timeline
from clipassistnet.data.video_source import VideoSource
from tiny_videos import FRAMES, encode, index_of

CONTAINERS = {
    "mp4": ("a.mp4", {}),
    "mp4, index first": ("a.mp4", {"movflags": "faststart"}),
    "mp4, fragmented": ("a.mp4", {"movflags": "frag_keyframe+empty_moov"}),
    "matroska": ("a.mkv", {}),
    "transport stream": ("a.ts", {}),
}


def indices(path: Path, wanted=range(FRAMES), fps: float = 25, length: int | None = FRAMES):
    """Indices that the pictures of these frames carry."""
    source = VideoSource("v", str(path), fps, length)
    return [index_of(picture) for picture, _ in source.pictures(list(wanted))]


@pytest.fixture(scope="module")
def tiny(tiny_dataset) -> dataset.Dataset:
    return dataset.read(tiny_dataset)


@pytest.fixture(scope="module")
def cached(tiny, tmp_path_factory) -> Path:
    """A cache of the tiny dataset; treat it as read-only."""
    folder = tmp_path_factory.mktemp("cache")
    frame_extraction.extract(tiny, folder, 32)
    return folder


@pytest.fixture
def changeable(tiny_dataset, tmp_path) -> dataset.Dataset:
    return dataset.read(shutil.copytree(tiny_dataset, tmp_path / "dataset"))


# --- the cache ------------------------------------------------------------------------------------


def test_every_annotated_frame_is_the_one_that_was_annotated(tiny, cached):
    cache = frame_cache.FrameCache(cached)
    assert cache.size == 32
    for video, frame in tiny.annotations[["video", "frame"]].itertuples(index=False):
        picture = cache.get(video, frame)
        assert picture.shape == (32, 32, 3)
        assert picture.dtype == np.uint8
        assert index_of(picture) == frame


def test_pictures_are_resized_by_area_from_the_original(tiny, cached):
    whole = video_source.original(tiny, "v03", 18)
    assert whole.shape == (48, 64, 3)
    assert index_of(whole) == 18
    expected = cv2.resize(whole, (32, 32), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(frame_cache.FrameCache(cached).get("v03", 18), expected)


def test_the_cache_names_what_it_does_not_hold(tiny, cached, tmp_path):
    cache = frame_cache.FrameCache(cached)
    with pytest.raises(FrameCacheError, match="no frame 5 of video 'v01'"):
        cache.get("v01", 5)
    with pytest.raises(FrameCacheError, match=r"no video 'v99'.*clipassistnet frames"):
        cache.get("v99", 0)
    with pytest.raises(FrameCacheError, match="no frames"):
        frame_cache.FrameCache(tmp_path)
    (tmp_path / "notes.json").write_text("[]")
    with pytest.raises(FrameCacheError, match=r"notes\.json: not the manifest"):
        frame_cache.FrameCache(tmp_path)
    with pytest.raises(FrameError, match="no frame 40"):
        video_source.original(tiny, "v01", 40)


def test_a_cache_goes_to_other_processes_without_its_arrays(cached):
    cache = frame_cache.FrameCache(cached)
    expected = cache.get("v01", 4)
    sent = pickle.dumps(cache)
    assert len(sent) < 20_000
    np.testing.assert_array_equal(pickle.loads(sent).get("v01", 4), expected)
    expected[:] = 0  # A copy: the cache does not change with it.
    assert cache.get("v01", 4).any()


def test_a_second_build_keeps_what_is_done(tiny, cached, capsys):
    before = {path.name: path.stat().st_mtime_ns for path in cached.glob("v*")}
    frame_extraction.extract(tiny, cached, 32)
    assert {path.name: path.stat().st_mtime_ns for path in cached.glob("v*")} == before
    assert capsys.readouterr().out.count("as before") == 8


def test_what_no_longer_matches_is_built_again_and_only_that(changeable, tmp_path, capsys):
    folder = tmp_path / "cache"
    frame_extraction.extract(changeable, folder, 16)
    digest = frame_cache.FrameCache(folder).digest()

    def rebuilt(data: dataset.Dataset) -> list[str]:
        capsys.readouterr()
        frame_extraction.extract(data, folder, 16)
        lines = capsys.readouterr().out.splitlines()
        return [line.split()[1] for line in lines if "as before" not in line]

    array = bytearray((folder / "v02.npy").read_bytes())
    array[-1] ^= 1
    (folder / "v02.npy").write_bytes(array)
    (folder / "v03.npy").unlink()
    (folder / "v04.json").write_text("{")
    assert rebuilt(changeable) == ["v02:", "v03:", "v04:"]
    assert frame_cache.FrameCache(folder).digest() == digest

    encode(changeable.folder / "videos/v05.mp4", options={"movflags": "faststart"})
    more = changeable.annotations[changeable.annotations["video"] == "v06"].assign(frame=1)
    table = pd.concat([changeable.annotations, more])
    assert rebuilt(dataset.Dataset(changeable.folder, changeable.videos, table)) == ["v05:", "v06:"]
    assert index_of(frame_cache.FrameCache(folder).get("v06", 1)) == 1
    assert frame_cache.FrameCache(folder).digest() != digest


def test_chosen_frames_instead_of_the_annotated_ones(tiny, tmp_path):
    chosen = pd.DataFrame({"video": ["v02", "v02", "v01"], "frame": [7, 3, 39]})
    frame_extraction.extract(tiny, tmp_path, 16, frames=chosen)
    cache = frame_cache.FrameCache(tmp_path)
    assert [index_of(cache.get(*row)) for row in chosen.itertuples(index=False)] == [7, 3, 39]
    assert np.load(tmp_path / "v02.npy").shape == (2, 16, 16, 3)


def test_an_interrupted_build_goes_on_where_it_was(tiny, tmp_path, monkeypatch, cached):
    done = 0

    def interrupt(*arguments, **named):
        nonlocal done
        done += 1
        if done > 30:  # within the second video
            raise KeyboardInterrupt
        return resize(*arguments, **named)

    resize = cv2.resize
    monkeypatch.setattr(cv2, "resize", interrupt)
    with pytest.raises(KeyboardInterrupt):
        frame_extraction.extract(tiny, tmp_path, 32)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.glob("*[!k]")) == ["v01.json", "v01.npy"]
    first = (tmp_path / "v01.npy").stat().st_mtime_ns
    frame_extraction.extract(tiny, tmp_path, 32)
    assert (tmp_path / "v01.npy").stat().st_mtime_ns == first
    assert frame_cache.FrameCache(tmp_path).digest() == frame_cache.FrameCache(cached).digest()


def test_several_processes_give_the_same_bytes(tiny, tmp_path, cached):
    frame_extraction.extract(tiny, tmp_path, 32, processes=2)
    for path in cached.glob("v*"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


LIMITED = """
import resource, sys
from clipassistnet.data import dataset, frame_extraction
data = dataset.read(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
frame_extraction.extract(data, sys.argv[2], 32)
"""


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tiny_dataset, tmp_path):
    """The kernel refuses to write more than 50 kB: the first array has 61 kB."""
    command = [sys.executable, "-c", LIMITED, str(tiny_dataset), str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert re.search(r"OSError: .*MiB free; finished videos stay.*v01\.npy", run.stderr)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_process_left_is_no_part_of_the_cache(cached, tmp_path):
    folder = Path(shutil.copytree(cached, tmp_path / "cache"))
    (folder / ".v01.part.json").write_text("{")
    assert frame_cache.FrameCache(folder).digest() == frame_cache.FrameCache(cached).digest()


def test_a_second_process_says_that_it_waits(tiny, tmp_path, cached):
    script = "import sys; from clipassistnet import files\n"
    script += "with files.lock(sys.argv[1]): print('held', flush=True); sys.stdin.readline()"
    command = [sys.executable, "-c", script, str(tmp_path / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        lines = []

        def finish(text: str, **_) -> None:
            lines.append(text)
            if "waiting" in text:
                holder.stdin.write(b"\n")
                holder.stdin.flush()

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builtins.print", finish)
            frame_extraction.extract(tiny, tmp_path, 32)
    assert "waiting for the process that holds this lock" in lines[0]
    assert frame_cache.FrameCache(tmp_path).digest() == frame_cache.FrameCache(cached).digest()


# --- time stamps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONTAINERS)
def test_frames_of_every_container(tmp_path, kind):
    name, options = CONTAINERS[kind]
    path = encode(tmp_path / name, options=options)
    assert indices(path) == [*range(FRAMES)]
    assert indices(path, [39]) == [39]
    # Key frames lie at 0, 12, 24 and 36: with jumps, without, and to a key frame itself.
    assert indices(path, [1, 2, 24, 25, 38]) == [1, 2, 24, 25, 38]


def test_frames_count_from_the_first_picture(tmp_path):
    path = encode(tmp_path / "late.mkv", pts=[1000 + 40 * i for i in range(40)], time_base=MS)
    assert indices(path) == [*range(40)]


MS = Fraction(1, 1000)


@pytest.mark.parametrize("declared", [29.97, 30000 / 1001])
def test_a_rate_that_no_millisecond_divides(tmp_path, declared):
    """Matroska rounds 33.367 ms to 33 and 34: half a tick of tolerance puts it right."""
    stamps = [round(1001 * i / 30) for i in range(120)]
    path = encode(tmp_path / "ntsc.mkv", count=120, pts=stamps, time_base=MS)
    assert indices(path, range(120), fps=declared, length=120) == [*range(120)]


def test_a_variable_rate_by_hand(tmp_path):
    """At 10 frames per second, frame i shows what is on the screen at 100 i ms."""
    path = encode(tmp_path / "vfr.mp4", count=6, pts=[0, 40, 200, 210, 390, 400], time_base=MS)
    line = timeline(str(path), 10)
    assert indices(path, range(5), fps=10, length=line.length) == [0, 1, 2, 3, 5]


@settings(max_examples=20)
@given(
    gaps=st.lists(st.integers(1, 200), min_size=1, max_size=30), fps=st.sampled_from([5, 24, 30])
)
def test_any_variable_rate(tmp_path_factory, gaps, fps):
    stamps = np.cumsum([0, *gaps])
    path = tmp_path_factory.mktemp("vfr") / "vfr.mp4"
    encode(path, count=len(stamps), pts=stamps.tolist(), time_base=MS)
    line = timeline(str(path), fps)
    half_tick = 500 * line.tick
    times = 1000 * np.arange(line.length) / fps
    expected = [int(np.flatnonzero(stamps <= time + half_tick)[-1]) for time in times]
    assert indices(path, range(line.length), fps, line.length) == expected
    assert expected[-1] == len(gaps)
    assert len(set(expected[-2:])) == min(2, line.length)


def test_a_variable_rate_is_noted(tiny, tmp_path, capsys):
    """Frame 3 comes 60 ms late: index 3 and 4 repeat frame 2, and frame 3 is seen at no index."""
    stamps = [40 * i for i in range(FRAMES)]
    stamps[3] += 60
    stamps[4] += 39
    path = encode(tmp_path / "vfr.mp4", pts=stamps, time_base=MS)
    videos = tiny.videos[:1].assign(path=str(path))
    data = dataset.Dataset(tmp_path, videos, tiny.annotations.query("video == 'v01'"))
    frame_extraction.extract(data, tmp_path / "cache", 16)
    assert "variable rate: 2 repeated, 2 pictures between frames" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "cache/v01.json").read_text())
    assert (manifest["repeated"], manifest["skipped"]) == (2, 2)


def test_a_jump_that_misses_is_made_good(tmp_path):
    """An index that sends us past the frame must not cost it: decoding starts anew."""
    line = timeline(str(encode(tmp_path / "a.mp4")), 25)
    wrong = Timeline(line.path, line.fps, line.tick, line.pts, line.pts[[0, 5, 12]])
    wanted = line.pts[[6, 7, 30]]
    assert [index_of(picture) for picture, _ in frame_seeking.pictures(wrong, wanted)] == [6, 7, 30]


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_file_comes_out_upright_and_is_noted(tiny, tmp_path, degrees, capsys):
    path = rotate(encode(tmp_path / "turned.mp4"), degrees)
    capture = cv2.VideoCapture(str(path))  # turns by itself: an independent opinion
    expected = capture.read()[1][..., ::-1].astype(int)
    videos = tiny.videos[:1].assign(path=str(path))
    turned = dataset.Dataset(tmp_path, videos, tiny.annotations.query("video == 'v01'"))
    picture = video_source.original(turned, "v01", 0)
    assert picture.shape == expected.shape
    assert abs(picture - expected).mean() < 3
    frame_extraction.extract(turned, tmp_path / "cache", 16)
    assert f"turned by {degrees} degrees" in capsys.readouterr().out
    manifest = json.loads((tmp_path / "cache/v01.json").read_text())
    assert manifest["notes"] == [f"turned by {degrees} degrees"]


def rotate(path: Path, degrees: int) -> Path:
    """Write a quarter turn into the track header's matrix (ISO 14496-12, 8.3.2)."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    content = bytearray(path.read_bytes())
    start = content.index(b"tkhd") + 4 + 40
    matrix = [cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30]
    content[start : start + 36] = np.array(matrix, ">i4").tobytes()
    path.write_bytes(content)
    return path


# --- damage ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CONTAINERS)
@pytest.mark.parametrize("count", [39, 42])
def test_a_truncated_file_fails_and_never_shifts(tmp_path, kind, count):
    """Cut at 20 places over the file and at 20 within its last frames."""
    name, options = CONTAINERS[kind]
    content = encode(tmp_path / name, count=count, options=options).read_bytes()
    size = len(content)
    path, failed = tmp_path / f"cut_{name}", 0
    for length in {*range(0, size, size // 20), *range(size - 600, size, 30)}:
        path.write_bytes(content[:length])
        try:
            # Where only what follows the last frame is gone, all is well.
            assert indices(path, range(count), length=count) == [*range(count)]
        except FrameError:
            failed += 1
    assert failed > 15


def test_a_truncated_file_names_its_last_good_frame(tmp_path):
    path = encode(tmp_path / "a.mp4", options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 3 // 4])
    with pytest.raises(FrameError, match=r"a\.mp4: .*; last good frame: (at most )?(\d+)") as e:
        indices(path)
    assert 20 < int(str(e.value).rsplit(" ", 1)[1]) < FRAMES - 1


def test_damage_within_the_file_names_the_last_good_frame(tmp_path):
    path = encode(tmp_path / "a.mp4", options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    middle = content.index(b"mdat") + (len(content) - content.index(b"mdat")) // 2
    content[middle : middle + 400] = bytes(400)
    path.write_bytes(content)
    with pytest.raises(FrameError, match=r"a\.mp4: .*; last good frame: (\d+)") as e:
        indices(path)
    good = int(str(e.value).rsplit(" ", 1)[1])
    assert 0 < good < FRAMES - 1
    assert indices(path, range(good + 1)) == [*range(good + 1)]


def test_lost_packets_of_a_transport_stream_are_an_error(tmp_path):
    """A packet has 188 bytes and a counter: what follows a loss may refer to what is lost.

    FFmpeg reports none in the frames by which it recognises the stream: lose later ones.
    """
    path = encode(tmp_path / "a.ts")
    content = path.read_bytes()
    packets = [content[start : start + 188] for start in range(0, len(content), 188)]
    picture = [i for i, packet in enumerate(packets) if packet[1] & 0x1F == 1 and packet[2] == 0]
    for lost in picture[8:-3:2]:
        path.write_bytes(b"".join(packets[:lost] + packets[lost + 1 :]))
        with pytest.raises(FrameError, match=r"a\.ts: .*; last good frame: \d+"):
            indices(path)


def test_flipped_bits_never_shift_frames(tmp_path):
    """Of intra-coded frames, so that a damaged picture cannot show another frame's content.

    A flip that leaves the stream valid spoils its own picture; no check sum shows it.
    """
    options = {"movflags": "faststart"}
    content = encode(tmp_path / "a.mp4", options=options, codec={"g": "1"}).read_bytes()
    path, draw = tmp_path / "flipped.mp4", random.Random(0)
    start = content.index(b"mdat") + 4
    failed = spoilt = 0
    for _ in range(40):
        flipped = bytearray(content)
        flipped[draw.randrange(start, len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            wrong = [i for i, found in enumerate(indices(path)) if found != i]
            assert len(wrong) <= 1
            spoilt += len(wrong)
        except FrameError:
            failed += 1
    assert failed > spoilt


def test_flipped_bits_anywhere_raise_nothing_else(tmp_path):
    path, draw = tmp_path / "flipped.mp4", random.Random(1)
    content = encode(tmp_path / "a.mp4", count=12).read_bytes()
    failed = 0
    for _ in range(100):
        flipped = bytearray(content)
        for _ in range(3):
            flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        path.write_bytes(flipped)
        try:
            assert len(indices(path, range(12), length=12)) == 12
        except FrameError:
            failed += 1
    assert failed > 20


def test_files_that_are_no_video(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("not a video at all\n" * 50)
    (tmp_path / "folder.mp4").mkdir()
    with wave.open(str(tmp_path / "sound.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(16000))
    unfinished = encode(tmp_path / "unfinished.mp4")
    unfinished.write_bytes(unfinished.read_bytes()[:3000])
    expected = {
        "empty.mp4": "empty",
        "text.mp4": "not a video",
        "folder.mp4": "no such file",
        "sound.wav": "no video stream",
        "unfinished.mp4": "without a readable index",
        "missing.mp4": "no such file",
    }
    for name, reason in expected.items():
        with pytest.raises(FrameError, match=f"{name}: .*({reason})"):
            indices(tmp_path / name)


def test_avi_with_reordered_frames_is_refused(tmp_path):
    """AVI numbers its frames in the order of decoding: they would come out shuffled."""
    with pytest.raises(FrameError, match="AVI has no time stamps"):
        indices(encode(tmp_path / "a.avi"))


def test_build_names_every_bad_video_and_keeps_the_good_ones(changeable, tmp_path):
    (changeable.folder / "videos/v02.mp4").write_bytes(b"nothing")
    encode(changeable.folder / "videos/v05.mp4", count=39)
    with pytest.raises(FrameError) as error:
        frame_extraction.extract(changeable, tmp_path / "cache", 16)
    first, second = str(error.value).splitlines()
    assert "v02.mp4: not a video" in first
    assert "v05.mp4: lasts 39 frames at 25 frames per second, videos.csv says 40" in second
    built = {path.stem for path in (tmp_path / "cache").glob("*.npy")}
    assert built == {"v01", "v03", "v04", "v06", "v07", "v08"}


def test_a_file_that_went_bad_leaves_no_stale_cache(changeable, tmp_path):
    frame_extraction.extract(changeable, tmp_path / "cache", 16)
    (changeable.folder / "videos/v02.mp4").write_bytes(b"nothing")
    with pytest.raises(FrameError):
        frame_extraction.extract(changeable, tmp_path / "cache", 16)
    with pytest.raises(FrameCacheError, match="no video 'v02'"):
        frame_cache.FrameCache(tmp_path / "cache").get("v02", 0)


# --- image files, real data -----------------------------------------------------------------------


def image_dataset(folder: Path, pattern: str, names: pd.DataFrame) -> dataset.Dataset:
    """Sparse image set: one video for each value of `names.video` (pattern with {video})."""
    each = names["video"].unique()
    paths = [pattern.replace("{video}", video) for video in each]
    videos = pd.DataFrame({"video": each, "path": paths, "patient": each, "split": ""})
    videos = videos.assign(fps=25, frames=None, clipper="", source="", licence="")
    dataset.write(folder, videos=videos, annotations=names.assign(annotator="A", label="visible"))
    return dataset.read(folder)


def test_image_files_are_read_by_their_number(tmp_path):
    for frame in (3, 12):
        Image.new("RGB", (20, 10), (frame, 0, 0)).save(tmp_path / f"a_{frame:04d}.png")
    table = pd.DataFrame({"video": "a", "frame": [12, 3]})
    data = image_dataset(tmp_path, "{video}_{frame:04d}.png", table)
    frame_extraction.extract(data, tmp_path / "cache", 8)
    cache = frame_cache.FrameCache(tmp_path / "cache")
    assert [int(cache.get("a", frame)[4, 4, 0]) for frame in (3, 12)] == [3, 12]
    assert video_source.original(data, "a", 12).shape == (10, 20, 3)
    with pytest.raises(FrameError, match=r"a_0004\.png: .*No such file"):
        video_source.original(data, "a", 4)


def test_a_truncated_image_is_an_error(tmp_path):
    path = tmp_path / "a_1.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    data = image_dataset(tmp_path, "a_{frame}.jpg", pd.DataFrame({"video": "a", "frame": [1]}))
    content = path.read_bytes()
    for length in (0, 100, len(content) // 2, len(content) - 50):
        path.write_bytes(content[:length])
        with pytest.raises(FrameError, match=r"a_1\.jpg: unreadable image"):
            frame_extraction.extract(data, tmp_path / "cache", 8)


def test_the_real_frames_of_m2cai16(shared, tmp_path):
    """Frames of 7 real videos with a clip applier, by an absolute pattern."""
    folder = shared / "data" / "m2cai16-tool-locations"
    labels = pd.read_csv(folder / "tip_visibility.csv")[["video", "frame"]].drop_duplicates()
    pattern = f"{folder.resolve()}/JPEGImages/{{video}}_{{frame:06d}}.jpg"
    data = image_dataset(tmp_path, pattern, labels)
    frame_extraction.extract(data, tmp_path / "cache", 32)
    cache = frame_cache.FrameCache(tmp_path / "cache")
    for video, frame in labels.sample(20, random_state=0).itertuples(index=False):
        real = cv2.imread(str(folder / f"JPEGImages/{video}_{frame:06d}.jpg"))[..., ::-1]
        expected = cv2.resize(real, (32, 32), interpolation=cv2.INTER_AREA).astype(int)
        assert abs(cache.get(video, frame) - expected).max() <= 2


@pytest.mark.parametrize(
    ("name", "fps", "length"),
    [("cholect50_vid42_clipping", 15, 106), ("cholec80_no_clipper_1", 25, 800)],
)
def test_real_clips_agree_with_opencv_frame_by_frame(shared, name, fps, length):
    path = shared / "data" / "clips" / f"{name}.mp4"
    wanted = [0, 1, 40, 41]
    source = VideoSource("clip", str(path), fps, length)
    capture = cv2.VideoCapture(str(path))
    decoded = [capture.read()[1][..., ::-1].astype(np.int16) for _ in range(44)]
    for (picture, _), frame in zip(source.pictures(wanted), wanted, strict=True):
        distance = [abs(picture - other).mean() for other in decoded[max(0, frame - 2) : frame + 3]]
        assert np.argmin(distance) == min(frame, 2)
        assert min(distance) < 1.5


def test_a_truncated_real_clip_fails(shared, tmp_path):
    content = (shared / "data/clips/cholect50_vid42_clipping.mp4").read_bytes()
    path = tmp_path / "cut.mp4"
    for share in (0.3, 0.6, 0.9, 0.999):
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(FrameError, match=r"cut\.mp4"):
            indices(path, range(106), fps=15, length=106)
    assert os.path.getsize(path) > 70_000
