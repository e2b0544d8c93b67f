"""What the events of a pass add up to: its frames, marks and flags."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from clipassistnet.annotate import journal
from clipassistnet.annotate.errors import AnnotateError
from clipassistnet.annotate.order import Frame

FORMAT = 1
ABOUT = ("annotator", "task", "order", "seed", "time")


class PassError(AnnotateError):
    """A pass that cannot be opened, or a label that it does not take."""


class Mark(NamedTuple):
    """What an annotator says of a frame. `cause` and `confidence` may be empty."""

    label: str
    cause: str = ""
    confidence: str = ""


class PassState:
    """A list of places, each a frame, with the annotator's marks.

    Attributes:
        about: annotator, task, order, seed, and the time of its start.
        items: the frame of each place; a frame may come twice.
        notes: what is shown beside each place (votes of others in an adjudication), or empty.
        marks: the mark of each labelled place.
        seconds: how long the label of each place took.
        flags: the flagged places.
        position: the place where the annotator is.
        closed: no more labels are taken.
    """

    def __init__(self, events: Iterable[dict[str, Any]], path: Path) -> None:
        """Add up the events of the journal `path`; PassError where it has no start."""
        first, *others = events or [{}]
        if first.get("event") != "start" or first.get("format") != FORMAT:
            found = f"{first.get('event')!r}, format {first.get('format')!r}"
            raise PassError(f"{path}:1: {found} (expected the event start, format {FORMAT})")
        self.path = path
        self.about = {key: first[key] for key in ABOUT}
        self.items: list[Frame] = [(video, frame) for video, frame in first["items"]]
        self.notes: list[str] = first["notes"]
        self.marks: dict[int, Mark] = {}
        self.seconds: dict[int, float] = {}
        self.flags: set[int] = set()
        self.position, self.closed = 0, False
        self._before: list[tuple[int, Mark | None, float]] = []  # of each label that stands
        for event in others:
            self.apply(event)

    @property
    def left(self) -> int:
        """How many places have no mark."""
        return len(self.items) - len(self.marks)

    @property
    def last_labelled(self) -> int | None:
        """The place of the last label that stands."""
        return self._before[-1][0] if self._before else None

    def apply(self, event: dict[str, Any]) -> None:
        """Add one event of the journal."""
        kind, place = event["event"], event.get("place", 0)
        if kind == "label":
            self._before.append((place, self.marks.get(place), self.seconds.get(place, 0.0)))
            self.marks[place] = Mark(event["label"], event["cause"], event["confidence"])
            self.seconds[place] = event["seconds"]
            self.position = min(place + 1, len(self.items) - 1)
        elif kind == "undo":
            self._restore(*self._before.pop())
        elif kind == "flag":
            (self.flags.add if event["on"] else self.flags.discard)(place)
        elif kind == "rest":
            self.position = place
        elif kind == "close":
            self.closed = True

    def _restore(self, place: int, mark: Mark | None, seconds: float) -> None:
        self.position = place
        if mark is None:
            del self.marks[place], self.seconds[place]
        else:
            self.marks[place], self.seconds[place] = mark, seconds


def read(path: Path) -> PassState:
    """What a pass says now; another process may have it open."""
    return PassState(journal.read(path), path)


def start_event(
    annotator: str,
    task: str,
    items: Sequence[Frame],
    *,
    order: str,
    seed: int,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """The first event of a journal: who labels what, in which order."""
    about = dict(zip(ABOUT, (annotator, task, order, seed, now()), strict=True))
    shown = [[video, int(frame)] for video, frame in items]
    return {"event": "start", "format": FORMAT, **about, "items": shown, "notes": list(notes)}


def now() -> str:
    """The time of day with its offset, ISO 8601."""
    return datetime.now().astimezone().isoformat(timespec="milliseconds")
