"""The top of a study's report: three figures, the verdict and a time line."""

from dataclasses import dataclass

from clipassistnet.data.csv_tables import read_result
from clipassistnet.evaluation.published import PAPER
from clipassistnet.evaluation.verdict import verdict
from clipassistnet.publish import markdown
from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import FinishedRun
from clipassistnet.publish.notebook_pictures import figures_of
from clipassistnet.publish.recorded_study import COMPARISON, DEVICE, TEST, ensemble

TIME_LINES = {"time_line", "one_video"}  # figures of notebook 08 that show one operation
Runs = dict[str, list[FinishedRun]]


@dataclass
class KeyFigure:
    """One figure in large print: its value, what it is, and what to compare it with."""

    value: str
    label: str
    note: str


def key_figures(runs: Runs) -> list[KeyFigure]:
    """AUROC, specificity at the frozen threshold, and speed: those that the study has."""
    found = [_auroc(runs), _specificity(runs), _speed(runs)]
    return [figure for figure in found if figure]


def _auroc(runs: Runs) -> KeyFigure | None:
    row = ensemble(runs[TEST][0], "auroc") if TEST in runs else None
    if row is None:
        return None
    value = markdown.estimate(row["estimate"], row.get("low"), row.get("high"))
    return KeyFigure(
        value, "AUROC of the ensemble", f"the paper, on its videos: {PAPER['ensemble AUROC']:.2f}"
    )


def _specificity(runs: Runs) -> KeyFigure | None:
    rows = runs[TEST][0].table("thresholds") if TEST in runs else []
    frozen = {
        row.get("rate"): markdown.estimate(row["estimate"], row.get("low"), row.get("high"))
        for row in rows
        if row["threshold from"].startswith("frozen") and "estimate" in row
    }
    if not {"sensitivity", "specificity"} <= set(frozen):
        return None
    label = "specificity at a threshold that was frozen before the test"
    return KeyFigure(frozen["specificity"], label, f"with sensitivity {frozen['sensitivity']}")


def _speed(runs: Runs) -> KeyFigure | None:
    rows = runs[DEVICE][0].table("timing") if DEVICE in runs else []
    timed = [row for row in rows if row.get("frames_per_second")]
    if not timed:
        return None
    best = max(timed, key=lambda row: float(row["frames_per_second"]))
    note = f"{best['backend']} {best['precision']} on {best['device']}"
    return KeyFigure(f"{float(best['frames_per_second']):.0f}", "frames a second", note)


def conclusion(runs: Runs, simulated: bool) -> str:
    """Whether the network has learnt to see the tips; "" where notebook 06 has no baselines."""
    path = runs[COMPARISON][0].folder / "baselines.csv" if COMPARISON in runs else None
    return verdict(read_result(path), simulated) if path and path.exists() else ""


def time_line(runs: Runs, copier: Copier) -> str:
    """The picture of one operation in notebook 08, PNG in base64; "" where it may not be shown."""
    if TEST not in runs:
        return ""
    for cell in copier.copy(runs[TEST][0].notebook()).cells:
        if cell.cell_type == "code" and TIME_LINES & set(figures_of(cell.source)):
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    return output.data["image/png"]
    return ""
