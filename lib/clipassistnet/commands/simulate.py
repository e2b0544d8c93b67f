"""Make a dataset folder of simulated videos, with the exact visibility of each jaw's tip.

Videos that are there already are left alone, so an interrupted command continues.
"""

from __future__ import annotations

import os
from dataclasses import fields
from typing import Any

from clipassistnet.commands.parsing import command_parser
from clipassistnet.runs import study as studies
from clipassistnet.runs.folders import RunError, runs_folder
from clipassistnet.runs.study_file import parameter_problem
from clipassistnet.simulate import Spec, simulate
from clipassistnet.simulate.spec import STILLS


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    parser = command_parser("simulate", __doc__, "simulate simulated --videos 24 --test-videos 6")
    parser.add_argument("out", nargs="?", metavar="OUT", help="dataset folder to write")
    parser.add_argument("--study", help="simulate the videos of this study, in place of the above")
    settings = [field for field in fields(Spec) if field.name != "processes"]
    for field in settings:
        option = f"--{field.name.replace('_', '-')}"
        if field.name == "stills":
            text = "videos of which the annotated frames alone are drawn, about 5 times faster"
            parser.add_argument(option, choices=STILLS, help=f"{text}; default: {field.default}")
            continue
        kind = type(field.default)
        parser.add_argument(option, type=kind, metavar="N", help=f"default: {field.default}")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), metavar="N", help="default: all cores"
    )
    options = parser.parse_args(arguments)
    given = {
        field.name: value
        for field in settings
        if (value := getattr(options, field.name)) is not None
    }
    if options.study and not (options.out or given):
        folder, given = runs_folder() / options.study / "data", _of_study(options.study)
    elif options.out and not options.study:
        folder = options.out
    else:
        parser.error("expected either OUT and its settings, or --study STUDY alone")
    simulate(folder, Spec(**given, processes=options.processes))
    return 0


def _of_study(name: str) -> dict[str, Any]:
    """The section `simulate` of a study's file, checked against what can be simulated."""
    settings = studies.read(name).simulation
    if settings is None:
        raise RunError(f"study {name!r} simulates no videos: {name}.yaml has no section simulate")
    defaults = {field.name: field.default for field in fields(Spec)}
    problems = [
        problem
        for key, value in settings.items()
        if (problem := parameter_problem(f"{name}.yaml: simulate", defaults, key, value))
    ]
    if problems:
        raise RunError("\n".join(problems))
    return settings
