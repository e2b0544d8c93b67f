"""Adjudication, audit and kill -9 in JupyterLab, in a real browser (headless Chromium)."""

import os
import signal
import time

import pandas as pd
import pytest

import lab_browser
from clipassistnet.annotate import Choice, tables
from clipassistnet.annotate.opening import open_pass
from clipassistnet.annotate.pass_state import Mark
from labelling_session import Session, processes_with

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lab_browser.missing()), reason=lab_browser.missing() or "-"),
]


@pytest.fixture(scope="module")
def browser():
    with lab_browser.browser() as running:
        yield running


@pytest.fixture(scope="module")
def lab(tmp_path_factory, browser):
    """Folder, address and browser of a running JupyterLab."""
    folder = tmp_path_factory.mktemp("lab")
    with lab_browser.server(folder) as address:
        yield folder, address, browser


def label_all(folder, annotator: str, mark) -> None:
    """A closed pass of five frames a second; `mark` gives the mark of a frame."""
    current, _, _ = open_pass(folder, annotator, Choice())
    for place, (_, frame) in enumerate(current.items):
        current.label(place, mark(frame))
    current.finish()
    current.release()
    tables.write(folder)


def by_ten(frame: int) -> Mark:
    return Mark("invisible", "blur") if frame % 10 else Mark("visible", "none")


def test_disputed_frames_are_decided_without_names(lab):
    session = Session(lab, "disputed", annotator="chief", choice="task='adjudicate'")
    label_all(session.data, "anna", by_ten)
    label_all(session.data, "ben", lambda _: Mark("visible", "none"))
    before = (session.data / "annotations.csv").read_bytes()
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    assert session.text("done") == "0 of 4 decided"
    assert session.text("note") == "votes: invisible (blur) · visible"
    shown = session.page.inner_text(".can-root")
    assert "anna" not in shown
    assert "ben" not in shown
    session.press("b", "v", "v", "i")
    assert "Every picture has a vote" in session.text("overlay")
    session.press("Enter")
    session.page.wait_for_selector("text=This pass is closed", timeout=20_000)
    votes = pd.read_csv(session.data / "adjudications.csv")
    assert votes["frame"].tolist() == [5, 15, 25, 35]
    assert votes["label"].tolist() == ["invisible", "visible", "visible", "invisible"]
    assert set(votes["annotator"]) == {"chief"}
    assert (session.data / "annotations.csv").read_bytes() == before
    session.context.close()


def test_doubted_labels_are_kept_changed_or_left_open(lab):
    session = Session(lab, "doubted", "chief", "task='audit', audit_file='doubted/label_audit.csv'")
    label_all(session.data, "anna", by_ten)
    header = "video,frame,label,suggested,quality,issue,score\n"
    rows = [f"v,{frame},visible,invisible,0.{frame},True,0.9\n" for frame in (0, 10, 20)]
    (session.data / "label_audit.csv").write_text(header + "".join(rows))
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    assert session.text("note") == "labelled visible; is it invisible?"
    buttons = session.text("buttons")
    assert all(word in buttons for word in ("keep", "change", "cannot tell"))
    assert "visible" not in buttons
    session.press("v", "b", "i")
    assert session.text("mark") == "no verdict", "keys of the other task do nothing"
    session.press("k", "r", "q")
    assert "Every picture has a verdict" in session.text("overlay")
    session.press("Enter")
    session.page.wait_for_selector("text=This pass is closed", timeout=20_000)
    verdicts = pd.read_csv(session.data / "annotation" / "audit.csv").set_index("frame")["verdict"]
    assert verdicts.to_dict() == {0: "keep", 10: "change", 20: "cannot tell"}
    session.context.close()


def resumes(session: Session, sure: int) -> None:
    """The labels that were seen to be on the disk are there, perhaps one more, and it goes on."""
    marks = session.marks()
    assert len(marks) in (sure, sure + 1)
    session.start()
    lab_browser.wait_for_picture(session.page, len(marks))
    assert session.text("done").startswith(f"{len(marks)} of")
    session.press("b")
    assert len(session.marks()) == len(marks) + 1


def test_a_killed_browser_loses_at_most_one_label(lab, browser):
    before = set(processes_with("chrom"))
    own = browser.browser_type.launch(
        executable_path=lab_browser.CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
    )
    started = set(processes_with("chrom")) - before
    session = Session((*lab[:2], own), "killed_browser")
    session.start()
    lab_browser.wait_for_picture(session.page, 0)
    session.press("v", "b", "v")
    session.page.keyboard.press("v")
    started |= set(processes_with("chrom")) - before
    for process in started:
        kill(process)
    session.context = browser.new_context(viewport={"width": 1300, "height": 900})
    session.page = session.new_page()
    resumes(session, 3)
    session.context.close()


def kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return  # a child of one that was killed before it


def test_a_killed_server_loses_at_most_one_label(tmp_path, browser):
    with lab_browser.server(tmp_path) as address:
        session = Session((tmp_path, address, browser), "killed_server")
        session.start()
        lab_browser.wait_for_picture(session.page, 0)
        kernel = session.kernel()["id"]
        session.press("v", "b", "v")
        session.page.keyboard.press("v")
        for process in processes_with(f"--ServerApp.root_dir={tmp_path}"):
            kill(process)
        session.page.wait_for_selector(".can-banner.can-shown", timeout=20_000)
        wait_until_gone(kernel)
    with lab_browser.server(tmp_path) as session.address:
        resumes(session, 3)
    session.context.close()


def wait_until_gone(kernel: str) -> None:
    """A kernel ends by itself within seconds when its server is gone."""
    until = time.monotonic() + 30
    while processes_with(kernel):
        assert time.monotonic() < until
        time.sleep(0.2)
