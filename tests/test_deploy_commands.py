"""clipassistnet deploy, and the live loop on a saved engine."""

import json
import sys

import cv2
import numpy as np
import pytest

import benchmark_cpu
from clipassistnet import deploy, model
from clipassistnet.__main__ import main
from clipassistnet.deploy import frame_files
from clipassistnet.live import networks as live_engine
from tiny_ensembles import SIZE, blobs, member, tiny_ensemble
from tiny_videos import encode, index_of


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two checkpoints, frames, and what `convert` made of them in `engine`."""
    folder = tmp_path_factory.mktemp("commands")
    for name in "ab":
        model.save(member(), folder / f"{name}.safetensors")
    np.save(folder / "frames.npy", blobs())
    arguments = ["--model", str(folder / "a.safetensors"), str(folder / "b.safetensors")]
    arguments += ["--frames", str(folder / "frames.npy"), "--threshold", "0.5"]
    (folder / "arguments.json").write_text(json.dumps(arguments))
    convert = ["convert", "--backend", "openvino", "--out", str(folder / "engine")]
    assert main(["deploy", *convert, *arguments]) == 0
    return folder


def arguments(folder) -> list[str]:
    return json.loads((folder / "arguments.json").read_text())


def test_backends_are_listed(capsys):
    assert main(["deploy", "backends"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(deploy.available())


def test_a_converted_engine_passes_its_check(folder, capsys):
    assert main(["deploy", "check", str(folder / "engine"), *arguments(folder)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["parity"]["passed"]
    assert [row["backend"] for row in result["timing"]] == ["torch", "openvino"]


def test_what_cannot_be_done_is_said(folder, capsys):
    assert main(["deploy", "check", str(folder), *arguments(folder)]) == 1
    assert "no saved engine" in capsys.readouterr().err
    assert (
        main(["deploy", "convert", "--backend", "torch", "--out", "unused", *arguments(folder)])
        == 1
    )
    assert "no engine was built" in capsys.readouterr().err


@pytest.mark.parametrize("threshold", ["2", "0", "nan", "half"])
def test_an_operating_point_that_is_none_is_refused(folder, capsys, threshold):
    """No score would flip at it, and parity would tell nothing."""
    command = ["deploy", "check", str(folder / "engine"), *arguments(folder)[:-1], threshold]
    with pytest.raises(SystemExit):
        main(command)
    said = f"--threshold: {threshold}: expected a number above 0, at most 1"
    assert said in capsys.readouterr().err


def test_live_takes_an_engine(folder):
    (sidecar,) = paths = live_engine.checkpoints([str(folder / "engine")])
    assert live_engine.digests(paths).keys() == {sidecar}
    predictor = live_engine.load(paths, "auto", None, None)
    assert predictor.name == "openvino float32"
    with pytest.raises(ValueError, match="is openvino float32, not auto int8"):
        live_engine.load(paths, "auto", "int8", None)
    checkpoint = live_engine.checkpoints([str(folder / "a.safetensors")])
    with pytest.raises(ValueError, match="precision int8: not proven"):
        live_engine.load(checkpoint, "auto", "int8", None)
    for engine in (str(folder / "engine"), sidecar):
        with pytest.raises(ValueError, match="give it alone"):
            live_engine.checkpoints([engine, str(folder / "a.safetensors")])


def test_live_takes_no_engine_or_network_of_the_other_kind(folder, tmp_path):
    network = member()
    network.spec["predicts"] = model.CLIP_APPLIER_PRESENT
    model.save(network, tmp_path / "model.safetensors")
    convert = ["convert", "--backend", "openvino", "--out", str(tmp_path / "engine")]
    convert += ["--model", str(tmp_path / "model.safetensors"), "--threshold", "0.5"]
    assert main(["deploy", *convert, "--frames", str(folder / "frames.npy")]) == 0
    for name in ("engine", "model.safetensors"):
        paths = live_engine.checkpoints([str(tmp_path / name)])
        assert live_engine.load(paths, "openvino", None, None, arms=True).predict(blobs(1)).shape
        with pytest.raises(ValueError, match=r"p\(clip applier in the picture\), expected p\(tip"):
            live_engine.load(paths, "openvino", None, None)
    for name in ("engine", "a.safetensors"):
        paths = live_engine.checkpoints([str(folder / name)])
        with pytest.raises(ValueError, match=r"p\(tip invisible\), expected p\(clip applier"):
            live_engine.load(paths, "openvino", None, None, arms=True)


# Frames from files


def test_frames_come_from_caches_pictures_and_videos(tmp_path):
    frames = blobs(8)
    np.save(tmp_path / "cache.npy", frames)
    cv2.imwrite(str(tmp_path / "picture.png"), cv2.cvtColor(frames[3], cv2.COLOR_RGB2BGR))
    picture = frame_files.read([str(tmp_path / "picture.png")], 5, 48)
    assert picture.shape == (1, 48, 48, 3)
    both = frame_files.read([str(tmp_path / f) for f in ("cache.npy", "picture.png")], 6, 48)
    assert both.shape == (6, 48, 48, 3)  # five of the cache, and the picture
    assert np.array_equal(both[5], picture[0])
    np.testing.assert_array_equal(both[0], frame_files.resize(frames[0], 48))


def test_frames_of_a_video_are_spread_over_it(tmp_path):
    path = str(tmp_path / "video.avi")
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"MJPG"), 25, (64, 48))
    for grey in range(0, 200, 10):
        writer.write(np.full((48, 64, 3), grey, np.uint8))
    writer.release()
    found = frame_files.read([path], 3, 32).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(found, [0, 90, 190], atol=4)  # frames 0, 9 and 19 of 20


@pytest.mark.parametrize(
    ("lengths", "number", "shares"),
    [
        ([50] * 4, 3, [1, 1, 0, 1]),  # fewer frames than files: spread over them
        ([50] * 3, 7, [3, 2, 2]),
        ([2, 50, 50], 12, [2, 5, 5]),
        ([1, 1], 9, [1, 1]),  # all there is
    ],
)
def test_every_file_gives_its_share(lengths, number, shares):
    given = frame_files._shares(lengths, number)
    assert sorted(given) == sorted(shares)
    assert sum(given) == min(number, sum(lengths))
    assert given[0] > 0
    assert given[-1] > 0


def test_as_many_frames_as_were_asked_for_come_from_all_files(tmp_path):
    paths = []
    for number in range(54):
        paths.append(str(tmp_path / f"{number:02d}.npy"))
        np.save(paths[-1], np.full((9, 8, 8, 3), number, np.uint8))
    found = frame_files.read(paths, 64, 8)
    assert len(found) == 64
    assert set(found[:, 0, 0, 0].tolist()) == set(range(54))


def test_frames_of_a_recording_that_was_cut_off_are_counted(tmp_path):
    path = encode(tmp_path / "video.mkv")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    found = frame_files.read([str(path)], 5, 32)
    assert len(found) == 5
    assert index_of(found[0]) == 0


def test_without_pyav_a_video_names_the_remedy(tmp_path, monkeypatch):
    path = encode(tmp_path / "video.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ValueError, match=r"video\.mp4: needs PyAV.*pip install --no-deps av"):
        frame_files.read([str(path)], 5, 32)


def test_a_file_of_something_else_is_named(tmp_path):
    (tmp_path / "notes.txt").write_text("no frames")
    with pytest.raises(ValueError, match=r"nowhere\.png: no such file"):
        frame_files.read([str(tmp_path / "nowhere.png")], 3, 32)
    with pytest.raises(ValueError, match=r"notes\.txt: neither"):
        frame_files.read([str(tmp_path / "notes.txt")], 3, 32)
    np.save(tmp_path / "floats.npy", np.zeros((2, 8, 8, 3)))
    with pytest.raises(ValueError, match=r"floats\.npy: float64"):
        frame_files.read([str(tmp_path / "floats.npy")], 3, 32)
    np.save(tmp_path / "none.npy", blobs(1)[:0])
    with pytest.raises(ValueError, match=r"none\.npy: uint8 \(0, 48, 80, 3\)"):
        frame_files.read([str(tmp_path / "none.npy")], 3, 32)
    for content in (b"", b"no array", (tmp_path / "floats.npy").read_bytes()[:200]):
        (tmp_path / "broken.npy").write_bytes(content)
        with pytest.raises(ValueError, match=r"broken\.npy: cannot be read"):
            frame_files.read([str(tmp_path / "broken.npy")], 3, 32)


# The benchmark


def test_multiplications_by_hand():
    from torch import nn

    # 8 x 8 pictures: 3 x 3 x 3 weights for 4 channels of 8 x 8, then 4 x 64 inputs to 2 outputs.
    module = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 2))
    assert benchmark_cpu.multiplications(module, 8) == 27 * 4 * 64 + 256 * 2


def test_random_members_differ():
    first, second = benchmark_cpu.random_ensemble(2, SIZE).models
    weights = [m.network.conv1.weight for m in (first, second)]
    assert not np.array_equal(*(w.detach().numpy() for w in weights))


def test_there_is_a_peak_for_float32_and_int8():
    pytest.importorskip("nncf", reason="NNCF is not installed")
    peaks = benchmark_cpu._peaks()
    assert {"float32", "int8"} <= set(peaks)
    # Eight layers of 3 x 3 x 256 x 256 at 28 x 28, and the first of 3 x 256.
    assert peaks["int8"][1] == 28 * 28 * (8 * 9 * 256 * 256 + 3 * 256)


def test_report_tells_ratios_and_peaks():
    ensemble = tiny_ensemble()
    seconds = {"torch float32": [0.4] * 3, "openvino int8": [0.1] * 3, "peak int8": [0.02] * 3}
    macs = {"torch float32": 8e9, "openvino int8": 8e9, "peak int8": 4e9}
    text = benchmark_cpu.report(
        ensemble,
        False,
        {("openvino", "int4"): "why", ("torch-cuda", "float32"): "no GPU"},
        seconds,
        macs,
    )
    # 8 GMAC in 0.1 s are 80 GMAC/s of a peak of 4 / 0.02 = 200, which would be 25 FPS.
    (row,) = [line.split() for line in text.splitlines() if line.startswith("openvino int8")]
    assert [float(value) for value in row[2:]] == [100, 100, 100, 10, 4, 80, 0.4]
    assert "int8: 200 GMAC/s, 25.0 FPS" in text
    assert "not here: why" in text
    assert "no GPU" not in text  # it is the CPU's benchmark
    assert "random" in text
