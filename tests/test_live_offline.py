"""The overlay video of a file, and the command line, with the base dependencies alone."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from clipassistnet.__main__ import main
from clipassistnet.alarm import Alarm, Assistant, State
from clipassistnet.live import networks
from clipassistnet.live.arming import AutomaticArming
from clipassistnet.live.errors import SourceError
from clipassistnet.live.journal import Journal
from clipassistnet.live.offline import render
from clipassistnet.live.overlay import Overlay
from clipassistnet.live.recorder import Writer
from clipassistnet.model import CLIP_APPLIER_PRESENT, build, load, locator, save
from tiny_videos import FPS, HEIGHT, WIDTH, encode, index_of, picture

av = pytest.importorskip("av")


def by_index(frames: np.ndarray) -> np.ndarray:
    """A network that says "visible" of the frames 10 to 29, "invisible" of all others."""
    return np.array([0.1 if 10 <= index_of(frame) < 30 else 0.9 for frame in frames], np.float32)


def shown(path) -> tuple[list[int], list[float]]:
    """Index that each picture in an overlay video carries, and its time."""
    overlay = Overlay((WIDTH, HEIGHT))
    found, at = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            found.append(index_of(overlay.place(frame.to_ndarray(format="rgb24"))))
            at.append(frame.time)
    return found, at


def rendered(tmp_path, video, predict=by_index, arming=None) -> list[dict]:
    out, log = str(tmp_path / "overlay.mkv"), tmp_path / "log.jsonl"
    assistant = Assistant(Alarm(0.5, 0.1, 0.2), armed=arming is None)
    render(str(video), predict, assistant, out, Journal(str(log)), arming)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_every_frame_is_there_with_its_state(tmp_path, capsys):
    decisions = rendered(tmp_path, encode(tmp_path / "video.mp4"))
    found, at = shown(tmp_path / "overlay.mkv")
    assert found == list(range(40))
    assert at == pytest.approx([index / FPS for index in range(40)])
    states = [line["state"] for line in decisions]
    # Half a second, 0 to 12, for the signal to last. Visible from the frame 0.2 s after the first
    # of low score, 10 + 5; invisible from 0.2 s after the first high one, 30 + 5.
    expected = [State.NO_SIGNAL] * 13 + [State.NOT_VISIBLE] * 2
    expected += [State.VISIBLE] * 20 + [State.NOT_VISIBLE] * 5
    assert states == [state.value for state in expected]
    assert "100% 40 frames" in capsys.readouterr().err


def test_a_clip_applier_that_appears_arms(tmp_path):
    present = AutomaticArming(lambda frames: 1 - by_index(frames), Alarm(0.5, 0.1, 0.2))
    lines = rendered(tmp_path, encode(tmp_path / "video.mp4"), arming=present)
    states = [line["state"] for line in lines if line["event"] == "decision"]
    # Standby but for the frames 15 to 34: then it is there, and its tip is visible as well.
    expected = [State.NO_SIGNAL] * 13 + [State.STANDBY] * 2
    expected += [State.VISIBLE] * 20 + [State.STANDBY] * 5
    assert states == [state.value for state in expected]
    armed = [(line["event"], line["by"]) for line in lines if line["event"] != "decision"]
    assert armed == [(event, present.name) for event in ("armed", "disarmed")]


def test_time_stamps_of_a_variable_rate_are_kept(tmp_path):
    pts = [0, 1, 2, 4, 6, 8, 9, 10, 11, 12]
    rendered(tmp_path, encode(tmp_path / "video.mp4", count=10, pts=pts))
    found, at = shown(tmp_path / "overlay.mkv")
    assert found == list(range(10))
    assert at == pytest.approx([tick / FPS for tick in pts])


def test_a_whole_video_of_a_frame_a_second_is_whole(tmp_path):
    """Its last frame lasts a second, which nothing is missing of."""
    with av.open(str(tmp_path / "slow.mkv"), "w") as container:
        stream = container.add_stream("libx264", rate=1)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for index in range(6):
            frame = av.VideoFrame.from_ndarray(picture(index), format="rgb24")
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    rendered(tmp_path, tmp_path / "slow.mkv")
    assert shown(tmp_path / "overlay.mkv")[0] == list(range(6))


def test_a_video_that_breaks_off_is_named_and_what_was_rendered_stays(tmp_path):
    video = encode(tmp_path / "video.mkv", codec={"bf": "0"})
    data = bytearray(video.read_bytes())
    middle = len(data) * 2 // 3
    data[middle : middle + 3000] = bytes(3000)
    video.write_bytes(data)
    with pytest.raises(SourceError, match="ends after"):
        rendered(tmp_path, video)
    found, _ = shown(tmp_path / "overlay.mkv")
    assert len(found) > 15
    assert found[:-1] == list(range(len(found) - 1)), "but for the picture that was hit"


def test_the_network_is_given_rgb(tmp_path):
    writer = Writer(str(tmp_path / "red.mkv"), (WIDTH, HEIGHT))
    for index in range(5):
        red = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        red[..., 2] = 150 + 10 * index  # BGR
        writer.write(red, index / FPS)
    writer.close()
    seen = []
    rendered(tmp_path, tmp_path / "red.mkv", lambda f: seen.append(f) or np.full(len(f), 0.5))
    colours = np.concatenate(seen).mean(axis=(1, 2))
    assert (colours[:, 0] > 100).all()
    assert (colours[:, 1:] < 50).all()


def test_a_network_that_fails_ends_the_rendering(tmp_path):
    def fail(frames):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        rendered(tmp_path, encode(tmp_path / "video.mp4", count=5), fail)


def test_scores_that_are_no_numbers_are_no_signal(tmp_path):
    nothing = rendered(tmp_path, encode(tmp_path / "video.mp4"), lambda f: np.full(len(f), np.nan))
    assert {line["state"] for line in nothing} == {"no signal"}
    assert nothing[-1]["cause"].startswith("the model gave nan")


def test_what_is_no_video_is_refused(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    for name in ("text.mp4", "missing.mp4"):
        with pytest.raises(SourceError, match=name):
            rendered(tmp_path, tmp_path / name)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """Folder of a run with an untrained network."""
    folder = tmp_path_factory.mktemp("run") / "fold=0"
    folder.mkdir()
    torch.manual_seed(0)
    network = build("test_resnet", "none")
    network.spec["image_size"] = 64
    save(network, folder / "model.safetensors")
    return folder


def test_offline_from_the_command_line(tmp_path, run_folder, capsys):
    video = encode(tmp_path / "video.mp4", count=30)
    arguments = ["--model", str(run_folder), str(run_folder / "model.safetensors")]
    arguments += ["--source", str(video), "--offline", "--record", str(tmp_path / "overlay.mkv")]
    assert main(["live", *arguments, "--armed", "--backend", "torch"]) == 0
    assert shown(tmp_path / "overlay.mkv")[0] == list(range(30))
    out = capsys.readouterr().out
    assert "Not a medical device" in out
    assert "fitted to nothing; give --threshold" in out
    assert "30 frames, 1.2 s" in out


def test_a_first_run_needs_no_option_but_model_and_source(tmp_path, run_folder, capsys, signals):
    """No window, no threshold, nothing that could arm: it says so, and shows states."""
    video = encode(tmp_path / "video.mp4", count=25)
    assert main(["live", "--model", str(run_folder), "--source", str(video)]) == 0
    lines = capsys.readouterr().out.splitlines()
    first = [
        "For research. Not a medical device. Training data unknown.",
        "alarm from 0.5: a default that was fitted to nothing; give --threshold",
        "armed from the start, because nothing else could arm it",
        "loading 1 network(s), which may take a minute ...",
    ]
    assert [line for line in lines if line in first] == first
    assert any("NO SIGNAL" in line for line in lines)


def test_a_network_for_arming_arms_and_is_not_taken_for_the_other(tmp_path, run_folder, capsys):
    network = load(run_folder / "model.safetensors")
    network.spec["predicts"] = CLIP_APPLIER_PRESENT
    always = [layer for layer in network.modules() if isinstance(layer, torch.nn.Linear)][-1]
    always.bias.data = torch.tensor([-50.0, 50.0])
    save(network, tmp_path / "model.safetensors")
    video, log = encode(tmp_path / "video.mp4", count=40), tmp_path / "log.jsonl"
    overlay = ["--offline", "--record", str(tmp_path / "overlay.mkv"), "--log", str(log)]
    arguments = ["--source", str(video), *overlay, "--threshold", "0.6", "--backend", "torch"]
    given = ["--model", str(run_folder), "--arm-model", str(tmp_path), *arguments]
    assert main(["live", *given]) == 0
    start, *lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert list(start["arm_networks"]) == [str(tmp_path / "model.safetensors")]
    [armed] = [line for line in lines if line["event"] == "armed"]
    assert armed["clock"] == pytest.approx(1.0, abs=0.05), "a clip applier that stays for a second"
    for wrong in (["--model", str(tmp_path)], ["--arm-model", str(run_folder)]):
        assert main(["live", *given, *wrong]) == 1
        assert "its score is p(" in capsys.readouterr().err


def test_the_locator_of_a_network_of_crops_arms_at_its_frozen_level(tmp_path, run_folder, capsys):
    network = load(run_folder / "model.safetensors")
    network.spec["cropped"] = 64
    save(network, tmp_path / "model.safetensors", arming_level=0.25)
    finder = locator.Locator("none", image_size=64, window_size=64)
    finder.head[-1].weight.data[:] = 0
    finder.head[-1].bias.data[:] = 0  # a confidence of 0.5 everywhere
    assert networks.LOCATOR == locator.FILE
    locator.save(finder, tmp_path / locator.FILE)
    video, log = encode(tmp_path / "video.mp4", count=40), tmp_path / "log.jsonl"
    overlay = ["--offline", "--record", str(tmp_path / "overlay.mkv"), "--log", str(log)]
    arguments = ["--source", str(video), *overlay, "--threshold", "0.6", "--backend", "torch"]
    given = ["--model", str(run_folder), "--arm-model", str(tmp_path), *arguments]
    assert main(["live", *given]) == 0
    assert "arms by p(clip applier) above 0.25: stored in" in capsys.readouterr().out
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {line["presence"] for line in lines if line["event"] == "decision"} == {0.5}
    [armed] = [line for line in lines if line["event"] == "armed"]
    assert armed["clock"] == pytest.approx(1.0, abs=0.05)
    # At a level of 0.45 the same picture is not 0.1 above.
    save(network, tmp_path / "model.safetensors", arming_level=0.45)
    log.unlink()
    assert main(["live", *given]) == 0
    assert '"event": "armed"' not in log.read_text()
    assert main(["live", *given, "--arm-model", str(tmp_path), str(tmp_path)]) == 1
    assert "its locator arms; give this one network" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--model", "missing", "--source", "0"], "no checkpoint"),
        (["--threshold", "1.5"], "threshold 1.5"),
        (["--source", "missing.mp4", "--display", "none"], "no such file"),
        (["--arm-serial", "missing", "--display", "none"], "serial line"),
        (["--record", "missing/overlay.mkv", "--display", "none"], "no folder"),
        (["--display", "none", "--backend", "abacus"], "abacus"),
    ],
)
def test_command_line_says_what_is_wrong(tmp_path, run_folder, capsys, arguments, reason):
    video = encode(tmp_path / "video.mp4", count=3)
    assert main(["live", "--model", str(run_folder), "--source", str(video), *arguments]) == 1
    assert reason in capsys.readouterr().err


@pytest.fixture
def signals():
    """The handlers of the signals that the command line takes over, as they were before."""
    names = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
    handlers = {name: signal.getsignal(name) for name in names}
    yield
    for name, handler in handlers.items():
        signal.signal(name, handler)


def checked(log, pictures: int) -> list[dict]:
    """The lines of a live run's log, whose frame and scores are as they must be."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["event"] for line in lines[:2]] == ["start", "armed"]
    assert lines[0]["arm_networks"] == {}
    (digest,) = lines[0]["networks"].values()
    assert len(digest) == 64
    scores = [line["score"] for line in lines if line["event"] == "decision"]
    assert scores
    assert all(0 <= score <= 1 for score in scores)
    assert lines[-1]["event"] == "end"
    assert lines[-1]["pictures"] == pictures
    return lines


def live_arguments(folder, run_folder, count: int) -> list[str]:
    video = encode(folder / "video.mp4", count=count)
    arguments = ["--model", str(run_folder), "--source", str(video), "--display", "none"]
    arguments += ["--log", str(folder / "log.jsonl"), "--threshold", "0.6", "--armed"]
    return [*arguments, "--backend", "torch"]


def test_live_from_the_command_line(tmp_path, run_folder, capsys, signals):
    record = ["--record", str(tmp_path / "overlay.mkv")]
    log = tmp_path / "log.jsonl"

    def ask_for_a_report():
        while not log.exists() or "decision" not in log.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGUSR1)

    asking = threading.Thread(target=ask_for_a_report, daemon=True)
    asking.start()
    assert main(["live", *live_arguments(tmp_path, run_folder, 25), *record]) == 0
    asking.join(10)  # the signal must come before its handler is taken away
    lines = checked(log, 25)
    assert "latency" in [line["event"] for line in lines], "a report at SIGUSR1"
    printed = capsys.readouterr()
    assert printed.err.count("arrival to decision") == 2
    assert "25 pictures" in printed.out
    found, _ = shown(tmp_path / "overlay.mkv")
    carried = [index for index in found if index >= 0]
    assert carried
    assert carried == sorted(carried)


STUDY_ONLY = {
    *("albumentations", "av", "captum", "matplotlib", "numba", "openvino", "pandas"),
    *("pytorch_lightning", "scipy", "seaborn", "sklearn", "tqdm"),
}
# As if they were not installed.
WITHOUT = "import sys; sys.modules.update(dict.fromkeys({!r}))\n"


def test_the_loop_needs_numpy_and_opencv_alone(tmp_path):
    program = WITHOUT.format(STUDY_ONLY | {"torch", "torchvision", "timm"})
    program += """
import numpy as np
from clipassistnet.alarm import Alarm
from clipassistnet.live import networks
from clipassistnet.live.arming import AutomaticArming
from clipassistnet.live.loop import Live
from clipassistnet.live.source import opener
from clipassistnet.alarm import Assistant
predict = lambda frames: np.zeros(1, np.float32)
print(Live(opener(sys.argv[1]), predict, Assistant(Alarm(0.5, 0, 0))).run()["pictures"])
"""
    video = str(encode(tmp_path / "video.mp4", count=5))
    ran = subprocess.run([sys.executable, "-c", program, video], capture_output=True, text=True)
    assert ran.stdout == "5\n", ran.stderr


@pytest.mark.slow
def test_the_command_line_needs_base_dependencies_alone(tmp_path, run_folder):
    # tqdm belongs to the hub's client, which timm brings with it.
    program = WITHOUT.format(STUDY_ONLY - {"tqdm"})
    program += "from clipassistnet.__main__ import main; sys.exit(main(['live', *sys.argv[1:]]))"
    command = [sys.executable, "-c", program, *live_arguments(tmp_path, run_folder, 25)]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    checked(tmp_path / "log.jsonl", 25)
    refused = subprocess.run([*command, "--record", "a.mkv"], capture_output=True, text=True)
    assert refused.returncode == 1
    assert "pip install av" in refused.stderr


# Threads against the clock: on a busy machine they starve, so only make test-all runs them.
pytestmark = pytest.mark.slow
