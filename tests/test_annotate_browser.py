"""The annotator in JupyterLab, in a real browser (headless Chromium)."""

import json
import os
import signal
import string
import urllib.request

import pytest

import lab_browser
from clipassistnet.annotate import Choice, pass_state
from clipassistnet.annotate.opening import frames_to_label
from clipassistnet.annotate.picture_widget import script, style
from clipassistnet.data import dataset
from labelling_session import Session, processes_with
from tiny_videos import FRAMES, encode

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lab_browser.missing()), reason=lab_browser.missing() or "-"),
]
FULL_DISK = """\
import os
sync = os.fsync
def fsync(file):
    if os.path.exists("full"):
        raise OSError(28, "No space left on device")
    sync(file)
os.fsync = fsync
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """Folder, address and browser of a running JupyterLab."""
    folder = tmp_path_factory.mktemp("lab")
    with lab_browser.server(folder) as address, lab_browser.browser() as browser:
        yield folder, address, browser


@pytest.fixture
def session(lab, request):
    made = Session(lab, request.node.name.removeprefix("test_")[:30])
    yield made
    made.context.close()


def test_keys_label_move_undo_and_flag(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    session.press("v", "1", "b", "i", "a", "t")
    state = pass_state.read(session.journal)
    assert [state.marks[place] for place in range(5)] == [
        ("visible", "none", ""), ("invisible", "blur", "1"), ("invisible", "", ""),
        ("absent", "no_clipper", ""), ("invisible", "occluded_tissue", ""),
    ]  # fmt: skip
    assert "frame 5" in session.text("where")
    session.press("z")
    assert "frame 4" in session.text("where")
    assert session.text("mark") == "no label"
    session.press("f", "Shift+ArrowRight")
    assert "frame 14" in session.text("where")
    session.press("End")
    assert f"frame {FRAMES - 1}" in session.text("where")
    session.press("Home", "ArrowRight", "3")
    assert session.text("mark") == "invisible (blur) · confidence 3"
    session.press("n")
    assert "frame 4" in session.text("where")
    assert "⚑" in session.text("mark")
    session.press("?")
    assert "undo the last label" in session.text("overlay")
    session.press("Escape", "g")
    session.page.wait_for_selector(".can-examples img")
    session.press("Escape", "x", "p", "+", "-", "0")
    assert session.text("overlay") == ""


def test_no_key_reaches_the_notebook(session):
    session.start()
    lab_browser.wait_for_picture(session.page)
    before = session.cells()
    named = ["Enter", "Escape", "Backspace", "Delete", "Tab", "Space", "PageDown", "F2", "Insert"]
    named += ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"]
    held = ["Control+Enter", "Control+s", "Control+z", "Shift+M", "Control+v", "Control+x", "Alt+d"]
    for key in [*"ddxxzyaabbmr00", *string.printable.strip(), *named, *held]:
        session.page.keyboard.press(key)
    session.page.wait_for_timeout(500)
    assert session.cells() == before
    assert session.page.locator(".jp-mod-editMode").count() == 0
    assert session.page.locator(".jp-Dialog").count() == 0
    assert not session.journal.read_text().count('"close"') or session.text("overlay")


def test_a_held_key_passes_over_no_picture(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    for _ in range(60):
        session.page.keyboard.down("ArrowRight")  # again and again: the key repeats
        session.page.wait_for_timeout(15)
    session.page.keyboard.up("ArrowRight")
    lab_browser.settle(session.page)
    places = [place for place, *_ in session.page.evaluate("window.canTimes")]
    assert places == list(range(len(places)))
    assert len(places) > 10


def test_reload_restart_and_kill_lose_nothing(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    session.press("v", "b")
    session.start()  # loads the page anew
    lab_browser.wait_for_picture(session.page, 2)
    assert session.text("done").startswith("2 of")
    session.press("a")
    kernel = session.kernel()["id"]
    request = urllib.request.Request(
        f"{session.address}/api/kernels/{kernel}/restart?token={lab_browser.TOKEN}", method="POST"
    )
    urllib.request.urlopen(request)
    session.page.keyboard.press("v")
    session.page.wait_for_selector(".can-banner.can-shown:has-text('kernel')", timeout=20_000)
    session.start()
    lab_browser.wait_for_picture(session.page, 3)
    assert session.marks() == {0: "visible", 1: "invisible", 2: "absent"}
    session.press("v")
    for process in processes_with(kernel):
        os.kill(process, signal.SIGKILL)
    assert session.marks() == {0: "visible", 1: "invisible", 2: "absent", 3: "visible"}
    session.page.wait_for_timeout(4000)  # the server starts the kernel again
    session.start()
    lab_browser.wait_for_picture(session.page, 4)
    session.press("z")
    assert session.marks() == {0: "visible", 1: "invisible", 2: "absent"}


def test_a_second_tab_is_refused_until_the_first_one_closes(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    session.press("v")
    session.page.keyboard.press("Shift+Escape")
    session.page.keyboard.press("Control+s")
    session.page.wait_for_timeout(1500)
    second = session.new_page()
    lab_browser.open_notebook(second, session.address, f"{session.name}.ipynb")
    second.wait_for_selector(".can-overlay:has-text('open in another tab')", timeout=30_000)
    session.page.close()
    lab_browser.wait_for_picture(second, 1)
    assert second.inner_text(".can-done").startswith("1 of")


def test_another_kernel_is_refused(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    other = session.folder / f"{session.name}_other.ipynb"
    lab_browser.write_notebook(other, session.code())
    second = session.new_page()
    lab_browser.open_notebook(second, session.address, other.name)
    lab_browser.run_first(second)
    second.wait_for_selector("text=open already, in another notebook", timeout=60_000)


def test_the_saved_notebook_holds_no_picture_and_no_label(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    session.press("v", "g")
    session.page.wait_for_selector(".can-examples img")
    session.press("Escape")
    session.page.keyboard.press("Shift+Escape")
    session.page.keyboard.press("Control+s")
    session.page.wait_for_timeout(2500)
    saved = (session.folder / f"{session.name}.ipynb").read_text()
    assert "application/vnd.jupyter.widget-view+json" in saved, "the output was saved"
    assert "widget-state+json" in saved, "its state too"
    state = json.dumps(json.loads(saved)["metadata"]["widgets"])
    for own in (script("annotator.js"), style()):
        state = state.replace(json.dumps(own)[1:-1], "")
    for sign in ("/9j/", "image/", "base64", "anna", "visible"):
        assert sign not in state
    assert len(state) < 3000


def test_a_full_disk_says_not_saved_and_labels_go_on_afterwards(session):
    session.start(before=FULL_DISK)
    lab_browser.wait_for_picture(session.page, 0)
    session.press("v")
    (session.folder / "full").touch()
    session.page.keyboard.press("a")
    session.page.wait_for_selector(".can-banner:has-text('NOT SAVED')", timeout=20_000)
    assert "No space left on device" in session.text("banner")
    assert "frame 1" in session.text("where")
    (session.folder / "full").unlink()
    session.press("b")
    assert session.marks() == {0: "visible", 1: "invisible"}


def test_a_broken_video_is_named_and_the_others_can_be_labelled(session):
    (session.data / "broken.mp4").write_bytes(b"no video")
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    assert "broken.mp4" in session.text("banner")
    session.press("v")
    assert session.marks() == {0: "visible"}


def test_a_picture_that_cannot_be_shown_takes_no_label(session):
    frames_to_label(session.data, Choice(per_second=25))
    encode(session.data / "v.mp4", count=FRAMES // 2)  # cut off since
    session.start()
    session.page.wait_for_selector(".can-veil.can-shown", timeout=60_000)
    assert "videos.csv says 40: cut off" in session.text("veil")
    session.page.keyboard.press("v")
    session.page.wait_for_timeout(500)
    assert session.marks() == {}


def test_a_vanished_video_is_named(session):
    frames_to_label(session.data, Choice())
    (session.data / "v.mp4").unlink()
    session.start()
    session.page.wait_for_selector("text=v.mp4': no such file", timeout=60_000)


def test_a_narrow_window_shows_everything(session):
    session.page.set_viewport_size({"width": 900, "height": 700})
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    boxes = session.page.evaluate(
        """() => {
            const root = document.querySelector('.can-root').getBoundingClientRect();
            return [...document.querySelectorAll('.can-root *')].filter((e) => {
                const box = e.getBoundingClientRect();
                return box.width && (box.right > root.right + 1 || box.left < root.left - 1);
            }).map((e) => e.className);
        }"""
    )
    assert boxes == []


def test_a_pass_ends_in_a_checked_dataset(session):
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    session.press("?", "Escape")
    total = FRAMES + 2  # with repeats
    for place in range(total):
        lab_browser.wait_for_picture(session.page, place)
        session.press("v" if place % 2 else "b")
    assert "Every picture has a label" in session.text("overlay")
    session.press("Enter")
    session.page.wait_for_selector("text=This pass is closed", timeout=20_000)
    assert "2 pictures came twice" in session.text("overlay")
    data = dataset.read(session.data)
    assert len(data.annotations) == FRAMES
    session.start()  # the cell is run again
    session.page.wait_for_selector("text=This pass is closed", timeout=20_000)
    assert data.passes.loc[0, "repeats"] == 2
