"""One card for the networks of each recorded study: what they are, achieve and fail on."""

from pathlib import Path

from clipassistnet.model.backbones import REGISTRY
from clipassistnet.publish import markdown
from clipassistnet.publish.finished_runs import FinishedRun
from clipassistnet.publish.recorded_study import (
    TEST,
    TRAINING,
    RecordedStudy,
    patients,
    recipe_of,
)

SETTINGS = {
    "backbone": "backbone",
    "weights": "initial weights",
    "image_size": "image size, px",
    "cropped_from": "cropped from a frame of, px",
    "feature_blocks": "feature blocks",
    "trainable_stages": "trainable stages (0: all)",
    "epochs": "epochs, at most",
    "batch_size": "batch size",
}
END_TO_END = ("trainable_stages", "epochs", "batch_size")  # settings that a head has no use for
FEWEST = 10  # frames of a patient or group from which an AUROC is quoted as a failure


def cards(recorded: list[RecordedStudy]) -> str:
    """A card for each study that has trainings."""
    return "\n\n".join(_card(study) for study in recorded if study.of(TRAINING))


def _card(study: RecordedStudy) -> str:
    frames = "SIMULATED videos" if study.simulated else "real frames of m2cai16-tool-locations"
    head = (
        f"## Networks of `{study.name}`\n\nTrained and judged on {frames}. "
        f"[Figures](results.md#{study.name})."
    )
    lines = [line for run in study.of(TEST) for line in failures(study, run)]
    found = "\n".join(f"- {line}" for line in lines) or "- Notebook 08 is not in this record."
    return f"{head}\n\n{_settings(study)}\n\nWhere they fail:\n\n{found}"


def _settings(study: RecordedStudy) -> str:
    """One row a setting, one column a recipe."""
    first: dict[str, dict] = {}
    for run in study.of(TRAINING):
        if run.record["parameters"].get("loss") == "bce":
            first.setdefault(recipe_of(run), run.record["parameters"])
    rows = [
        [label, *(_setting(name, parameters) for parameters in first.values())]
        for name, label in SETTINGS.items()
        if any(parameters.get(name) for parameters in first.values())
    ]
    rows.append(["licence of the initial weights", *map(_licence, first.values())])
    return markdown.table(["setting", *(f"`{recipe}`" for recipe in first)], rows)


def _licence(parameters: dict) -> str:
    """The licence of a backbone's published weights."""
    row = REGISTRY.get(parameters.get("backbone", ""))
    published = parameters.get("weights") in ("imagenet", "pretrained")
    return row.licence if row and published else "that of the given file"


def _setting(name: str, parameters: dict) -> str:
    value = parameters.get(name)
    if parameters.get("feature_blocks") and name in END_TO_END:
        return "- (a linear head)"
    if value in (None, "", [], 0) and name != "trainable_stages":
        return markdown.ABSENT
    if name == "weights":
        return (
            "a network of another study" if "05_train_fold" in str(value) else Path(str(value)).name
        )
    return str(value)


def failures(study: RecordedStudy, run: FinishedRun) -> list[str]:
    """Sentences on the weakest patient, the weakest group and frames without a clip applier."""
    name = f"Recipe `{recipe_of(run)}`"
    found = []
    single = [row for row in patients(run.table("by_patient")) if _counts(row)]
    if single:
        worst = min(single, key=lambda row: float(row["auroc"]))
        found.append(
            f"{name}: the weakest patient of at least {FEWEST} frames is {worst['judged']}, with "
            f"an AUROC of {float(worst['auroc']):.2f} on {worst['frames']} frames."
        )
    groups = [
        row
        for row in run.table("subgroups")
        if row["grouping"] in ("clipper", "cause", "agreement") and _counts(row)
    ]
    if groups:
        worst = min(groups, key=lambda row: float(row["auroc"]))
        shown = markdown.estimate(worst["auroc"], worst["low"], worst["high"])
        found.append(
            f"{name}: the weakest group is *{worst['grouping']}: {worst['group']}*, with an AUROC "
            f"of {shown} on {worst['frames']} frames."
        )
    for row in run.table("absent"):
        if row["figure"].startswith("called visible") and "frozen" in row["figure"]:
            share = markdown.estimate(row["estimate"], row["low"], row["high"])
            found.append(
                f"{name}: of the frames without a clip applier, a share of {share} is called "
                "visible at the frozen threshold."
            )
    return found


def _counts(row: dict[str, str]) -> bool:
    return bool(row["auroc"]) and float(row["frames"]) >= FEWEST
