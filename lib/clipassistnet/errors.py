"""Errors whose message says what is wrong and what to do."""

from __future__ import annotations


class ExplainedError(Exception):
    """An error that its message explains: a notebook shows the message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        # IPython calls this (InteractiveShell.showtraceback) and shows the lines as they are.
        return [f"{type(self).__name__}: {self}"]
