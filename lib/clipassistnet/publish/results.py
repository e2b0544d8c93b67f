"""The page of results, and the blocks of README, JETSON.md and docs/ that hold figures.

Every figure comes from the tracked record or from the tracked tables of figures/. Nothing is typed.
"""

from pathlib import Path

from clipassistnet import files
from clipassistnet.evaluation.published import PAPER
from clipassistnet.publish import engine_tables, file_tables, markdown, result_tables
from clipassistnet.publish.headline import headline
from clipassistnet.publish.key_figures import conclusion
from clipassistnet.publish.record_cards import cards
from clipassistnet.publish.recorded_study import (
    TEST,
    TRAINING,
    RecordedStudy,
    ensemble,
    recipe_of,
    studies,
)
from clipassistnet.runs.folders import root

RECORD = Path("papermill_runs") / "record"
PAGE = Path("docs") / "results.md"
HEAD = """# Results

This page is for readers who want every figure of this project with its interval and its origin. \
`make results` writes it from the tracked records. Do not edit it by hand.

- Positive class: **tip invisible**. Scores are p(invisible).
- Intervals are 95 % intervals over patients, unless a caption says otherwise.
- A study is *nested* if each fold of patients was held out in turn, and judged by networks that \
neither trained on these patients nor were chosen by them.
- SIMULATED figures say nothing about real patients.
- Each caption has n, notebook, commit, date and hardware.
- [statistics.md](statistics.md) shows how intervals and thresholds behave on up to 300 simulated \
patients.
"""


def pages(folder: Path) -> dict[Path, str]:
    """{path: text} of every page with figures, relative to the project's folder.

    Raises:
        ValueError: a page lacks the marks of its block; the message names the page.
    """
    recorded = studies(folder / RECORD)
    blocks = {
        Path("README.md"): {"headline": headline(recorded, PAGE.as_posix())},
        Path("JETSON.md"): {
            "engines": engine_tables.of_records(recorded),
            "cpu": file_tables.as_it_is(folder / "figures" / "statistics" / "benchmark_cpu.csv"),
        },
        Path("docs/simulator.md"): {
            "simulator": file_tables.simulator(folder / "figures" / "simulator")
        },
        Path("docs/statistics.md"): file_tables.statistics(folder / "figures" / "statistics"),
        Path("docs/studies.md"): {
            "studies": file_tables.study_list(folder / "notebooks" / "studies")
        },
        Path("docs/model_cards.md"): {"networks": cards(recorded)},
        Path("docs/annotating.md"): {
            "latency": file_tables.as_it_is(folder / "figures" / "annotator" / "latency.csv")
        },
    }
    texts = {PAGE: page(recorded)}
    for path, bodies in blocks.items():
        text = (folder / path).read_text(encoding="utf-8")
        for name, body in bodies.items():
            try:
                text = markdown.fill(text, name, body)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        texts[path] = text
    return texts


def write() -> list[Path]:
    """Write every page with figures; returns their paths."""
    texts = pages(root())
    for path, text in texts.items():
        files.write(root() / path, text)
    return list(texts)


def page(recorded: list[RecordedStudy]) -> str:
    """docs/results.md: an overview, the paper's figures, and one chapter a study."""
    parts = [HEAD, "## Overview\n\n" + headline(recorded)]
    listed = markdown.table(
        ["quantity", "the paper"], ([name, _exact(value)] for name, value in PAPER.items())
    )
    parts.append(
        "## The paper\n\nAspart et al., Int J CARS 17, 5-13, 2022, on private videos. The paper "
        f"gives no intervals. A figure that is not in this list is a dash on this page.\n\n{listed}"
    )
    parts += [_chapter(study) for study in recorded]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _exact(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _chapter(study: RecordedStudy) -> str:
    kind = "nested" if study.nested else "with a held-out test set"
    frames = "SIMULATED videos" if study.simulated else "real frames"
    sentences = [
        f"On {frames}, {kind}.",
        finding(study),
        conclusion(study.runs, study.simulated),
        trainings(study),
        f"[Executed notebooks and all tables](../{RECORD.as_posix()}/{study.name}).",
    ]
    text = " ".join(sentence for sentence in sentences if sentence)
    return "\n\n".join([f"## {study.name}", text, *result_tables.of_study(study)])


def finding(study: RecordedStudy) -> str:
    """One sentence on the main ensemble, and one that compares it with the paper."""
    runs = study.of(TEST)
    row = ensemble(runs[0], "auroc") if runs else None
    if row is None:
        return "The test notebook is not in this record."
    shown = markdown.estimate(row["estimate"], row["low"], row["high"])
    text = f"On {study.judged(runs[0])} the AUROC of recipe `{recipe_of(runs[0])}` is {shown}."
    paper = PAPER["ensemble AUROC"]
    if not row["low"]:
        return text
    place = "in" if float(row["low"]) <= paper <= float(row["high"]) else "above"
    place = "below" if paper < float(row["low"]) else place
    return f"{text} The paper's {paper:.2f}, on its own videos, lies {place} this interval."


def trainings(study: RecordedStudy) -> str:
    """How many networks were trained, in what time and with which commits."""
    records = [run.record for run in study.of(TRAINING)]
    if not records:
        return "No training is in this record."
    minutes = sum(record["wall_s"] for record in records) / 60
    commits = ", ".join(sorted({f"`{record['commit']}`" for record in records}))
    hardware = ", ".join(sorted({record["hardware"] for record in records}))
    days = sorted({record["started"][:10] for record in records})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return (
        f"{len(records)} trainings took {minutes:.0f} minutes together "
        f"(commit {commits}, {when}, {hardware})."
    )
