"""One decoding for all: colours, orientation, the choice of the stream, names, image files."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from PIL import Image

from clipassistnet.data import dataset, decoding, frame_extraction
from clipassistnet.data.decoding import FrameError, colour
from clipassistnet.data.video_source import VideoSource
from tiny_videos import encode, index_of, picture

PATCHES = np.array([[200, 60, 40], [90, 140, 200], [30, 30, 30], [220, 220, 210]], np.uint8)
MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}
LIMITED, FULL = 1, 2


def first(path: Path) -> tuple[np.ndarray, str]:
    """The first picture of a file, and what was done to it."""
    with decoding.open_video(str(path)) as container:
        frame = next(container.decode(decoding.video_stream(container, str(path))))
        return decoding.picture(frame, str(path))


# --- colours --------------------------------------------------------------------------------------


def frame_of(rgb, matrix: int, colour_range: int, layout: str, size=(64, 32)) -> av.VideoFrame:
    """A frame of one colour, its samples computed by ITU-T H.273."""
    kr, kb = MATRICES[matrix]
    red, green, blue = np.asarray(rgb) / 255
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    values = [luma, (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))]
    scales = [219, 224, 224] if colour_range == LIMITED else [255, 255, 255]
    offsets = [16 if colour_range == LIMITED else 0, 128, 128]
    depth = 10 if layout.endswith("10le") else 8
    frame = av.VideoFrame(*size, layout)
    for plane, value, scale, offset in zip(frame.planes, values, scales, offsets, strict=True):
        sample = round((value * scale + offset) * 2 ** (depth - 8))
        kind = np.uint16 if depth == 10 else np.uint8
        plane.update(np.full(plane.buffer_size // kind().itemsize, sample, kind).tobytes())
    frame.colorspace, frame.color_range = matrix, colour_range
    return frame


@pytest.mark.parametrize(
    ("matrix", "colour_range", "layout"),
    [*itertools.product(MATRICES, (LIMITED, FULL), ("yuv420p", "yuv444p", "yuv420p10le"))],
)
def test_matrix_range_and_bit_depth_are_the_files_own(matrix, colour_range, layout):
    for rgb in PATCHES:
        found = colour.rgb(frame_of(rgb, matrix, colour_range, layout))
        assert found.shape == (32, 64, 3)
        assert np.abs(found.astype(int) - rgb).max() <= 3


@pytest.mark.parametrize(("size", "matrix"), [((720, 576), 5), ((1280, 720), 1)])
def test_a_file_that_names_no_matrix_is_taken_as_players_take_it(size, matrix):
    frame = frame_of(PATCHES[0], matrix, LIMITED, "yuv420p", size)
    frame.colorspace = colour.UNSPECIFIED
    assert np.abs(colour.rgb(frame)[5, 5].astype(int) - PATCHES[0]).max() <= 3


def test_grey_and_rgb_files(tmp_path):
    grey = av.VideoFrame.from_ndarray(np.full((16, 32), 77, np.uint8), format="gray")
    assert (colour.rgb(grey) == 77).all()
    image = np.tile(PATCHES[:, None], (1, 8, 1))
    for layout in ("rgb24", "bgr24", "gbrp"):
        stored = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=layout)
        assert np.abs(colour.rgb(stored).astype(int) - image).max() <= 1


def wide(transfer: int, primaries: int, levels) -> np.ndarray:
    """RGB of a grey or coloured signal (shares of full scale) with these code points."""
    values = np.round(np.asarray(levels) * 65535).astype("<u2")
    frame = av.VideoFrame.from_ndarray(np.tile(values, (16, 16, 1)), format="rgb48le")
    frame.color_trc, frame.color_primaries = transfer, primaries
    return colour.rgb(frame)[8, 8].astype(int)


def test_white_of_hlg_and_pq_is_white():
    """Diffuse white is at 75 % of HLG and at 58 % of PQ (ITU-R BT.2408, table 1)."""
    assert wide(colour.HLG, colour.BT2020, [0.75] * 3).tolist() == pytest.approx([254] * 3, abs=2)
    assert wide(colour.PQ, colour.BT2020, [0.58] * 3).tolist() == pytest.approx([254] * 3, abs=2)
    assert wide(colour.HLG, colour.BT2020, [0.0] * 3).tolist() == [0, 0, 0]
    assert wide(colour.PQ, colour.BT2020, [1.0] * 3).tolist() == [255] * 3


def test_hlg_by_hand():
    """Signal 0.5: scene light 1/12, on the screen 1000 (1/12)^1.2 = 50.7 cd/m2, 0.2497 of white."""
    assert wide(colour.HLG, colour.BT2020, [0.5] * 3).tolist() == [143] * 3


def test_wide_gamut_keeps_grey_and_saturates_colours():
    assert wide(colour.BT709, colour.BT2020, [0.4] * 3).tolist() == pytest.approx([102] * 3, abs=1)
    red, green, blue = wide(colour.BT709, colour.P3, [0.6, 0.3, 0.3])
    assert red > 0.6 * 255 + 3
    assert green < 0.3 * 255
    assert blue < 0.3 * 255


def test_hlg_is_near_what_ffmpegs_newer_scaler_makes_of_it(shared):
    """OpenCV converts by libswscale 9: an independent opinion, but for highlights."""
    path = shared / "cases" / "colours" / "hlg.mp4"
    ours = first(path)[0].astype(int)
    theirs = cv2.VideoCapture(str(path)).read()[1][..., ::-1]
    assert np.median(np.abs(ours - theirs)) <= 2
    control = shared / "cases" / "colours" / "control709.mp4"
    theirs = cv2.VideoCapture(str(control)).read()[1][..., ::-1]
    assert np.abs(first(control)[0].astype(int) - theirs).max() <= 1


# --- orientation ----------------------------------------------------------------------------------

MIRRORED = {"hflip": "mirrored left-right", "vflip": "mirrored top-bottom"}


def test_mirrored_files_come_out_as_players_show_them(shared):
    folder = shared / "cases" / "mirrored"
    plain, note = first(folder / "plain.mp4")
    assert note == ""
    expected = {"hflip": plain[:, ::-1], "vflip": plain[::-1], "rot180": plain[::-1, ::-1]}
    for name, image in expected.items():
        found, note = first(folder / f"{name}.mp4")
        np.testing.assert_array_equal(found, image)
        assert note == MIRRORED.get(name, "turned by 180 degrees")


class Stored:
    """A decoded frame with this display matrix."""

    def __init__(self, matrix):
        a, b, c, d = (round(number * 65536) for number in matrix)
        self.side_data = {"DISPLAYMATRIX": np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30], np.int32)}


@pytest.fixture
def stored(monkeypatch):
    """Lets `Stored` stand for a frame of PyAV."""
    monkeypatch.setattr(
        "clipassistnet.data.decoding.orientation.side_data_of", lambda f: f.side_data
    )


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    "matrix",
    [m for m in itertools.product((-1, 0, 1), repeat=4) if abs(m[0] * m[3] - m[1] * m[2]) == 1
     and sum(map(abs, m)) == 2],
)  # fmt: skip
def test_every_quarter_turn_and_mirroring(matrix):
    """Each pixel goes where the matrix sends it: x' = a x + c y, y' = b x + d y."""
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    found, _ = decoding.upright(image, Stored(matrix), "v.mp4")
    a, b, c, d = matrix
    places = {(y, x): (b * x + d * y, a * x + c * y) for y in range(2) for x in range(3)}
    top, left = (min(place[axis] for place in places.values()) for axis in (0, 1))
    for (y, x), (row, column) in places.items():
        assert (found[row - top, column - left] == image[y, x]).all()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("matrix", [(0.7, 0.7, -0.7, 0.7), (0, 0, 0, 0), (1, 0, 0, 0)])
def test_other_matrices_are_refused(matrix):
    with pytest.raises(FrameError, match=r"v\.mp4: display matrix .*expected quarter turns"):
        decoding.upright(np.zeros((2, 3, 3), np.uint8), Stored(matrix), "v.mp4")


def test_the_cache_says_what_it_mirrored(shared, tiny_dataset, tmp_path, capsys):
    data = dataset.read(tiny_dataset)
    videos = data.videos[:1].assign(path=str(shared / "cases/mirrored/hflip.mp4"), frames=None)
    frames = data.annotations[:1].assign(frame=0)
    one = dataset.Dataset(tmp_path, videos.astype({"frames": "Int64"}), frames)
    frame_extraction.extract(one, tmp_path / "cache", 16)
    assert "v01: 1 frames, mirrored left-right" in capsys.readouterr().out


# --- streams and names ----------------------------------------------------------------------------


def with_streams(path: Path, layout: str) -> Path:
    """A file of these streams: "v" a tiny video, "d" another, marked as default, "p" a cover."""
    with av.open(str(path), "w") as container:
        streams = []
        for kind in layout:
            stream = container.add_stream("mjpeg" if kind == "p" else "libx264", rate=25)
            stream.width, stream.height = (64, 48)
            stream.pix_fmt = "yuvj420p" if kind == "p" else "yuv420p"
            flags = {"p": decoding.video_file.ATTACHED_PICTURE, "d": decoding.video_file.DEFAULT}
            stream.disposition = flags.get(kind, 0)
            streams.append(stream)
        for kind, stream in zip(layout, streams, strict=True):
            for index in range(1 if kind == "p" else 5):
                shown = picture(index + (100 if kind == "d" else 0))
                container.mux(stream.encode(av.VideoFrame.from_ndarray(shown, format="rgb24")))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("layout", "shown", "note"),
    [
        ("v", 0, ""),
        ("pv", 0, ""),
        ("vp", 0, ""),
        ("vd", 100, "video stream 2 of 2"),
        ("vv", 0, "video stream 1 of 2"),
    ],
)
def test_the_stream_that_counts(tmp_path, layout, shown, note):
    path = with_streams(tmp_path / ("a.mp4" if "p" in layout else "a.mkv"), layout)
    source = VideoSource("a", str(path), 25, 5)
    assert [index_of(image) for image, _ in source.pictures([0, 4])] == [shown, shown + 4]
    assert source.stream_note() == note


@pytest.mark.parametrize("name", ["rec:1.mp4", "file:2.mp4", "http:x.mp4", "-.mp4", "a%03d?.mp4"])
def test_names_that_look_like_something_else(tmp_path, monkeypatch, name):
    encode(tmp_path / "plain.mp4")
    (tmp_path / "plain.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert index_of(first(Path(name))[0]) == 0
    source = VideoSource("v", name, 25, 40)
    assert [index_of(image) for image, _ in source.pictures([7])] == [7]


def test_a_name_that_is_not_utf8(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/vid\xe9o.mp4"))
    shutil.move(encode(tmp_path / "plain.mp4"), path)
    assert index_of(first(path)[0]) == 0


# --- image files ----------------------------------------------------------------------------------


def test_images_of_every_depth_and_number_of_channels(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.repeat(grey[..., None], 3, axis=2)
    images = {
        "grey.png": grey,
        "grey16.png": grey.astype(np.uint16) * 257,
        "colour16.png": expected.astype(np.uint16) * 257,
        "alpha.png": np.dstack([expected, np.full_like(grey, 3)]),
        "grey16.tif": grey.astype(np.uint16) * 257,
        "colour.bmp": expected,
    }
    for name, image in images.items():
        assert cv2.imwrite(str(tmp_path / name), image)
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(expected).convert("CMYK").save(tmp_path / "cmyk.tif")
    for name in [*images, "palette.png", "cmyk.tif"]:
        found, note = decoding.read_image(str(tmp_path / name))
        assert found.dtype == np.uint8
        assert np.abs(found.astype(int) - expected).max() <= 1, name
        assert note == ""


def test_an_image_of_floats_is_refused(tmp_path):
    Image.fromarray(np.ones((4, 4), np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(FrameError, match=r"a\.tif: .*mode F: expected 8 or 16 bits"):
        decoding.read_image(str(tmp_path / "a.tif"))


def test_an_image_is_turned_by_its_exif(tmp_path):
    image = Image.fromarray(np.arange(24, dtype=np.uint8).reshape(2, 4, 3))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "a.png", exif=exif)
    found, note = decoding.read_image(str(tmp_path / "a.png"))
    np.testing.assert_array_equal(found, np.rot90(np.asarray(image), -1))
    assert note == "turned by EXIF"


def test_decoding_needs_no_study_extra():
    """Live decodes on a Jetson, whose installation has neither pandas nor Lightning."""
    script = "import sys; sys.modules['pandas'] = sys.modules['torch'] = None; "
    script += "import clipassistnet.data.decoding"
    subprocess.run([sys.executable, "-c", script], check=True)
