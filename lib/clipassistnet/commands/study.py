"""Run a whole study: every notebook whose parameters, code or inputs changed since its last run.

A study is a file of notebooks/studies/. It is interrupted with Ctrl-C, or by anything else, at any
time: the same command continues. Further arguments go to Snakemake, which runs the notebooks:
--dry-run, --executor slurm, or the name of a rule to be brought up to date alone.
"""

from __future__ import annotations

from clipassistnet.commands.parsing import add_study, command_parser
from clipassistnet.commands.summary import summary
from clipassistnet.runs import batch
from clipassistnet.runs.folders import runs_folder


def main(arguments: list[str]) -> int:
    """Returns Snakemake's exit status."""
    parser = command_parser(
        "study", __doc__, "study paper --data /data/cholecystectomies --cores 8"
    )
    add_study(parser)
    parser.add_argument(
        "--data",
        metavar="FOLDER",
        help="dataset folder, for a study that does not simulate its videos; it is remembered",
    )
    parser.add_argument("--cores", type=int, metavar="N", help="processor cores (default: all)")
    options, extra = parser.parse_known_args(arguments)
    extra = [argument for argument in extra if argument != "--"]
    status = batch.run(options.study, options.data or None, options.cores, extra)
    has_runs = any((runs_folder() / options.study).glob("0?_*/*/run.json"))
    if status == 0 and has_runs:  # there are none after --dry-run, or when only data were made
        from clipassistnet.publish import report  # takes a second, which a failed study saves

        report.write(options.study)
        print(summary(options.study))
    return status
