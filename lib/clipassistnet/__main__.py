"""ClipAssistNet: are the tips of the clip applier's jaws visible?"""

from __future__ import annotations

import difflib
import importlib
import sys
import warnings

# Only the chosen command's module is imported: a Jetson has no pandas, and help must be quick.
COMMANDS = {
    "study": ("study", "run a whole study: every notebook that is out of date"),
    "run": ("run", "run one notebook of a study"),
    "summary": ("summary", "print a study's tables"),
    "report": ("report", "write a study's tables and figures as one HTML page"),
    "record": ("record", "copy a study on public or simulated videos to papermill_runs/record/"),
    "results": ("results", "write docs/results.md and the tables of figures from the records"),
    "share": ("share", "copy a study's notebooks without anything that could show a patient"),
    "check": ("check", "read a dataset folder and list every problem"),
    "import": (
        "import_data",
        "make a dataset folder from a public data set, or add labels made in a tool",
    ),
    "annotate": ("annotate", "label the frames of your own videos, in JupyterLab"),
    "simulate": ("simulate", "make a dataset folder of simulated videos"),
    "frames": ("frames", "decode the annotated frames of a dataset folder"),
    "deploy": ("deploy", "build an engine of trained networks, and check it"),
    "live": ("live", "warn when the tips are not visible: a camera, a stream or a file"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit status: 0 done, 1 failed (the reason is on stderr), 2 wrong usage, 130 interrupted;
        a command may have others, which its help lists.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["--child"]:
        from clipassistnet.runs.process import die_with_parent

        die_with_parent()
        del given[0]
    if not given or given[0] in ("-h", "--help"):
        print(_help())
        return 0 if given else 2
    name, rest = given[0], given[1:]
    if name not in COMMANDS:
        print(f"clipassistnet: {_unknown(name)}", file=sys.stderr)
        return 2
    warnings.formatwarning = _without_path
    command = importlib.import_module(f"clipassistnet.commands.{COMMANDS[name][0]}")
    try:
        return command.main(rest)
    except (OSError, ValueError, RuntimeError) as error:
        print(f"clipassistnet {name}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _without_path(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    line: str | None = None,
) -> str:
    """A warning in one line, for a reader who does not know the code."""
    return f"{category.__name__}: {message}\n"


def _help() -> str:
    lines = [f"  {name:9} {text}" for name, (_, text) in COMMANDS.items()]
    return "\n".join(
        [
            __doc__,
            "For research only. Not a medical device.",
            "",
            "usage: clipassistnet COMMAND ...",
            "",
            *lines,
            "",
            "What a command needs, with an example: clipassistnet COMMAND --help",
            "The whole study on simulated videos:   clipassistnet study demo",
        ]
    )


def _unknown(name: str) -> str:
    close = difflib.get_close_matches(name, COMMANDS, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"no command {name!r}{hint}; there are {', '.join(COMMANDS)}"


if __name__ == "__main__":
    sys.exit(main())
