"""Copy a study's executed notebooks so that the copies may leave the hospital.

What it does: copies every executed notebook of a study into a new folder, with one page
(index.html) that lists them. Everything that could show a patient stays behind:

  pictures       are kept only in cells tagged "shareable" (curves, bars, tables as pictures),
                 and re-encoded; every other one becomes its size and a keyed hash
  ids            of videos, patients and annotators become pseudonyms
  names          of this user, this machine and its folders, all paths, addresses and dates are
                 removed from code, outputs and error messages, in every usual encoding
  your terms     (--term, --terms) are removed likewise: surgeons' and patients' names, case numbers
  the rest       (metadata, widgets, attachments, embedded data) is not copied at all

The study's own name stays; make it a term if it may not leave.
Then all copies are searched. If a term is found, or a text that looks like a path or a date,
NOTHING is written.

Exit status: 0 shared; 1 wrong input; 2 wrong usage; 3 something survived, nothing was written.
"""

import argparse
import sys
from pathlib import Path

from clipassistnet.commands.parsing import command_parser
from clipassistnet.publish.sharing import ShareError, SurvivedError, share
from clipassistnet.publish.terms import machines_terms, read_terms, studys_terms, users_terms
from clipassistnet.runs.folders import RunError, data_folder, is_simulated, runs_folder


def main(arguments: list[str]) -> int:
    """Returns the exit status 0, or 3 where something survived; other errors are raised."""
    given = _parser().parse_args(arguments)
    try:
        data = _data(given)
        terms = users_terms([*given.term, *(read_terms(given.terms) if given.terms else [])])
        terms += studys_terms(data / "videos.csv") if data and not given.no_ids else []
        folders = [given.study, given.target.parent, Path.home(), Path.cwd(), *filter(None, [data])]
        terms += machines_terms(folders, given.study.resolve().name)
        simulated = bool(data) and _simulated(given.study)
        terms = list(dict.fromkeys(terms))
        shared = share(given.study, given.target, terms, simulated, given.allow)
    except SurvivedError as error:
        print(f"NOT SHARED, nothing was written. Found in the copies:\n{error}", file=sys.stderr)
        return 3
    print(f"{shared.notebooks} notebooks in {shared.folder}; start with index.html")
    print("taken out: " + (", ".join(f"{v} {k}" for k, v in sorted(shared.counts.items())) or "-"))
    print("Open each notebook once before it leaves: a program finds only what it looks for.")
    return 0


def _parser() -> argparse.ArgumentParser:
    example = "share papermill_runs/paper ~/for-the-reviewer --terms names.txt"
    parser = command_parser("share", __doc__, example)
    parser.add_argument(
        "study", type=Path, metavar="STUDY", help="its folder, e.g. papermill_runs/paper"
    )
    parser.add_argument(
        "target", type=Path, metavar="TARGET", help="the folder to make; it must not exist yet"
    )
    parser.add_argument(
        "--term", action="append", default=[], metavar="T", help="remove this too (repeatable)"
    )
    parser.add_argument("--terms", type=Path, metavar="FILE", help="a file of terms, one a line")
    parser.add_argument(
        "--videos",
        type=Path,
        metavar="FILE",
        help="the videos.csv, where it is not found by itself",
    )
    parser.add_argument(
        "--allow",
        action="append",
        default=[],
        metavar="TEXT",
        help="keep this, although it looks like a path or a date (repeatable)",
    )
    parser.add_argument(
        "--no-ids", action="store_true", help="leave video, patient and annotator ids as they are"
    )
    return parser


def _data(given: argparse.Namespace) -> Path | None:
    """The dataset folder whose ids are to go; None where ids are to stay and it is not known."""
    if given.videos:
        return given.videos.parent
    try:
        return data_folder(_name(given.study))
    except RunError as error:
        if given.no_ids:
            return None
        reason = "the study's videos.csv was not found, so its ids could not be removed"
        raise ShareError(f"{reason}; name it with --videos, or share with --no-ids") from error


def _name(study: Path) -> str:
    """Its name below papermill_runs, as in `record/demo`."""
    try:
        return str(study.resolve().relative_to(runs_folder().resolve()))
    except ValueError:
        return study.name


def _simulated(study: Path) -> bool:
    try:
        return is_simulated(_name(study))
    except (RunError, OSError):
        return False
