"""The table of the README: the paper, and each study's main recipe and the paper's."""

from clipassistnet.evaluation.published import PAPER
from clipassistnet.publish import markdown
from clipassistnet.publish.recorded_study import (
    COMPARISON,
    DEVICE,
    TEST,
    RecordedStudy,
    ensemble,
    recipe_of,
)

BACKENDS = {"torch": "PyTorch on a CPU", "openvino": "CPU, OpenVINO"}
METRICS = ("auroc", "specificity_at_95")


def headline(recorded: list[RecordedStudy], page: str = "") -> str:
    """The table; `page` is the page of results, as the table's own page links it."""
    rows = [
        [
            "the paper, private videos",
            "5 x ResNet-50, 224 px",
            f"{PAPER['ensemble AUROC']:.2f}",
            f"{PAPER['ensemble specificity at 95 % sensitivity']:.2f}",
            f"{PAPER['test frames']:,} frames of {PAPER['test videos']} videos",
            f"{PAPER['frames per second on a Jetson AGX Xavier']} (Jetson AGX Xavier)",
        ]
    ]
    for study in recorded:
        link = f"[`{study.name}`]({page}#{study.name}), {study.data}"
        rows += [[link, *cells] for cells in _headline_rows(study)]
    header = [
        *("study, data", "networks", "AUROC (95 % interval)", "specificity at 95 % sensitivity"),
        *("judged", "frames a second"),
    ]
    return markdown.table(header, rows)


def _headline_rows(study: RecordedStudy) -> list[list[str]]:
    rows = []
    for run in study.of(TEST):
        recipe = recipe_of(run)
        found = [row for metric in METRICS if (row := ensemble(run, metric))]
        if recipe in (study.recipe, "paper") and len(found) == len(METRICS):
            cells = [markdown.estimate(row["estimate"], row["low"], row["high"]) for row in found]
            rows.append([_networks(study, recipe), *cells, study.judged(run), speed(study, recipe)])
    if study.nested and study.recipe != "paper" and len(rows) == 1:
        rows += _from_recipes(study, rows[0][3])
    return rows


def _networks(study: RecordedStudy, recipe: str) -> str:
    return f"`{recipe}`: {study.network(recipe)}"


def _from_recipes(study: RecordedStudy, judged: str) -> list[list[str]]:
    """The recipe `paper` of a nested study whose notebook 08 judged another recipe alone."""
    rows = {
        row["metric"]: markdown.estimate(row["pooled"], row["low"], row["high"])
        for row in study.table(COMPARISON, "recipes")
        if row["recipe"] == "paper" and row["judged"] == "clipper frames"
    }
    if not set(METRICS) <= set(rows):
        return []
    cells = [rows[metric] for metric in METRICS]
    return [[_networks(study, "paper"), *cells, judged, speed(study, "paper")]]


def speed(study: RecordedStudy, recipe: str) -> str:
    """The fastest engine with parity: frames a second and what computed them."""
    timed = [
        row
        for run in study.of(DEVICE)
        if recipe_of(run) == recipe
        for row in run.table("timing")
        if row["frames_per_second"]
    ]
    if not timed:
        return markdown.ABSENT
    best = max(timed, key=lambda row: float(row["frames_per_second"]))
    name = BACKENDS.get(best["backend"], best["backend"])
    return f"{float(best['frames_per_second']):.0f} ({name} {best['precision']})"
