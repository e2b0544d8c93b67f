"""Label the frames of a folder of videos, or of pictures, in JupyterLab.

Writes videos.csv into the folder, chooses the frames, and opens notebook 00 with your name in it:
run its cells and label by keys. The same command goes on where you stopped. Labels go to journals
in FOLDER/annotation, and to FOLDER/annotations.csv once a pass is closed.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from clipassistnet.commands.parsing import command_parser
from clipassistnet.runs.folders import root, runs_folder


def main(arguments: list[str]) -> int:
    """Returns the exit status of JupyterLab; errors in the folder are raised before it starts."""
    options = _parser().parse_args(arguments)
    from clipassistnet.annotate.opening import Choice, check_name, frames_to_label

    check_name(options.annotator)
    if options.cvat:
        return _export(options.folder, options.annotator, options.cvat)
    scores = _absolute(options.scores)
    if options.find_applier:
        scores = _find_applier(options)
    choice = Choice(
        task=options.task,
        per_second=options.per_second,
        chronological=options.chronological,
        clipper=options.clipper,
        scores=scores,
        pictures_per_second=options.pictures_per_second,
        audit_file=_absolute(options.audit_file),
    )
    videos, frames, problems = frames_to_label(options.folder, choice)
    print(f"{options.folder}: videos: {videos}, frames to label: {frames}", flush=True)
    print("".join(f"left out: {problem}\n" for problem in problems), end="", flush=True)
    given = {"data": str(options.folder.resolve()), "annotator": options.annotator}
    defaults = vars(Choice())
    given.update({k: value for k, value in vars(choice).items() if value != defaults[k]})
    return _open_lab(_notebook(given, options.annotator), options.no_browser, options.allow_root)


def _parser():
    parser = command_parser(
        "annotate", __doc__, "annotate /data/cholecystectomies --annotator anna"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with videos, or pictures")
    parser.add_argument("--annotator", required=True, metavar="NAME", help="your name or initials")
    parser.add_argument(
        "--task",
        choices=("label", "adjudicate", "audit"),
        default="label",
        help="label: an own pass (default); adjudicate: disputed frames; audit: doubted labels",
    )
    parser.add_argument(
        "--per-second", type=float, default=5.0, metavar="N", help="frames a second (default: 5)"
    )
    parser.add_argument("--chronological", action="store_true", help="not shuffled")
    parser.add_argument("--clipper", choices=("metal", "polymer"), default="", help="its kind")
    guides = parser.add_mutually_exclusive_group()
    guides.add_argument("--scores", default="", metavar="FILE", help="label where these see one")
    guides.add_argument(
        "--find-applier",
        action="store_true",
        help="label only around pictures in which the network that comes with the project sees a "
        "clip applier",
    )
    parser.add_argument(
        "--pictures-per-second", type=float, default=0.0, metavar="N", help="rate of pictures"
    )
    parser.add_argument("--audit-file", default="", metavar="FILE", help="label_audit.csv")
    parser.add_argument(
        "--cvat", type=Path, metavar="OUT", help="write your labels for CVAT there, and stop"
    )
    parser.add_argument("--no-browser", action="store_true", help="print the address alone")
    parser.add_argument("--allow-root", action="store_true", help="as root, such as in a container")
    return parser


def _find_applier(options) -> str:
    """The scores of the network that comes with the project; what is missing is computed now."""
    from clipassistnet.annotate import applier_scores, videos
    from clipassistnet.live import shipped

    table, _ = videos.update(
        options.folder,
        clipper=options.clipper,
        pictures_per_second=options.pictures_per_second,
    )
    network = Path(shipped.checkpoint(shipped.DEFAULT)).parent
    return str(applier_scores.write(options.folder.resolve(), table, network))


def _export(folder: Path, annotator: str, out: Path) -> int:
    from clipassistnet.data.importers import cvat_export

    for path in cvat_export.export(folder, annotator, out):
        print(path)
    return 0


def _absolute(path: str) -> str:
    return os.path.abspath(path) if path else ""


def _notebook(given: dict, annotator: str) -> Path:
    """A copy of notebook 00 with these parameters."""
    import nbformat
    from papermill.iorw import load_notebook_node
    from papermill.parameterize import parameterize_notebook

    notebook = load_notebook_node(str(root() / "notebooks" / "00_annotate.ipynb"))
    copy = runs_folder() / "lab" / "00_annotate" / f"{annotator}.ipynb"
    copy.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(parameterize_notebook(notebook, given), copy)
    return copy


def _open_lab(notebook: Path, no_browser: bool, allow_root: bool) -> int:
    place = notebook.resolve().relative_to(root()).as_posix()
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root()}"]
    command += [f"--LabApp.default_url=/lab/tree/{place}"]
    given = {"--no-browser": no_browser, "--allow-root": allow_root}
    command += [option for option, wanted in given.items() if wanted]
    return subprocess.call(command)
