"""An error in JupyterLab, in a real browser (headless Chromium): what a person sees."""

import pytest

import lab_browser

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(lab_browser.missing()), reason=lab_browser.missing() or "-"),
]
FAILS = """\
from clipassistnet.errors import ExplainedError
raise ExplainedError("run: make study\\nwhat is missing")"""


def test_after_run_all_the_message_is_in_view(tmp_path):
    lab_browser.write_notebook(tmp_path / "n.ipynb", FAILS, *["1\n" * 30] * 6)
    with lab_browser.server(tmp_path) as address, lab_browser.browser() as browser:
        page = browser.new_page(viewport={"width": 1300, "height": 900})
        page.goto(f"{address}/lab/tree/n.ipynb?token={lab_browser.TOKEN}&reset")
        page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        page.wait_for_selector("text=Python 3 (ipykernel) | Idle", timeout=60_000)
        page.click(".lm-MenuBar-itemLabel:has-text('Run')")
        page.click(".lm-Menu-itemLabel:text-is('Run All Cells')")
        message = page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
        message.wait_for(state="attached", timeout=60_000)
        page.wait_for_timeout(2000)
        # Lab stands at the last cell. On a busy machine the kernel has run some that followed.
        prompt = page.locator(".jp-mod-active .jp-InputPrompt").inner_text()
        assert prompt != "[1]:", "the cell that failed"
        box = message.bounding_box()
        assert box is not None
        assert 0 < box["y"] < 900 - box["height"]
        said = "ExplainedError: run: make study\nwhat is missing"
        assert message.inner_text().strip() == said
        page.keyboard.press("Control+s")
        page.wait_for_timeout(1500)
        assert (tmp_path / "n.ipynb").read_text().count("application/javascript") == 1
