"""Damaged files, thrown at the frame cache and the dataset reader (make test-all)."""

import random
import re
import shutil
from bisect import bisect_right
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clipassistnet.data import dataset, frame_cache, frame_extraction
from clipassistnet.data.decoding import FrameError
from faults import Fault
from test_frames import CONTAINERS, rotate
from tiny_videos import FRAMES, encode, index_of

pytestmark = pytest.mark.slow
OTHERS = {f"v0{i}" for i in range(2, 9)}


@pytest.fixture
def damaged(tiny_dataset, tmp_path):
    """Builds the cache of a dataset whose first video is `content`; says what came of it."""
    folder = Path(shutil.copytree(tiny_dataset, tmp_path / "dataset"))
    data = dataset.read(folder)
    frame_extraction.extract(data, tmp_path / "whole", 32)
    digest = frame_cache.FrameCache(tmp_path / "whole").digest()

    def build(content: bytes, name: str = "v01.mp4", turns: int = 0, showing=range(FRAMES)) -> str:
        """Its error; `showing` is the picture that each frame has to show, or none (-1)."""
        good, video, cache = (folder / "videos" / "v01.mp4").read_bytes(), *paths(name)
        video.write_bytes(content)
        videos = data.videos.assign(path=data.videos["path"].replace("videos/v01.mp4", str(video)))
        try:
            frame_extraction.extract(dataset.Dataset(folder, videos, data.annotations), cache, 32)
            error = ""
        except FrameError as raised:
            error = str(raised)
            assert name in error
            assert {path.stem for path in cache.glob("*.json")} == OTHERS
        if not error:
            shown = frame_cache.FrameCache(cache)
            rows = data.annotations.query("video == 'v01'")["frame"].unique()
            found = {f: index_of(np.rot90(shown.get("v01", f), turns)) for f in rows}
            assert all(index in (showing[frame], -1) for frame, index in found.items()), found
        (folder / "videos" / "v01.mp4").write_bytes(good)
        frame_extraction.extract(data, cache, 32)
        assert frame_cache.FrameCache(cache).digest() == digest
        return error

    def paths(name: str) -> tuple[Path, Path]:
        place = tmp_path / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place / name, tmp_path / "cache"

    return build


KEPT = "the other videos' frames; the next build decodes this video alone"


def test_a_video_cut_at_every_tenth_of_its_length(damaged, tmp_path, seen):
    errors = []
    for name, options in CONTAINERS.values():
        content = encode(tmp_path / f"source_{name}", options=options).read_bytes()
        errors += [damaged(content[: len(content) * i // 10], name) for i in range(10)]
    assert all(errors)
    last = sum("last good frame" in error for error in errors)
    assert last > 10
    said = f"the file and the reason; its last good frame where there is one ({last} times)"
    seen(Fault("video cut at every tenth, five containers", len(errors), len(errors), said, KEPT))


def test_flipped_bytes(damaged, tmp_path, seen):
    """Of intra-coded frames: a flip that leaves the stream valid spoils one picture, no other."""
    content = encode(tmp_path / "source.mp4", codec={"g": "1"}).read_bytes()
    draw, errors = random.Random(0), []
    for _ in range(60):
        flipped = bytearray(content)
        for _ in range(draw.choice((1, 3, 30))):
            flipped[draw.randrange(len(content))] ^= draw.randrange(1, 256)
        errors.append(damaged(bytes(flipped)))
    named = sum(map(bool, errors))
    said = f"the file and the reason {named} times; else no frame was shifted"
    seen(Fault("random bytes of a video flipped", len(errors), len(errors), said, KEPT))


def test_what_is_no_video(damaged, tmp_path, seen):
    contents = {
        "0 bytes": b"",
        "text": b"not a video at all\n" * 50,
        "zeros": bytes(100_000),
        "a picture": (Path(__file__).parents[1] / "figures/simulator/simulated.jpg").read_bytes(),
    }
    errors = {name: damaged(content) for name, content in contents.items()}
    assert all(errors.values())
    assert "empty" in errors["0 bytes"]
    assert "not a video" in errors["text"]
    what = "a file named .mp4 that holds " + ", ".join(contents)
    seen(Fault(what, len(errors), len(errors), "the file, and what it is instead", KEPT))


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video(damaged, tmp_path, seen, capsys, degrees):
    content = rotate(encode(tmp_path / "source.mp4"), degrees).read_bytes()
    assert damaged(content, turns=degrees // 90) == ""
    assert "turned by" in capsys.readouterr().out
    if degrees == 270:
        what = "a rotated video (90, 180, 270 degrees)"
        seen(Fault(what, 3, 3, "that it was turned, and by how much", "it is read upright"))


def test_a_video_of_variable_frame_rate(damaged, tmp_path, seen, capsys):
    """Thirty pictures in the time of forty: frame i shows the last one not later than i / fps."""
    draw = random.Random(0)
    for trial in range(10):
        stamps = [0, *sorted(draw.sample(range(1, FRAMES - 1), 28)), FRAMES - 1]
        content = encode(tmp_path / f"{trial}.mp4", count=30, pts=stamps).read_bytes()
        showing = [bisect_right(stamps, frame) - 1 for frame in range(FRAMES)]
        assert damaged(content, showing=showing) == ""
        assert "variable rate: 10 repeated" in capsys.readouterr().out
    said = "that its rate varies, and how many frames repeat a picture"
    seen(Fault("a video of variable frame rate", 10, 10, said, "frames by their time stamps"))


OUTCOMES: Counter = Counter()
CELLS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", "-1", "nan", "1e999", "v01", "visible", '"', "a,b", "\x00", "é", "٣"]),
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def fuzz(folder: Path, tables: dict[str, bytes], data: st.DataObject) -> None:
    """One table changed somehow: it is read, or every problem is named as file:line."""
    name = data.draw(st.sampled_from(sorted(tables)))
    (folder / name).write_bytes(changed(tables[name], data))
    try:
        dataset.read(folder)
        OUTCOMES["read"] += 1
        problems = []
    except dataset.DatasetError as error:
        problems = error.problems
        OUTCOMES["refused"] += bool(problems)
    finally:
        (folder / name).write_bytes(tables[name])
    for problem in problems:
        assert re.match(rf"{re.escape(str(folder))}.*\.csv:\d+: ", problem), problem


def changed(content: bytes, data: st.DataObject) -> bytes:
    lines = content.decode().split("\n")
    row = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["cell", "bytes", "line", "cut", "twice", "swap"]))
    if kind == "cell":
        cells = lines[row].split(",")
        cells[data.draw(st.integers(0, len(cells) - 1))] = data.draw(CELLS)
        lines[row] = ",".join(cells)
    elif kind == "line":
        lines[row] = data.draw(st.text(max_size=40))
    elif kind == "twice":
        lines.insert(row, lines[row])
    elif kind == "swap":
        lines[row], lines[0] = lines[0], lines[row]
    text = "\n".join(lines).encode("utf-8", errors="surrogatepass")
    if kind == "bytes":
        at = data.draw(st.integers(0, len(content)))
        return content[:at] + data.draw(st.binary(min_size=1, max_size=6)) + content[at + 1 :]
    return text[: data.draw(st.integers(0, len(text)))] if kind == "cut" else text


@pytest.mark.filterwarnings("ignore::clipassistnet.data.dataset.DatasetWarning")
def test_tables_changed_at_random(tiny_dataset, tmp_path, seen):
    folder = Path(shutil.copytree(tiny_dataset, tmp_path / "dataset")).resolve()
    fuzz(folder, {path.name: path.read_bytes() for path in folder.glob("*.csv")})
    tried = sum(OUTCOMES.values())
    assert OUTCOMES["refused"] > 100
    assert OUTCOMES["read"] > 5
    said = (
        f"every problem with file, line, value and what was expected ({OUTCOMES['refused']} times)"
    )
    kept = "nothing is guessed or dropped; the folder is not touched"
    seen(Fault("CSV tables changed at random (hypothesis)", tried, tried, said, kept))
