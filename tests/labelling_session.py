"""A notebook with the annotator, in a page of headless Chromium."""

import json
import os
import urllib.request

import lab_browser
from clipassistnet.annotate import pass_state
from tiny_videos import encode

LABEL = """\
from clipassistnet.annotate import Choice, annotate
annotate("{name}", "{annotator}", Choice({choice}))"""
PASS = "per_second=25, chronological=True"


class Session:
    """A notebook in a page, beside a folder with one tiny video.

    Args:
        lab: folder of a JupyterLab, its address, and a browser.
        name: of the notebook and of the folder.
        annotator, choice: the arguments of the annotator; `choice` as Python text.
    """

    def __init__(self, lab, name: str, annotator: str = "anna", choice: str = PASS) -> None:
        self.folder, self.address, browser = lab
        self.name, self.data = name, self.folder / name
        self.annotator, self.choice = annotator, choice
        self.data.mkdir()
        encode(self.data / "v.mp4")
        self.context = browser.new_context(viewport={"width": 1300, "height": 900})
        self.page = self.new_page()

    def new_page(self):
        page = self.context.new_page()
        page.add_init_script(lab_browser.NOTE_PAINTED)
        return page

    def start(self, before: str = "", page=None) -> None:
        """Write the notebook where it is missing, open it and run its first cell."""
        page = page or self.page
        path = self.folder / f"{self.name}.ipynb"
        if not path.exists():
            code = before + self.code()
            lab_browser.write_notebook(path, code, "second = 2", "third = 3")
        lab_browser.open_notebook(page, self.address, path.name)
        lab_browser.run_first(page)

    def code(self) -> str:
        """The cell that opens the annotator."""
        return LABEL.format(name=self.name, annotator=self.annotator, choice=self.choice)

    def press(self, *keys: str) -> None:
        """Press keys one after the other; labels wait for their picture and for the disk."""
        for key in keys:
            lab_browser.settle(self.page)
            self.page.keyboard.press(key)
        lab_browser.settle(self.page)

    @property
    def journal(self):
        return self.data / "annotation" / "passes" / "anna.label.1.jsonl"

    def marks(self) -> dict:
        return {place: mark[0] for place, mark in pass_state.read(self.journal).marks.items()}

    def text(self, part: str) -> str:
        return self.page.inner_text(f".can-{part}")

    def cells(self) -> list[str]:
        return self.page.locator(".jp-Cell .jp-InputArea-editor").all_inner_texts()

    def kernel(self) -> dict:
        """This notebook's kernel, as the server describes it."""
        address = f"{self.address}/api/sessions?token={lab_browser.TOKEN}"
        sessions = json.load(urllib.request.urlopen(address))
        (own,) = [each for each in sessions if each["path"] == f"{self.name}.ipynb"]
        return own["kernel"]


def processes_with(text: str) -> list[int]:
    """The processes with this text in their command line."""
    found = []
    for entry in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/cmdline", errors="replace") as file:
                if text in file.read():
                    found.append(int(entry))
        except OSError:
            continue
    return found
