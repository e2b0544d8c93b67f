"""What both widgets share: pictures sent before they are needed, and one view at a time."""

import threading
import time
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import anywidget

from clipassistnet.annotate.order import Frame
from clipassistnet.annotate.picture_store import PictureStore
from clipassistnet.data.video_source import VideoSource

AHEAD = 12  # places on either side whose pictures are sent
KEPT = 24  # places on either side that the page keeps (the same number is in pictures.js)
SILENT = 3.0  # seconds after which a view that says nothing has gone


def script(name: str) -> str:
    """The widget's ECMAScript module: what both share, and its own part."""
    folder = resources.files("clipassistnet.annotate")
    parts = ("pictures.js", name)
    return "\n".join((folder / part).read_text("utf-8") for part in parts)


def style() -> str:
    """The style sheet of both widgets."""
    return (resources.files("clipassistnet.annotate") / "widget.css").read_text("utf-8")


class PictureWidget(anywidget.AnyWidget):
    """Shows frames of videos. Pictures go as binary messages to the page of this kernel alone.

    The widget's state holds no picture, no label and no name, for it may be saved in the notebook.
    A second view (another tab) is refused while the first one is alive.
    """

    _css = style()

    def __init__(self, sources: Mapping[str, VideoSource], items: Sequence[Frame]) -> None:
        super().__init__()
        self._items, self._place = items, 0
        self._view, self._heard = "", 0.0
        self._lock = threading.RLock()
        self._sent: set[int] = set()
        self._store = PictureStore(sources, items, self._ready)
        self.on_msg(self._receive)

    def close(self) -> None:
        """End the decoding thread and the widget."""
        self._store.close()
        super().close()

    def start_state(self) -> dict[str, Any]:
        """What a new view needs to know."""
        raise NotImplementedError

    def handle(self, message: dict[str, Any]) -> None:
        """Answer a message of the active view."""
        raise NotImplementedError

    def tell(self, message: dict[str, Any], buffers: Sequence[bytes] = ()) -> None:
        """Send a message to the active view."""
        self.send(message | {"view": self._view}, buffers=list(buffers))

    def _receive(self, _widget: object, message: dict[str, Any], _buffers: object) -> None:
        with self._lock:
            view, kind = str(message.get("view", "")), message.get("type")
            if kind == "bye":
                self._view = "" if view == self._view else self._view
            elif self._takes(view, is_new=kind == "hello"):
                self._answer(kind, message)

    def _takes(self, view: str, *, is_new: bool) -> bool:
        """Whether this view is the active one, or becomes it."""
        now = time.monotonic()
        if view != self._view and now - self._heard < SILENT and self._view:
            self.send({"type": "elsewhere", "view": view})
            return False
        self._heard = now
        if is_new or view != self._view:
            self._view = view
            self._sent.clear()
            self.tell({"type": "state"} | self.start_state())
        return True

    def _answer(self, kind: object, message: dict[str, Any]) -> None:
        if kind == "alive":
            self.tell({"type": "here"})
        elif kind == "at":
            self._move(int(message["place"]))
        elif kind != "hello":
            self.handle(message)

    def _move(self, place: int) -> None:
        self._place = min(max(place, 0), len(self._items) - 1)
        self._store.move(self._place)
        self._sent = {sent for sent in self._sent if abs(sent - self._place) <= KEPT}
        for step in range(AHEAD + 1):
            for near in {self._place + step, self._place - step}:
                self._send_picture(near)

    def _ready(self, item: Frame) -> None:
        """Called by the decoding thread."""
        with self._lock:
            low = max(0, self._place - AHEAD)
            for place in range(low, min(len(self._items), self._place + AHEAD + 1)):
                if self._items[place] == item:
                    self._send_picture(place)

    def _send_picture(self, place: int) -> None:
        if not self._view or not 0 <= place < len(self._items) or place in self._sent:
            return
        found = self._store.get(self._items[place])
        if isinstance(found, bytes):
            self._sent.add(place)
            self.tell({"type": "picture", "place": place}, [found])
        elif found is not None:
            self.tell({"type": "unreadable", "place": place, "text": found})
