"""What is luck of training: networks that differ in their seed, or in their fold, alone.

  python tools/seeds.py demo

For each recipe of a finished study, the first network with BCE is trained again with other seeds.
All networks of the first ensemble judge the same frames, of patients whom none of them saw. The
table compares how far another seed moves the AUROC with how far another fold does. The new networks
lie in the study's folder, where an interrupted command finds them, and are removed at the end.
"""

import argparse
import shutil
from pathlib import Path

import pandas as pd

from clipassistnet import files
from clipassistnet.data import cross_validation
from clipassistnet.evaluation.discrimination import auroc
from clipassistnet.evaluation.targets import with_target
from clipassistnet.runs import execute
from clipassistnet.runs import study as studies
from clipassistnet.runs.folders import run_folder

OUT = Path("figures/statistics/seeds.csv")
NOTEBOOK = "05_train_fold"
SEED, FOLD = "seed", "fold"  # what varies


def row(recipe: str, varied: str, value: int, predictions: pd.DataFrame) -> dict:
    """A row of the table: the AUROC of one network on the judged frames with a clip applier."""
    judged = with_target(predictions[predictions["split"] == "test"], absent="leave out")
    found = auroc(judged["target"], judged["score"])
    name = {"recipe": recipe, "varied": varied, "value": value}
    return name | {"auroc": round(found, 4), "frames": len(judged)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study", help="finished")
    parser.add_argument("--seeds", type=int, default=3, help="the study's own among them")
    parser.add_argument("--out", type=Path, default=OUT, help=f"CSV file; default: {OUT}")
    options = parser.parse_args()
    study = studies.read(options.study)
    own = study.parameters.get("seed", 0)
    common = study.resolve(studies.COMPARE, {})
    folds = common["folds_count"], common["inner_folds"]
    held_out, _ = cross_validation.first(*folds)
    rows, made = [], []
    for recipe in study.recipes:
        members = cross_validation.members(recipe, held_out, *folds)
        given = [(FOLD, each.fold, each._asdict()) for each in members]
        first = members[0]._asdict()
        given += [(SEED, own, first)]
        given += [(SEED, own + k, first | {"seed": own + k}) for k in range(1, options.seeds)]
        for varied, value, key in given:
            if "seed" in key:
                made.append(execute.execute(study.name, NOTEBOOK, key, study.threads))
            folder = run_folder(study.name, NOTEBOOK, key)
            predictions = pd.read_parquet(folder / "predictions.parquet")
            rows.append(row(recipe, varied, value, predictions))
            print(f"{recipe}, {varied} {value}: AUROC {rows[-1]['auroc']:.3f}", flush=True)
    table = pd.DataFrame(rows).assign(study=study.name, simulated=study.simulation is not None)
    files.write(options.out, table.to_csv(index=False))
    for folder in made:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
