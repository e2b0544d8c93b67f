"""Write docs/results.md, and the tables of figures in README.md, JETSON.md and docs/, from the
tracked records.

A table lies between two comments that name this command. Text outside of them stays as it is.
"""

from __future__ import annotations

from clipassistnet.commands.parsing import command_parser
from clipassistnet.publish.results import write


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    command_parser("results", __doc__, "results && git diff docs").parse_args(arguments)
    for path in write():
        print(path)
    return 0
