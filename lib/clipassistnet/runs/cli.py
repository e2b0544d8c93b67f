"""Command line of the runs: python -m clipassistnet.runs --help"""

import argparse
import os
import sys

from clipassistnet.runs.process import die_with_parent
from clipassistnet.runs.run import RunError, data_folder, frames_folder, runs_folder


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0 done, 1 with the reason on stderr, 130 interrupted."""
    parser = _parser()
    options, extra = parser.parse_known_args(arguments)
    if extra and options.command != "study":
        parser.error(f"unknown arguments: {' '.join(extra)}")
    if options.child:
        die_with_parent()
    try:
        return COMMANDS[options.command](options, [a for a in extra if a != "--"])
    except (RunError, OSError, ValueError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clipassistnet.runs", description=__doc__)
    parser.add_argument(
        "--child", action="store_true", help="end when the parent process ends (for Snakemake)"
    )
    commands = parser.add_subparsers(dest="command", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("--study", required=True, help="a file of notebooks/studies/")
        return command

    run = add("run", "bring one notebook's run up to date")
    run.add_argument("notebook", help="e.g. 05_train_fold")
    run.add_argument("-p", dest="given", action="append", default=[], metavar="NAME=VALUE")
    run.add_argument("--threads", type=int, help="threads of numerical libraries")
    study = add("study", "bring a whole study up to date (further arguments go to Snakemake)")
    study.add_argument("--data", help="dataset folder, for a study that does not simulate it")
    study.add_argument("--cores", type=int, help="default: all")
    for name, text in (("simulate", "simulate the study's videos"), ("frames", "decode frames")):
        add(name, text).add_argument("--processes", type=int, default=os.cpu_count())
    add("check", "read the study's dataset folder and report every problem")
    add("report", "write the study's tables, figures and model card as one HTML page")
    add("summary", "print the study's tables and where its notebooks lie")
    add("record", "copy a study on simulated or published videos to the tracked record")
    return parser


def _run(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.runs.execute import execute
    from clipassistnet.runs.parameters import notebook_path, parse_given

    given = parse_given(options.given, notebook_path(options.notebook))
    folder = execute(options.study, options.notebook, given, options.threads)
    if sys.stdout.isatty():
        print(f"done: {os.path.relpath(folder)}/notebook.ipynb")
    return 0


def _study(options: argparse.Namespace, extra: list[str]) -> int:
    from clipassistnet.runs.batch import run

    return run(options.study, options.data or None, options.cores, extra)


def _simulate(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.runs.parameters import read_study
    from clipassistnet.simulate.generate import Spec, simulate

    spec = Spec(**read_study(options.study)["simulate"], processes=options.processes)
    simulate(runs_folder() / options.study / "data", spec)
    return 0


def _frames(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.data import dataset, frame_extraction
    from clipassistnet.runs.plan import read_plan

    data = dataset.read(data_folder(options.study))
    for size in read_plan(options.study).sizes:
        frame_extraction.extract(
            data, frames_folder(options.study, size), size, processes=options.processes
        )
    return 0


def _check(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.data import dataset

    dataset.read(data_folder(options.study))
    return 0


def _summary(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.runs.batch import summary

    print(summary(options.study))
    return 0


def _report(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.publish import report

    print(f"report: {os.path.relpath(report.write(options.study))}")
    return 0


def _record(options: argparse.Namespace, _: list[str]) -> int:
    from clipassistnet.publish.record import record

    print(f"recorded in {os.path.relpath(record(options.study))}")
    return 0


COMMANDS = {
    "run": _run,
    "study": _study,
    "simulate": _simulate,
    "frames": _frames,
    "check": _check,
    "report": _report,
    "summary": _summary,
    "record": _record,
}

if __name__ == "__main__":
    sys.exit(main())
