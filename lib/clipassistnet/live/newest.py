"""A buffer of one: who reads it gets the newest item, however slow; nothing ever queues up."""

from __future__ import annotations

import threading


class Newest:
    """Hands the newest item from one thread to another. `dropped` counts those nobody took."""

    def __init__(self, wake: threading.Event | None = None) -> None:
        """`wake` is set at each new item, for a reader that waits for several things."""
        self.dropped = 0
        self._item = None  # type: object
        self._changed = threading.Condition()
        self._wake = wake

    def put(self, item: object) -> None:
        """Replace the item."""
        with self._changed:
            self.dropped += self._item is not None
            self._item = item
            self._changed.notify()
        if self._wake is not None:
            self._wake.set()

    def take(self, timeout: float = 0.0):
        """The newest item, once; None if none has come within `timeout` seconds."""
        with self._changed:
            if self._item is None and timeout > 0:
                self._changed.wait(timeout)
            item, self._item = self._item, None
            return item
