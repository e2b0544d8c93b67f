"""A dead picture is "no signal" even under a running clock; a resting camera is not dead."""

import cv2
import numpy as np
import pytest

from clipassistnet.alarm import LIMIT, RECOVERY, Alarm, Assistant, State
from clipassistnet.live.picture_check import PictureCheck

FPS, SIZE = 25, (640, 360)
FREEZE = 30  # the first frame that repeats the one before


def tissue(seed: int) -> np.ndarray:
    """A lit circle on black, BGR uint8, as an endoscope shows it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (9, 16, 3)).astype(np.uint8)
    picture = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)
    circle = np.zeros(SIZE[::-1], np.uint8)
    cv2.circle(circle, (SIZE[0] // 2, SIZE[1] // 2), SIZE[1] // 2, 1, -1)
    return picture * circle[..., None]


def moving(number: int) -> np.ndarray:
    """The tissue, moved by a few pixels a frame."""
    return np.roll(tissue(0), 3 * number, axis=1)


def stamped(picture: np.ndarray, number: int, at: tuple[float, float], scale: float) -> np.ndarray:
    """The picture with a running clock; `at` is its left lower corner as a share of the picture."""
    picture = picture.copy()
    origin = int(at[0] * SIZE[0]), int(at[1] * SIZE[1])
    text = f"2026-03-04 10:22:{number / FPS:05.2f}"
    cv2.putText(picture, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 255, 255), 1)
    return picture


def states(pictures) -> list[State]:
    """What is shown of these pictures, all scored as visible."""
    check, assistant, shown = PictureCheck(), Assistant(Alarm(0.5, 0.1, 0.1), armed=True), []
    for number, picture in enumerate(pictures):
        now, fault = number / FPS, check.fault(picture)
        assistant.picture(now, fault)
        if not fault:
            assistant.scored(now, 0.1)
        shown.append(assistant.decide(now).state)
    return shown


CLOCKS = {
    "below": ((0.55, 0.97), 0.6),
    "above": ((0.02, 0.08), 0.6),
    "large": ((0.1, 0.98), 1.2),
    "inside": ((0.3, 0.85), 0.6),
    "across the middle": ((0.1, 0.5), 1.0),
}


@pytest.mark.parametrize("clock", CLOCKS)
def test_a_clock_does_not_keep_a_dead_picture_alive(clock):
    frames = [moving(min(number, FREEZE - 1)) for number in range(80)]
    shown = states(stamped(frame, n, *CLOCKS[clock]) for n, frame in enumerate(frames))
    assert shown[FREEZE - 1] is State.VISIBLE
    assert set(shown[FREEZE + round(LIMIT * FPS) + 1 :]) == {State.NO_SIGNAL}


def test_a_menu_that_comes_and_goes_does_not_either():
    frames = []
    for number in range(80):
        frame = moving(min(number, FREEZE - 1))
        if number % 4 > 1:
            frame[60:300, 560:] = 180
        frames.append(frame)
    assert set(states(frames)[FREEZE + round(LIMIT * FPS) + 1 :]) == {State.NO_SIGNAL}


def test_a_black_picture_under_a_clock_is_black():
    check, dark = PictureCheck(), np.zeros((*SIZE[::-1], 3), np.uint8)
    faults = {check.fault(stamped(dark, n, (0.05, 0.97), 1.2)) for n in range(10)}
    assert faults == {"black picture"}


@pytest.mark.parametrize("sigma", [2, 3])
def test_a_resting_camera_with_its_noise_is_no_frozen_picture(sigma):
    rng, still = np.random.default_rng(0), tissue(0).astype(np.float32)
    pictures = [(still + rng.normal(0, sigma, still.shape)).clip(0, 255) for _ in range(50)]
    shown = states(picture.astype(np.uint8) for picture in pictures)
    assert set(shown[round(RECOVERY * FPS) + 1 :]) == {State.VISIBLE}


def test_a_small_far_away_field_of_view_may_rest_too():
    rng, dark = np.random.default_rng(0), np.zeros((*SIZE[::-1], 3), np.float32)
    dark[150:210, 290:350] = 120
    check, lit = PictureCheck(), dark > 0
    faults = [
        check.fault((dark + lit * rng.normal(0, 3, dark.shape)).clip(0, 255).astype(np.uint8))
        for _ in range(10)
    ]
    assert set(faults) == {""}


def decoded(path) -> list[np.ndarray]:
    av = pytest.importorskip("av")
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="bgr24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("name", ["clock_hundredths", "no_clock"])
def test_the_shared_recordings_that_freeze_are_no_signal(shared, name):
    path = shared / "cases" / "frozen_clock" / f"{name}.mp4"
    if not path.is_file():
        pytest.skip(f"no {path.name} in the shared folder")
    shown = states(decoded(path))
    assert State.VISIBLE in shown[:FPS]
    assert set(shown[FPS + round(LIMIT * FPS) + 2 :]) == {State.NO_SIGNAL}


@pytest.mark.parametrize("number", range(4))
def test_no_picture_of_a_real_clip_is_frozen(shared, number):
    clips = sorted((shared / "data" / "clips").glob("*.mp4"))
    if number >= len(clips):
        pytest.skip(f"{len(clips)} shared clips")
    check = PictureCheck()
    assert {check.fault(picture) for picture in decoded(clips[number])} == {""}
