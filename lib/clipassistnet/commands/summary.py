"""Print a study's Tables 2 and 3, its frames per second, and where its notebooks lie."""

from __future__ import annotations

import os

from clipassistnet.commands.parsing import add_study, command_parser
from clipassistnet.data.csv_tables import read_result
from clipassistnet.runs.folders import ONCE, is_simulated, runs_folder

TABLES = (
    ("06_loss_comparison", "table2", "Table 2: the losses, over folds"),
    ("08_ensemble_test", "table3", "Table 3: the ensemble and its members, test set"),
    ("09_jetson_deploy", "timing", "Frames per second of the ensemble"),
)


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    parser = command_parser("summary", __doc__, "summary demo")
    add_study(parser)
    print(summary(parser.parse_args(arguments).study))
    return 0


def summary(study: str) -> str:
    """The study's tables, and where everything lies.

    A table that no notebook has made so far is left out: Snakemake may have run only some of them.
    """
    folder = runs_folder() / study
    note = "  (SIMULATED data)" if is_simulated(study) else ""
    parts = []
    for notebook, table, title in TABLES:
        path = folder / notebook / ONCE / f"{table}.csv"
        if path.exists():
            rows = read_result(path).drop(columns="left_out", errors="ignore")
            parts += [f"\n{title}{note}\n", rows.to_string(index=False, na_rep="-")]
    place = os.path.relpath(folder)
    parts.append(f"\nExecuted notebooks: {place}/<notebook>/<run>/notebook.ipynb")
    parts.append(f"Figures:            {place}/<notebook>/<run>/figures/")
    if (folder / "report.html").exists():
        parts.append(f"All on one page:    {place}/report.html")
    return "\n".join(parts)
