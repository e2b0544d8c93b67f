"""The tables of notebook 09 in Markdown: what each engine changes, and how fast it is."""

from clipassistnet.publish import markdown
from clipassistnet.publish.finished_runs import FinishedRun
from clipassistnet.publish.layouts import Layout, part, pivot
from clipassistnet.publish.recorded_study import DEVICE, RecordedStudy, origin, recipe_of

PRECISIONS = (
    *("engine", "AUROC minus float32 PyTorch's", "specificity minus float32 PyTorch's"),
    *("largest difference of a score", "labels flipped", "parity", "p50, ms", "frames a second"),
    "times eager PyTorch",
)


def of_study(study: RecordedStudy) -> list[str]:
    """The engines of a study and its student; empty where notebook 09 is not in the record."""
    return [_speed(study), _student(study)]


def precisions(study: RecordedStudy, run: FinishedRun) -> list[list[str]]:
    """One row for each engine of notebook 09: change of the metrics, parity and speed."""
    changes = {}
    for row in run.table("metric_changes"):
        changes[row["model"], row["metric"]] = markdown.estimate(
            row["difference"], row["low"], row["high"], digits=4, signed=True
        )
    passed = {_engine(row): row.get("passed") == "True" for row in run.table("parity")}
    lines = []
    for row in run.table("timing"):
        engine = _engine(row)
        lines.append(
            [
                engine,
                changes.get((engine, "auroc"), markdown.ABSENT),
                changes.get((engine, "specificity_at_95"), markdown.ABSENT),
                f"{float(row['max_difference']):.1g}",
                row["flips"],
                "reference" if engine == "torch float32" else "yes" if passed.get(engine) else "no",
                markdown.number(row["p50_ms"], 1),
                markdown.number(row["frames_per_second"], 1),
                markdown.number(row["ratio"], 1),
            ]
        )
    return lines


def _engine(row: dict[str, str]) -> str:
    return f"{row['backend']} {row['precision']}"


def _speed(study: RecordedStudy) -> str:
    runs = study.of(DEVICE)
    if not runs or not runs[0].table("timing"):
        return ""
    rows = runs[0].table("timing")
    recipe = recipe_of(runs[0])
    title = f"Engines: {study.network(recipe)}, recipe `{recipe}`"
    table = markdown.table(PRECISIONS, precisions(study, runs[0]))
    judged = f"{rows[0]['frames']} {study.data} frames; device: {rows[0]['device']}"
    note = "An engine without parity is refused and not timed."
    return part(title, table, judged, origin(runs[0]), note)


def _student(study: RecordedStudy) -> str:
    runs = study.of(DEVICE)
    rows = runs[0].table("student_minus_ensemble") if runs else []
    if not rows:
        return ""
    header, lines = pivot(rows, Layout("", "", "", ("model",), "metric", ("difference",), "", True))
    timing = runs[0].table("student_timing")
    speed = {row.get("", ""): row for row in timing}
    table = markdown.table(header, lines)
    note = ""
    if {"ensemble", "student"} <= set(speed):
        ours, theirs = (float(speed[name]["p50_ms"]) for name in ("student", "ensemble"))
        note = f"A frame takes {ours:.1f} ms, and {theirs:.1f} ms with the ensemble "
        note += f"({_engine(speed['student'])})."
    frames = timing[0]["frames"] if timing else "the test"
    judged = f"{frames} {study.data} frames"
    return part("One student minus the ensemble", table, judged, origin(runs[0]), note)


def of_records(recorded: list[RecordedStudy]) -> str:
    """The tables of JETSON.md: what each engine changes and how fast it is."""
    parts = []
    for study in recorded:
        for run in study.of(DEVICE):
            rows = precisions(study, run)
            if rows:
                device = run.table("timing")[0]
                table = markdown.table(PRECISIONS, rows)
                parts.append(
                    f"**`{study.name}`**: {study.network(recipe_of(run))}, on {device['frames']} "
                    f"{study.data} frames. {device['device']}; from {origin(run)}.\n\n{table}"
                )
    return "\n\n".join(parts)
