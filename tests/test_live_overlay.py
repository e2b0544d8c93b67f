"""The overlay: four states nobody confuses, and a picture that nothing covers."""

from functools import cache
from itertools import combinations

import cv2
import numpy as np
import pytest

from clipassistnet.alarm import Decision, State
from clipassistnet.live.history import SPAN, History
from clipassistnet.live.overlay import DISCLAIMER, Overlay, OverlayContent, start_screen
from clipassistnet.live.state_style import STYLES

SIZE = (640, 360)
PAIRS = list(combinations(State, 2))
PICTURE = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)
# How a deuteranope and a protanope see linear RGB (Viénot, Brettel and Mollon 1999).
BLINDNESS = {
    "deuteranopia": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    "protanopia": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
}


def view(state: State, **changes) -> OverlayContent:
    cause = "source lost: camera 0: cannot be opened as video" if state is State.NO_SIGNAL else ""
    given = {"score": 0.42, "threshold": 0.5, "now": 1.0, "notes": "25.0 scores/s"}
    given.update(training="", fresh=True)
    return OverlayContent(Decision(state, cause), **{**given, **changes})


@cache
def plain(state: State) -> tuple[Overlay, np.ndarray]:
    return draw(state)


def draw(state: State, size=SIZE, picture=PICTURE, **changes) -> tuple[Overlay, np.ndarray]:
    overlay = Overlay(size)
    return overlay, overlay.draw(picture, view(state, **changes), History())


def around(state: State) -> np.ndarray:
    """The border to the left, right and below: pattern and colour, without the word."""
    overlay, canvas = plain(state)
    below = overlay.banner + overlay.height
    left = canvas[overlay.banner : below, : overlay.edge]
    right = canvas[overlay.banner : below, -overlay.edge :]
    bottom = canvas[below : below + overlay.edge]
    return np.concatenate([side.reshape(-1, 3) for side in (left, right, bottom)])


@pytest.mark.parametrize("state", State)
def test_no_pixel_of_the_picture_is_covered(state):
    overlay, canvas = draw(state)
    assert np.array_equal(overlay.place(canvas), PICTURE)
    assert all(side % 2 == 0 for side in canvas.shape[:2])


@pytest.mark.parametrize("size", [(64, 48), (320, 240), (481, 271), (854, 480)])
def test_pictures_of_every_size(size):
    picture = np.full((size[1], size[0], 3), 77, np.uint8)
    overlay, canvas = draw(State.NO_SIGNAL, size, picture)
    assert (overlay.place(canvas) == 77).all()
    assert canvas.shape[1] >= 480, "the words need room"


def test_small_pictures_are_enlarged_whole():
    picture = PICTURE[:48, :64]
    overlay, canvas = draw(State.VISIBLE, (64, 48), picture)
    assert np.array_equal(overlay.place(canvas)[4::8, 4::8], picture)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_borders_differ_in_pattern_even_without_colour(one, other):
    grey = [cv2.cvtColor(around(state)[None], cv2.COLOR_BGR2GRAY) for state in (one, other)]
    # Each stretched to its own range: what is left is the pattern alone.
    flat = [
        (g > (int(g.min()) + int(g.max())) / 2) if np.ptp(g) else np.zeros_like(g, bool)
        for g in grey
    ]
    assert (flat[0] != flat[1]).mean() > 0.05


@pytest.mark.parametrize("blindness", BLINDNESS)
@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_colours_differ_for_the_colour_blind(one, other, blindness):
    seen = []
    for state in (one, other):
        red_green_blue = np.array(STYLES[state].background[::-1]) / 255
        linear = np.array(BLINDNESS[blindness]) @ red_green_blue**2.2
        shown = np.clip(linear, 0, 1)[None, None].astype(np.float32) ** (1 / 2.2)
        seen.append(cv2.cvtColor(shown, cv2.COLOR_RGB2LAB)[0, 0])
    assert np.linalg.norm(seen[0] - seen[1]) > 25  # CIE76; 2.3 is just noticeable


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_words_differ(one, other):
    assert one.value != other.value
    banners = [plain(state)[1][: plain(state)[0].banner] for state in (one, other)]
    assert (banners[0] != banners[1]).any(axis=2).mean() > 0.1


def test_words_are_readable_on_their_ground():
    for state in State:
        style = STYLES[state]
        luminance = [
            np.dot((np.array(c) / 255) ** 2.2, [0.0722, 0.7152, 0.2126])
            for c in (style.background, style.text)
        ]
        contrast = (max(luminance) + 0.05) / (min(luminance) + 0.05)
        assert contrast > 3, f"{state}: WCAG asks 3 of large text, got {contrast:.1f}"


def test_an_old_picture_is_darkened():
    overlay, canvas = draw(State.NO_SIGNAL, fresh=False)
    assert overlay.place(canvas).max() <= 85
    assert overlay.place(canvas).std() > 0


def test_before_the_first_picture_there_is_none():
    overlay, canvas = draw(State.NO_SIGNAL, picture=None)
    assert not overlay.place(canvas).any()


def test_the_cause_is_written():
    with_cause = draw(State.NO_SIGNAL)[1]
    overlay = Overlay(SIZE)
    bare = overlay.draw(
        PICTURE, view(State.NO_SIGNAL)._replace(decision=Decision(State.NO_SIGNAL)), History()
    )
    assert (with_cause != bare)[: overlay.banner].any()


def test_simulated_training_data_are_marked():
    lines = ["", "Trained on our videos", "Trained on SIMULATED videos"]
    nothing, ours, simulated = (draw(State.VISIBLE, training=line)[1] for line in lines)
    assert (ours != nothing).any()
    yellow = STYLES[State.NO_SIGNAL].background
    assert (simulated == yellow).all(axis=2).any()
    assert not (ours == yellow).all(axis=2).any()


def test_a_long_cause_stays_in_the_banner():
    cause = Decision(State.NO_SIGNAL, "the model failed: RuntimeError: " + "x" * 400)
    overlay = Overlay(SIZE)
    canvas = overlay.draw(PICTURE, view(State.NO_SIGNAL)._replace(decision=cause), History())
    assert np.array_equal(overlay.place(canvas), PICTURE)


def test_start_screen_says_what_this_is_not():
    assert "research" in DISCLAIMER
    assert "Not a medical device" in DISCLAIMER
    plain = start_screen([])
    assert (plain[150:200] > 100).any(), "the disclaimer is drawn"
    assert (start_screen(["network: a"]) != plain).any()


def test_history_shows_states_by_colour_and_height():
    history, area = History(), np.zeros((40, 301, 3), np.uint8)
    for tick in range(301):
        state = [State.STANDBY, State.VISIBLE, State.NOT_VISIBLE][tick // 101]
        history.add(tick / 10, 0.0, state)
    history.draw(area, now=30.0, threshold=0.5)
    heights = {}
    for column, state in [(50, State.STANDBY), (150, State.VISIBLE), (250, State.NOT_VISIBLE)]:
        heights[state] = (area[:, column] == STYLES[state].background).all(axis=1).sum()
    assert 0 < heights[State.STANDBY] < heights[State.VISIBLE] < heights[State.NOT_VISIBLE]


def test_history_leaves_a_gap_where_there_was_no_signal():
    history, area = History(), np.zeros((40, 301, 3), np.uint8)
    for tick in range(301):
        lost = 100 <= tick < 200
        history.add(tick / 10, np.nan if lost else 0.9, State.NO_SIGNAL if lost else State.VISIBLE)
    history.draw(area, now=30.0, threshold=0.5)
    blue = (area == STYLES[State.VISIBLE].background).all(axis=2).any(axis=0)
    assert blue[:99].all()
    assert not blue[101:199].any()
    assert blue[202:].all()


def test_history_is_bounded_and_counts_scores():
    history = History()
    for tick in range(100 * 60):
        history.add(tick / 100, 0.5 if tick % 2 else np.nan, State.VISIBLE)
    assert len(history._moments) <= 100 * SPAN + 1
    assert history.rate(59.99) == 50.0
