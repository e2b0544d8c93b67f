"""Snakemake's progress, a line for each run that ended: its number, its name, how long it took.

Snakemake finds it by this module's name; `--logger clipassistnet` switches it on.
"""

import sys
import time
from logging import WARNING, LogRecord
from pathlib import PurePath
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent


class LogHandler(LogHandlerBase):
    """Prints a line when a run ends, and on a terminal the runs that are going on."""

    writes_to_stream = True
    writes_to_file = False
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        self.began = time.monotonic()
        self.running: dict[int, tuple[str, float]] = {}
        self.finished: list[str] = []
        self.total = 0

    def emit(self, record: LogRecord) -> None:
        fields = vars(record)
        event = fields.get("event")
        if event == LogEvent.RUN_INFO:
            stats = fields.get("stats", {})
            self.total = stats.get("total", 0) - stats.get("all", 0)
            self._show(f"{self.total} steps to do")
        elif event == LogEvent.JOB_INFO and fields["rule_name"] != "all":
            self.running[fields["jobid"]] = (_name(fields), time.monotonic())
            self._show_running()
        elif event == LogEvent.JOB_FINISHED and fields["job_id"] in self.running:
            self._finish(*self.running.pop(fields["job_id"]))
        elif event == LogEvent.JOB_ERROR:
            name, _ = self.running.pop(fields["jobid"], (_name(fields), 0.0))
            self._show(f"FAILED  {name}  (its message stands above)")
        elif record.levelno >= WARNING:  # such as an error in the Snakefile
            self._show(record.getMessage())

    def _finish(self, name: str, since: float) -> None:
        self.finished.append(name)
        count = f"[{len(self.finished):3d}/{self.total}]"
        self._show(f"{count}  {name}  {_clock(time.monotonic() - since)}")
        self._show_running()

    def _show(self, text: str) -> None:
        clear = "\r\033[K" if sys.stderr.isatty() else ""
        print(
            f"{clear}{_clock(time.monotonic() - self.began)}  {text}", file=sys.stderr, flush=True
        )

    def _show_running(self) -> None:
        if sys.stderr.isatty() and self.running:
            names = ", ".join(name for name, _ in self.running.values())
            print(f"\r\033[K       running: {names}"[:160], end="", file=sys.stderr, flush=True)


def _name(fields: dict[str, Any]) -> str:
    """A run's notebook and key, from its stamp <notebook>/<key>/.done; else the rule's name."""
    stamp = PurePath(fields["output"][0])
    if stamp.name != ".done":
        return fields["rule_name"]
    return f"{stamp.parts[-3]} {stamp.parts[-2]}".removesuffix(" once")


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:3d}:{int(seconds) % 60:02d}"
