"""The review in JupyterLab, in a real browser (headless Chromium)."""

import pytest

import lab_browser
from tiny_videos import encode

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lab_browser.missing()), reason=lab_browser.missing() or "-"),
]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("review")
    encode(folder / "v.mp4")
    code = """\
import numpy as np, pandas as pd
from clipassistnet.annotate.review import review
frames = np.arange(40)
table = pd.DataFrame({"frame": frames, "score": np.where((frames > 17) & (frames < 30), 0.1, 0.9)})
table["label"] = np.where(frames < 25, "visible", "invisible")
review("v.mp4", table)"""
    lab_browser.write_notebook(folder / "n.ipynb", code, "second = 2")
    with lab_browser.server(folder) as address, lab_browser.browser() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.add_init_script(lab_browser.NOTE_PAINTED)
        lab_browser.open_notebook(page, address, "n.ipynb")
        lab_browser.run_first(page)
        lab_browser.wait_for_picture(page)
        page.locator(".can-canvas").click()
        yield page


def frame_of(page) -> int:
    return int(page.inner_text(".can-where").split("frame ")[1].split()[0])


def test_keys_go_to_frames_and_moments(page):
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert frame_of(page) == 1
    page.keyboard.press("Shift+ArrowRight")
    assert frame_of(page) == 11
    page.keyboard.press("l")
    assert frame_of(page) == 25
    page.keyboard.press("Shift+A")
    assert frame_of(page) == 13, "the alarm that half a second without a signal holds back"
    page.keyboard.press("m")
    assert frame_of(page) == 25, "labelled invisible, shown as visible"
    assert "tip visible" in page.inner_text(".can-mark")
    page.keyboard.press("Home")
    page.keyboard.press("f")
    assert frame_of(page) == 13
    page.keyboard.press("End")
    assert frame_of(page) == 39


def test_a_click_lands_on_its_frame(page):
    box = page.locator(".can-chart").bounding_box()
    width = box["width"] - 52 - 6
    for frame in (0, 7, 21, 39):
        x = 52 + (frame + 0.5) / 40 * width
        page.mouse.click(box["x"] + x, box["y"] + 110)
        assert frame_of(page) == frame
    assert float(page.get_attribute(".can-root", "data-drawn")) < 100


def test_a_dragged_threshold_is_exploratory_until_it_is_put_back(page):
    assert "0.500" in page.inner_text(".can-foot")
    box = page.locator(".can-chart").bounding_box()
    page.mouse.move(box["x"] + 300, box["y"] + 51)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 91, steps=4)
    page.mouse.up()
    page.wait_for_selector(".can-exploratory", timeout=10_000)
    assert "NOT FROZEN" in page.inner_text(".can-foot")
    assert "1 of 1 events found" in page.inner_text(".can-foot")
    page.keyboard.press("t")
    page.wait_for_selector(".can-foot span:not(.can-exploratory):has-text('0.500')")


def test_it_plays_and_stops(page):
    page.keyboard.press("Home")
    page.keyboard.press("<")
    page.keyboard.press("<")
    page.keyboard.press(" ")
    page.wait_for_function("() => window.canPainted >= 5", timeout=20_000)
    page.keyboard.press(" ")
    at = frame_of(page)
    page.wait_for_timeout(400)
    assert frame_of(page) == at < 39


def test_its_keys_stay_inside(page):
    before = page.locator(".jp-Cell").count()
    for key in "ddabmxyz0":
        page.keyboard.press(key)
    assert page.locator(".jp-Cell").count() == before
