"""The tables of a recorded study in Markdown, each with what it judges and where it comes from."""

from clipassistnet.evaluation.by_patient import MOST_PATIENTS
from clipassistnet.publish import engine_tables, markdown
from clipassistnet.publish.finished_runs import FinishedRun, Rows
from clipassistnet.publish.layouts import Layout, part, pivot, word
from clipassistnet.publish.recorded_study import (
    AGREEMENT,
    COMPARISON,
    SALIENCY,
    TEST,
    RecordedStudy,
    origin,
    patients,
    recipe_of,
)

BESIDE_PAPER = {
    AGREEMENT: {"actions": "Clipping actions"},
    COMPARISON: {"single_split": "The single split (BCE, fold 0)"},
    SALIENCY: {"extreme_frames": "The frames of highest and lowest loss"},
    TEST: {"per_video_medians": "Medians over videos"},
}

LAYOUTS = (
    Layout(
        TEST,
        "table3",
        "The ensemble and its members (Table 3)",
        ("model",),
        "metric",
        ("estimate",),
        "The specificity is fitted on the judged frames, as in the paper.",
    ),
    Layout(
        TEST,
        "protocols",
        "Frames with a clip applier, and all frames",
        ("judged",),
        "metric",
        ("estimate",),
        "On all frames, one without a clip applier counts as tip invisible.",
    ),
    Layout(TEST, "thresholds", "Thresholds", ("threshold from",), "rate", ("estimate",)),
    Layout(TEST, "events", "Events and alarms", ("measure",), "alarm", ("estimate",)),
    Layout(TEST, "absent", "Frames without a clip applier", ("figure",), "", ("estimate",)),
    Layout(TEST, "arming", "Automatic arming", ("measure",), "judged", ("estimate",)),
    Layout(
        COMPARISON,
        "table2",
        "Losses (Table 2)",
        ("loss",),
        "metric",
        ("pooled", "mean"),
    ),
    Layout(
        COMPARISON,
        "comparison",
        "Losses minus BCE, paired",
        ("loss",),
        "metric",
        ("difference",),
        signed=True,
    ),
    Layout(COMPARISON, "recipes", "Recipes", ("recipe", "judged"), "metric", ("pooled", "mean")),
)
AGAINST = Layout(
    COMPARISON,
    "",
    "Recipes minus `{}`, paired",
    ("recipe",),
    "metric",
    ("difference",),
    signed=True,
)


def of_study(study: RecordedStudy) -> list[str]:
    """All tables of a study as parts of a page; a table that its record lacks is left out."""
    parts = [_agreement(study), *_as_they_are(study, AGREEMENT)]
    for run in study.of(COMPARISON):
        parts += [_shown(study, run, one) for one in LAYOUTS if one.notebook == COMPARISON]
        parts += [*_against(study, run), _baselines(run)]
    parts += [*_as_they_are(study, COMPARISON), *_as_they_are(study, SALIENCY)]
    for run in study.of(TEST):
        parts += [_shown(study, run, one) for one in LAYOUTS if one.notebook == TEST]
        parts += [_by_patient(study, run), _confusion(study, run)]
    parts += _as_they_are(study, TEST)
    parts += engine_tables.of_study(study)
    return [part for part in parts if part]


def _as_they_are(study: RecordedStudy, notebook: str) -> list[str]:
    """The tables of BESIDE_PAPER: our figures beside the paper's."""
    parts = []
    for name, title in BESIDE_PAPER[notebook].items():
        for run in study.of(notebook):
            rows = _with_ours(run.table(name))
            if rows:
                known = {TEST: study.judged(run), COMPARISON: study.out_of_fold()}
                judged = known.get(notebook, "see the table")
                recipe = f", recipe `{recipe_of(run)}`" if notebook == TEST else ""
                parts.append(part(f"{title}{recipe}", _quantities(rows), judged, origin(run)))
    return parts


def _with_ours(rows: Rows) -> Rows:
    """The rows that hold a figure of ours; a study may lack it all."""
    return [
        row for row in rows if any(row[c] not in ("-", "") for c in row if c.startswith("ours"))
    ]


def _confusion(study: RecordedStudy, run: FinishedRun) -> str:
    rows = run.table("confusion_at_frozen_threshold")
    counts = next((row for row in rows if row["video"] == "all"), None)
    if counts is None:
        return ""
    header = ["label", "no warning", "warning"]
    lines = [["visible", counts["tn"], counts["fp"]], ["invisible", counts["fn"], counts["tp"]]]
    lines = [[label, *(markdown.number(count, 0) for count in row)] for label, *row in lines]
    title = f"Frames by label and warning at the frozen threshold, recipe `{recipe_of(run)}`"
    return part(title, markdown.table(header, lines), study.judged(run), origin(run))


def _shown(study: RecordedStudy, run: FinishedRun, layout: Layout) -> str:
    rows = run.table(layout.table)
    named = rows and set(layout.keys) <= set(rows[0])
    if not named or not any(name in rows[0] for name in layout.values):
        return ""
    title, judged = layout.title, study.out_of_fold()
    if layout.notebook == TEST:
        judged = study.judged(run)
        title += f", recipe `{recipe_of(run)}`"
    note = _note(study, layout, rows)
    return part(title, markdown.table(*pivot(rows, layout)), judged, origin(run), note)


def _note(study: RecordedStudy, layout: Layout, rows: Rows) -> str:
    """What a reader must know of a table, beside n and origin."""
    if layout.table in ("protocols", "absent"):
        return f"{layout.note} There are {study.without_applier()} such frames.".strip()
    if layout.signed:
        return beyond_zero(rows, layout)
    if layout.table in ("table2", "recipes"):
        note = "Pooled over the folds." if "pooled" in rows[0] else "Mean over the folds."
        if not study.nested:
            note += " Optimistic for networks trained end to end: these frames chose their epoch."
        return note
    return layout.note


def beyond_zero(rows: Rows, layout: Layout) -> str:
    """Which differences have an interval that excludes zero."""
    found = [
        f"{word(row[layout.keys[0]])} ({word(row[layout.across])})"
        for row in rows
        if row["low"] and (float(row["low"]) > 0 or float(row["high"]) < 0)
    ]
    if not found:
        return "No interval of a difference excludes zero."
    return f"The interval excludes zero for: {', '.join(found)}."


def _against(study: RecordedStudy, run: FinishedRun) -> list[str]:
    """The differences of recipes from the reference that notebook 06 names."""
    parts = []
    for path in sorted(run.folder.glob("recipes_minus_*.csv")):
        rows = run.table(path.stem)
        if rows:
            title = AGAINST.title.format(rows[0]["reference"])
            table = markdown.table(*pivot(rows, AGAINST))
            note = beyond_zero(rows, AGAINST)
            parts.append(part(title, table, study.out_of_fold(), origin(run), note))
    return parts


def _baselines(run: FinishedRun) -> str:
    """What is known without looking at the tips."""
    rows = run.table("baselines")
    lines = [
        [
            row["scorer"],
            row["frames"],
            markdown.estimate(row["auroc"], row["low"], row["high"]),
            markdown.estimate(
                row["difference"], row["difference_low"], row["difference_high"], signed=True
            ),
        ]
        for row in rows
    ]
    header = ["scorer", "frames", "AUROC (95 % interval)", "the ensemble minus it (95 % interval)"]
    judged = f"{rows[0]['frames']} frames of {rows[0]['patients']} patients" if rows else ""
    title = "Baselines that do not look at the tips"
    return part(title, markdown.table(header, lines), judged, origin(run)) if rows else ""


def _by_patient(study: RecordedStudy, run: FinishedRun) -> str:
    rows = run.table("by_patient")
    if not rows:
        return ""
    single, note = patients(rows), ""
    if len(single) > MOST_PATIENTS:
        rows = [row for row in rows if row not in single]
        note = f"by_patient.csv has the {len(single)} patients one by one."
    lines = [
        [
            row["judged"],
            row["frames"],
            markdown.estimate(row["auroc"], row.get("low"), row.get("high")),
            markdown.number(row["specificity_at_95"]),
        ]
        for row in rows
    ]
    header = ["judged", "frames", "AUROC (95 % interval)", "specificity at 95 % sensitivity"]
    title = f"Patient by patient, recipe `{recipe_of(run)}`"
    return part(title, markdown.table(header, lines), study.judged(run), origin(run), note)


def _quantities(rows: Rows) -> str:
    header = list(rows[0])
    return markdown.table(
        header,
        (
            [row[name] if name == header[0] else _short(row[name]) for name in header]
            for row in rows
        ),
    )


def _short(text: str) -> str:
    """At most three digits behind the point; counts stay counts."""
    return markdown.number(text, 3) if "." in text else text or markdown.ABSENT


def _agreement(study: RecordedStudy) -> str:
    runs = study.of(AGREEMENT)
    rows = runs[0].table("agreement") if runs else []
    if not rows:
        return ""
    frames = next((row for row in rows if row["quantity"] == "triple-annotated frames"), {})
    count = next((text for name, text in frames.items() if name.startswith("ours")), "")
    judged = f"{count} frames with three annotators" if count else "see the table"
    return part("Annotators", _quantities(rows), judged, origin(runs[0]))
