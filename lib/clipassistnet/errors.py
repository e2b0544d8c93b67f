"""Errors whose message says what is wrong and what to do."""

from __future__ import annotations

import sys
import time

# JupyterLab's "Run All Cells" stops at an error, but then shows the last cell. This shows the cell
# with the message. `made` is a time in ms: a saved output does nothing when it is opened again.
_SHOW_CELL = """\
const made = {made};
const show = () => element.closest('.jp-Cell')?.scrollIntoView({{block: 'center'}});
if (Date.now() - made < 60000) for (const wait of [100, 500, 1000]) setTimeout(show, wait);"""


class ExplainedError(Exception):
    """An error that its message explains: a notebook shows the message without a traceback."""

    _is_shown = False

    def _render_traceback_(self) -> list[str]:
        # IPython calls this, perhaps twice, and shows the lines as they are.
        if "ipykernel" in sys.modules and not self._is_shown:
            self._is_shown = True
            _show_cell()
        return [f"{type(self).__name__}: {self}"]


def _show_cell() -> None:
    from IPython.display import Javascript, display

    display(Javascript(_SHOW_CELL.format(made=int(1000 * time.time()))))
