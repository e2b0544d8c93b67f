"""Print a study's Tables 2 and 3, its frames per second, where its notebooks lie, and its verdict.

The last line says whether the network has learnt to see the tips.
"""

from __future__ import annotations

import os

from clipassistnet.commands.parsing import add_study, command_parser
from clipassistnet.data.csv_tables import read_result
from clipassistnet.evaluation.verdict import verdict
from clipassistnet.runs.folders import ONCE, is_simulated, runs_folder

COMPARE = "06_loss_comparison"
TABLES = (
    (COMPARE, "table2", "Table 2: the losses, over folds"),
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
    """The study's tables, where everything lies, and the verdict on its network.

    A table that no notebook has made so far is left out: Snakemake may have run only some of them.
    """
    folder = runs_folder() / study
    simulated = is_simulated(study)
    note = "  (SIMULATED data)" if simulated else ""
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
    baselines = folder / COMPARE / ONCE / "baselines.csv"
    if baselines.exists():
        parts.append(f"\n{verdict(read_result(baselines), simulated)}")
    return "\n".join(parts)
