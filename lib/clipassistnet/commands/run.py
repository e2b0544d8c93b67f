"""Run one notebook of a study, if its parameters, code or inputs changed since its last run.

The executed notebook lies in papermill_runs/STUDY/NOTEBOOK/<parameters given by -p>/, beside the
tables and figures that it made.
"""

from __future__ import annotations

import os
import sys

from clipassistnet.commands.parsing import command_parser
from clipassistnet.runs.execute import execute
from clipassistnet.runs.notebooks import notebook_path, parse_given


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    example = "run 05_train_fold --study demo -p loss=bce -p fold=0 -p epochs=8"
    parser = command_parser("run", __doc__, example)
    parser.add_argument("notebook", metavar="NOTEBOOK", help="its name, such as 05_train_fold")
    parser.add_argument("--study", required=True, help="name of a file in notebooks/studies/")
    parser.add_argument(
        "-p",
        dest="given",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter that differs from the study's (repeatable)",
    )
    parser.add_argument("--threads", type=int, metavar="N", help="threads (default: all)")
    options = parser.parse_args(arguments)
    given = parse_given(options.given, notebook_path(options.notebook))
    folder = execute(options.study, options.notebook, given, options.threads)
    if sys.stdout.isatty():
        print(f"done: {os.path.relpath(folder)}/notebook.ipynb")
    return 0
