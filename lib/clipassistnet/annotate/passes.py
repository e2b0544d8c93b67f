"""One pass that is open for labels: locked, and journalled event by event."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from clipassistnet import files
from clipassistnet.annotate.journal import Journal
from clipassistnet.annotate.pass_state import Mark, PassError, PassState, now
from clipassistnet.data.schema import CAUSES, LABELS

VERDICTS = ("keep", "change", "cannot tell")  # of the task "audit"
CAUSES_OF = {
    "visible": ("", "none"),
    "invisible": ("", *(cause for cause in CAUSES if cause != "none")),
    "absent": ("", "none", "no_clipper"),
    **dict.fromkeys(VERDICTS, ("",)),
}


class Pass(PassState):
    """A pass that takes labels. The journal is the truth; a label counts once it is on the disk."""

    def __init__(self, path: Path, start: dict[str, Any] | None = None) -> None:
        """Open the pass of this journal, or begin it with `start` (see `start_event`).

        Raises:
            PassError: another notebook or person has this pass open, or it has no start.
            JournalError: the journal is damaged.
        """
        with ExitStack() as held:
            try:
                held.enter_context(files.lock(path.with_suffix(".lock")))
            except files.LockError as error:
                where = "in another notebook, or by another person"
                raise PassError(
                    f"{path.stem}: open already, {where}: close it there first ({error.strerror})"
                ) from error
            self._journal = Journal(path)
            held.callback(self._journal.close)
            if start is not None and not self._journal.events:
                self._journal.append(start)
            super().__init__(self._journal.events, path)
            self._held = held.pop_all()

    def label(self, place: int, mark: Mark, seconds: float = 0.0) -> None:
        """Mark a place; returns once the mark is on the disk.

        Raises:
            PassError: no such place, label, cause or confidence, or the pass is closed.
            OSError: the mark could not be written; nothing is changed.
        """
        self._check_place(place)
        allowed = VERDICTS if self.about["task"] == "audit" else LABELS
        if mark.label not in allowed:
            raise PassError(f"label {mark.label!r} (expected one of {', '.join(allowed)})")
        if mark.cause not in CAUSES_OF[mark.label]:
            raise PassError(f"cause {mark.cause!r} does not go with {mark.label}")
        if mark.confidence not in ("", "1", "2", "3"):
            raise PassError(f"confidence {mark.confidence!r} (expected 1, 2, 3 or nothing)")
        event = {"event": "label", "place": place, **mark._asdict()}
        self._write(event | {"seconds": round(max(0.0, float(seconds)), 3)})

    def undo(self) -> int | None:
        """Take back the last label that stands, of an earlier session too.

        Returns its place, or None where there is none.
        """
        place = self.last_labelled
        if place is not None:
            self._write({"event": "undo", "place": place})
        return place

    def flag(self, place: int) -> bool:
        """Set the flag of a place, or remove it; returns whether it is set now."""
        self._check_place(place)
        self._write({"event": "flag", "place": place, "on": place not in self.flags})
        return place in self.flags

    def rest(self, place: int) -> None:
        """Remember where the annotator is, without waiting for the disk: no label depends on it."""
        self._check_place(place)
        if place != self.position and not self.closed:
            self._write({"event": "rest", "place": place}, sync=False)

    def finish(self) -> None:
        """Close the pass: from now on it takes no labels."""
        if not self.closed:
            self._write({"event": "close", "left": self.left})

    def release(self) -> None:
        """Let go of journal and lock. The pass can be opened again."""
        self._held.close()

    def _check_place(self, place: int) -> None:
        if not 0 <= place < len(self.items):
            raise PassError(f"place {place} (expected 0 to {len(self.items) - 1})")

    def _write(self, event: dict[str, Any], *, sync: bool = True) -> None:
        if self.closed:
            raise PassError("the pass is closed: it takes no more labels")
        event = event | {"time": now()}
        self._journal.append(event, sync=sync)
        self.apply(event)
