"""Copy a study's executed notebooks, tables and figures to papermill_runs/record/STUDY/ and
figures/STUDY/, small enough for git.

Only a study on simulated videos, or on videos under a Creative Commons licence, can be recorded. Of
the latter no frame is copied.
"""

from __future__ import annotations

import os

from clipassistnet.commands.parsing import add_study, command_parser
from clipassistnet.publish.record import record


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    parser = command_parser("record", __doc__, "record demo")
    add_study(parser)
    folder = record(parser.parse_args(arguments).study)
    print(f"recorded in {os.path.relpath(folder)}")
    return 0
