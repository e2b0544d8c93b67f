"""Tables from the tracked files of figures/ and notebooks/studies/, in Markdown."""

import re
from pathlib import Path

import yaml

from clipassistnet.data import csv_rows
from clipassistnet.publish import markdown
from clipassistnet.publish.finished_runs import Rows
from clipassistnet.publish.layouts import word


def study_list(folder: Path) -> str:
    """The studies that come with the project, as their files describe themselves."""
    rows = []
    for path in sorted(folder.glob("*.yaml")):
        study = yaml.safe_load(path.read_text(encoding="utf-8"))
        simulated = study.get("simulate")
        count = (
            sum(simulated.get(name, 0) for name in ("videos", "test_videos")) if simulated else 0
        )
        data = f"SIMULATED, {count} videos" if simulated else "real"
        names = dict.fromkeys(["paper", *(study.get("recipes") or {})])  # each study has `paper`
        recipes = ", ".join(f"`{name}`" for name in names)
        rows.append([f"`{path.stem}`", data, study.get("description", ""), recipes])
    return markdown.table(["study", "data", "purpose", "recipes"], rows)


def simulator(folder: Path) -> str:
    """The first and the last version of the simulator, side by side."""
    first, last = (
        {row["figure"]: row for row in csv_rows.read(folder / f"{name}.csv")}
        for name in ("first", "last")
    )
    rows = [
        [
            re.sub(r"^\d ", "", figure),
            *(_of_simulator(table.get(figure)) for table in (first, last)),
        ]
        for figure in dict.fromkeys([*first, *last])
    ]
    return markdown.table(["figure", "first version", "last version"], rows)


def _of_simulator(row: dict[str, str] | None) -> str:
    if row is None:
        return markdown.ABSENT
    digits = 0 if float(row["value"]) > 10 else 3
    return markdown.estimate(row["value"], row["low"], row["high"], digits)


def statistics(folder: Path) -> dict[str, str]:
    """{name: a finding and the table} of figures/statistics."""
    findings = {"coverage": _coverage, "guarantee": _guarantee, "seeds": _seeds, "scale": _scale}
    bodies = {}
    for name, finding in findings.items():
        path = folder / f"{name}.csv"
        bodies[name] = f"{finding(csv_rows.read(path))}\n\n{as_it_is(path)}"
    return bodies


def as_it_is(path: Path) -> str:
    """A tracked table, unchanged."""
    rows = csv_rows.read(path)
    return markdown.table(list(rows[0]), ([word(cell) for cell in row.values()] for row in rows))


def _coverage(rows: Rows) -> str:
    least = min(rows, key=lambda row: float(row["coverage"]))
    most = max(rows, key=lambda row: float(row["coverage"]))
    return (
        f"The intervals contain the true value in {float(least['coverage']):.0%} to "
        f"{float(most['coverage']):.0%} of the simulated studies. The least is the "
        f"{word(least['statistic'])} with {least['videos']} videos."
    )


def _guarantee(rows: Rows) -> str:
    broken = dict.fromkeys(row["scheme"] for row in rows if row["kept"] != "True")
    if not broken:
        return "Every scheme keeps to alpha."
    return f"More misses than alpha allows: {'; '.join(broken)}."


def _seeds(rows: Rows) -> str:
    sentences = []
    for recipe in dict.fromkeys(row["recipe"] for row in rows):
        spread = {
            varied: [
                float(r["auroc"]) for r in rows if (r["recipe"], r["varied"]) == (recipe, varied)
            ]
            for varied in ("seed", "fold")
        }
        ranges = {
            varied: f"{min(found):.2f} to {max(found):.2f}" for varied, found in spread.items()
        }
        sentences.append(
            f"Recipe `{recipe}`: {ranges['seed']} with {len(spread['seed'])} seeds, and "
            f"{ranges['fold']} with {len(spread['fold'])} folds."
        )
    return " ".join(sentences)


def _scale(rows: Rows) -> str:
    slow = max(rows, key=lambda row: float(row["cpu_s"]))
    large = max(rows, key=lambda row: float(row["peak_mib"]))
    return (
        f"The slowest step ({slow['step']}) takes {float(slow['cpu_s']):.0f} s of one core for "
        f"{int(slow['frames']):,} frames. The largest peak of memory is "
        f"{float(large['peak_mib']):.0f} MiB ({large['step']})."
    )
