"""The annotator: frames of an operation labelled by keys, inside a notebook."""

from collections.abc import Mapping
from contextlib import suppress
from importlib import resources
from pathlib import Path
from typing import Any

import mistune

from clipassistnet.annotate import tables
from clipassistnet.annotate.opening import Choice, open_pass
from clipassistnet.annotate.pass_state import Mark, PassError
from clipassistnet.annotate.passes import Pass
from clipassistnet.annotate.picture_widget import PictureWidget, script
from clipassistnet.data.dataset import DatasetError
from clipassistnet.data.video_source import VideoSource

# Of each task: what a person gives a picture, how a picture is called that has it, and the table
# that a closed pass writes.
WORDS = {
    "label": ("label", "labelled", "annotations.csv"),
    "adjudicate": ("vote", "decided", "adjudications.csv"),
    "audit": ("verdict", "audited", "annotation/audit.csv"),
}
_open: dict[Path, "Annotator"] = {}  # of this process, by journal: a cell may be run again


class Annotator(PictureWidget):
    """One pass of one annotator. `annotate` makes it."""

    _esm = script("annotator.js")

    def __init__(
        self, folder: Path, current: Pass, sources: Mapping[str, VideoSource], problems: list[str]
    ) -> None:
        self._folder, self._pass, self._problems = folder, current, problems
        super().__init__(sources, current.items)
        self._move(current.position)
        _open[current.path] = self

    def close(self) -> None:
        """Release the pass, so that it can be opened elsewhere."""
        _open.pop(self._pass.path, None)
        self._pass.release()
        super().close()

    def start_state(self) -> dict[str, Any]:
        current, sources = self._pass, self._store.sources
        names = sorted({video for video, _ in current.items})
        number = {name: index for index, name in enumerate(names)}
        return {
            "annotator": current.about["annotator"],
            "task": current.about["task"],
            "words": WORDS[current.about["task"]],
            "order": current.about["order"],
            "videos": [{"id": name, "fps": sources[name].fps} for name in names],
            "frames": [[number[video], frame] for video, frame in current.items],
            "marks": [[place, *mark] for place, mark in current.marks.items()],
            "flags": sorted(current.flags),
            "notes": current.notes,
            "position": current.position,
            "problems": self._problems,
            "closed": self._summary() if current.closed else None,
        }

    def handle(self, message: dict[str, Any]) -> None:
        kind, number = message["type"], message.get("number")
        if kind == "guideline":
            html, words, pictures = guideline()
            self.tell({"type": "guideline", "html": html, "examples": words}, pictures)
            return
        place = message.get("place")
        try:
            place, go = self._change(kind, message)
        except (PassError, OSError) as error:
            self._answer_place("failed", number, place, text=str(error))
            return
        self._answer_place("saved", number, place, go=go)
        if kind == "close":
            self._close_pass()

    def _change(self, kind: str, message: dict[str, Any]) -> tuple[int | None, int | None]:
        """Write a change; returns the place that it changed, and the place to go to."""
        if kind == "label":
            mark = Mark(*(str(message[name]) for name in Mark._fields))
            self._pass.label(int(message["place"]), mark, float(message["seconds"]))
            return int(message["place"]), None
        if kind == "undo":
            place = self._pass.undo()
            return place, place
        if kind == "flag":
            self._pass.flag(int(message["place"]))
            return int(message["place"]), None
        if kind == "close":
            self._pass.finish()
        return None, None

    def _answer_place(self, kind: str, number: int | None, place: int | None, **more: Any) -> None:
        mark = self._pass.marks.get(place) if place is not None else None
        answer = {"type": kind, "number": number, "place": place, "mark": mark and list(mark)}
        self.tell(answer | {"flagged": place in self._pass.flags} | more)

    def _move(self, place: int) -> None:
        super()._move(place)
        with suppress(OSError):  # the next label says that the disk is full; a place is no loss
            self._pass.rest(self._place)

    def _close_pass(self) -> None:
        problem = ""
        try:
            tables.write(self._folder)
        except (DatasetError, OSError) as error:
            problem = (
                f"The labels are safe in the journal, but the tables were not written:\n{error}"
            )
        self.tell({"type": "closed", "lines": self._summary(), "problem": problem})

    def _summary(self) -> list[str]:
        current = self._pass
        repeats, same = tables.self_agreement(current)
        seconds = sorted(current.seconds.values())
        word, done, table = WORDS[current.about["task"]]
        lines = [f"{len(current.marks)} of {len(current.items)} pictures {done}."]
        if seconds:
            lines.append(f"{seconds[len(seconds) // 2]:.1f} s a {word} (median).")
        if repeats:
            lines.append(f"{repeats} pictures came twice: {same} got the same label again.")
        lines.append(f"{word.capitalize()}s: {self._folder / table}")
        lines.append("The next cell says what can be done with them.")
        return lines


def annotate(folder: str | Path, annotator: str, choice: Choice | None = None) -> Annotator:
    """Open the annotator's pass over a folder of videos, or of pictures, as a widget.

    The same call goes on where the annotator stopped, and shows a finished pass as closed. See
    `Choice` for what is labelled and how.

    Raises:
        AnnotateError, DatasetError: the message says what is wrong and what is expected.
    """
    if not str(folder) or not annotator:
        raise PassError("give the folder of your videos (data) and your name (annotator)")
    folder = Path(folder).expanduser().resolve()
    for path, widget in list(_open.items()):
        if path.is_relative_to(folder) and path.name.startswith(f"{annotator}."):
            widget.close()  # the cell was run again
    return Annotator(folder, *open_pass(folder, annotator, choice or Choice()))


def guideline() -> tuple[str, list[str], list[bytes]]:
    """The guideline as HTML, and its pictures (simulated) with a line each."""
    folder = resources.files("clipassistnet.annotate") / "guideline"
    text = (folder / "guideline.md").read_text("utf-8")
    lines = (folder / "pictures.txt").read_text("utf-8").splitlines()
    named = [line.split(": ", 1) for line in lines if line]
    return (
        mistune.html(text),
        [words for _, words in named],
        [(folder / name).read_bytes() for name, _ in named],
    )
