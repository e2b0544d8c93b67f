"""Write a study's tables, figures and model card as one page, papermill_runs/STUDY/report.html.

The page needs no other file and no network. Of a study on real videos it shows no frame.
"""

from __future__ import annotations

import os

from clipassistnet.commands.parsing import add_study, command_parser
from clipassistnet.publish import report


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    parser = command_parser("report", __doc__, "report demo")
    add_study(parser)
    path = report.write(parser.parse_args(arguments).study)
    print(f"report: {os.path.relpath(path)}")
    return 0
