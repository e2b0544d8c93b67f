"""Train the network that comes with the project from a finished study, on all of its patients.

  python tools/ship_head.py m2cai --licence "CC BY-NC-SA 4.0"

The study (its main recipe is on features of crops) says how well such networks do on patients that
they have not seen, and gives the alarm. The network itself is then
trained on every training patient, so nothing is left to judge it by. It is written to
lib/clipassistnet/model/heads/<study>/: the head, its locator, and a card with the study's figures.
"""

import argparse
import json
from pathlib import Path

import pandas as pd

from clipassistnet import files, model, training
from clipassistnet.data import dataset, folds, frame_cache, tool_boxes
from clipassistnet.live import shipped
from clipassistnet.live.stored_facts import ALARM, ALARM_FROM, ARMING_LEVEL, TRAINING_DATA
from clipassistnet.model import backbones, crops, cross_fitting, locator
from clipassistnet.training import feature_store, heads

RUNS = Path("papermill_runs")
CARD = """# Network `{name}`

**{about}.** For research. Not a medical device.

A linear head on features of the frozen backbone {backbone} ({blocks}, {grid} x {grid}
cells), of a crop that a locator finds. It scores p(tip invisible). It was not trained on frames
without a clip applier and calls some of them visible, so arm the feedback only while clipping.

| | |
|---|---|
| Trained on | {frames} frames of {patients} patients, {labels} labels |
| The head started from | {start} |
| Licence of the head | {licence} |
| Backbone | {backbone}: {backbone_licence}. {note} |
| AUROC of the study's ensembles on patients they had not seen | {auroc} |
| Specificity at 95 % sensitivity, there | {specificity} |
| Alarm | {alarm}, chosen on scores of networks that had not seen the patient |
| Arms (`--arm-model {name}`) | above {level:.2f}, as 95 % of the frames with a clip applier |
| AUROC of the locators: is a clip applier there? | {arming} |
| Study | `{study}`, run of notebook 08 of {date}, commit `{commit}` |

The figures are those of the study's networks, each trained on a part of the patients. This network
was trained on all of them, so no patient is left to judge it by.

{fails}

Make it again, after the study: `python tools/ship_head.py {study} --licence "{licence}"`
"""
FAILS = {
    True: "Trained on SIMULATED pictures: what it says of real ones is a guess.",
    False: "Where it fails: other hospitals, scopes and brands of clip applier than those of its "
    "few patients; frames in which the locator misses the applier; dark frames, where it warns "
    "too often. The labels were made by AI-assisted reading of enlarged frames, by no clinician, "
    "and no surgeon verified them.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("study")
    parser.add_argument("--licence", required=True, help="of the head: that of its training data")
    options = parser.parse_args()
    study = RUNS / options.study
    tested = _run_of(study / "08_ensemble_test")
    trained = _networks(study, _parameters(tested)["recipe"])
    first = model.load(trained[0])
    data = dataset.read(study / "data")
    labels = pd.read_csv(_run_of(study / "01_annotation_agreement") / "labels.csv", dtype=str)
    labels["frame"] = labels["frame"].astype(int)
    table = pd.read_csv(_run_of(study / "02_video_folds") / "folds.csv", dtype=str)
    table["frames"] = table["frames"].astype(int)
    train = folds.training_frames(table, labels)
    shown = folds.training_frames(table, labels, "all")
    given = _parameters(trained[0].parent)
    cross_fitted = given.get("cross_fitted_crops", False)
    cropped, network = _crops(study, first, data, shown, train, cross_fitted)
    settings = _settings(first, given.get("head_weights", "none"))
    classifier = heads.begin(settings, cropped)
    stores = feature_store.stores(study / "features", classifier, cropped)
    heads.fit_on_all(settings, classifier, train, stores)
    folder = Path(shipped.checkpoint(options.study)).parent
    simulated = (data.videos["source"] == "simulated").all()
    folder.mkdir(parents=True, exist_ok=True)
    facts = _facts(options, tested, train, simulated)
    model.save(classifier, folder / shipped.CHECKPOINT, penalty=heads.PENALTY, **facts)
    # Simulated patients have the same names in each study, so there these tell nobody apart.
    named = [] if simulated else shown["patient"].unique()
    locator.save(network, folder / locator.FILE, named)
    card = _card(options, classifier, tested, train, facts, simulated, _start(settings))
    files.write(folder / shipped.CARD, card)
    print(card)


def _run_of(notebook: Path) -> Path:
    """The only run of a notebook, or that of the study's main recipe."""
    found = sorted(path.parent for path in notebook.glob("*/run.json"))
    main = [path for path in found if "recipe=paper" not in path.name]
    if len(main) != 1:
        raise SystemExit(f"{notebook}: {len(main)} finished runs of the main recipe, expected 1")
    return main[0]


def _parameters(run: Path) -> dict:
    return json.loads((run / "run.json").read_text())["parameters"]


def _networks(study: Path, recipe: str) -> list[Path]:
    """The checkpoints of the recipe that were trained with BCE."""
    runs = sorted((study / "05_train_fold").glob(f"loss=bce,recipe={recipe},*/run.json"))
    return [path.parent / "model.safetensors" for path in runs]


def _crops(
    study: Path, first, data, shown, train, cross_fitted: bool
) -> tuple[crops.CroppedFrames, locator.Locator]:
    """Crops of the training frames, and the locator that was trained on all of them."""
    spec = first.spec
    cache = frame_cache.FrameCache(study / "frames" / str(spec["cropped"]))
    parts = shown, shown.iloc[:0], shown.iloc[:0]  # nobody is judged
    given = {"size": spec["image_size"], "margin": spec["crop_margin"]}
    made = cross_fitting.crop(
        cache,
        tool_boxes.of_clip_applier(data),
        parts,
        train,
        **given,
        cross_fitted=cross_fitted,
        seed=0,
        folder=study / "features",
    )
    return made.frames, made.locator


def _settings(first, head_weights: str) -> training.Settings:
    spec = first.spec
    return training.Settings(
        backbone=spec["backbone"],
        weights="pretrained",
        trainable_stages=0,
        image_size=spec["image_size"],
        loss="bce",
        learning_rate=1.0,
        batch_size=1,
        accumulate=1,
        epochs=0,
        seed=0,
        feature_blocks=tuple(spec["feature_blocks"]),
        feature_grid=spec["feature_grid"],
        head_weights=head_weights,
    )


def _facts(options, tested: Path, train: pd.DataFrame, simulated: bool) -> dict:
    """What live shows: the training data, and the alarm, chosen out of fold."""
    chosen = tested / "alarm.json"
    frozen = pd.read_csv(tested / "frozen_thresholds.csv")["threshold"].median()
    alarm = json.loads(chosen.read_text()) if chosen.exists() else {"threshold": float(frozen)}
    names = "threshold", "hysteresis", "minimum_duration"
    levels = pd.read_csv(tested / "arming_levels.csv")["level"]
    kind = "SIMULATED videos" if simulated else "REAL frames"
    patients = train["patient"].nunique()
    return {
        TRAINING_DATA: f"Trained on {kind} of {patients} patients ({options.study}, "
        f"{options.licence})",
        ALARM: {name: alarm[name] for name in names if name in alarm},
        ALARM_FROM: f"chosen out of fold by study {options.study}",
        ARMING_LEVEL: float(levels.median()),
    }


def _start(settings: training.Settings) -> str:
    """The head that this one started from, in words."""
    if settings.head_weights == "none":
        return "zero"
    trained = model.load(settings.head_weights)
    return f"`{Path(settings.head_weights).parent.name}`. {trained.metadata[TRAINING_DATA]}"


def _card(
    options, classifier, tested: Path, train, facts: dict, simulated: bool, start: str
) -> str:
    spec, run = classifier.spec, json.loads((tested / "run.json").read_text())
    table3 = pd.read_csv(tested / "table3.csv").query("model == 'ensemble'").set_index("metric")
    row = backbones.REGISTRY[spec["backbone"]]
    return CARD.format(
        name=options.study,
        about=facts[TRAINING_DATA],
        backbone=spec["backbone"],
        blocks=f"block{'s' * (len(spec['feature_blocks']) > 1)} "
        + " and ".join(map(str, spec["feature_blocks"])),
        grid=spec["feature_grid"],
        frames=len(train[["video", "frame"]].drop_duplicates()),
        patients=train["patient"].nunique(),
        labels=len(train),
        start=start,
        licence=options.licence,
        backbone_licence=row.licence,
        note=row.note[:1].upper() + row.note[1:],
        auroc=_interval(table3, "auroc"),
        specificity=_interval(table3, "specificity_at_95"),
        alarm=", ".join(f"{name} {value:.3g}" for name, value in facts[ALARM].items()),
        level=facts[ARMING_LEVEL],
        arming=_interval(pd.read_csv(tested / "arming.csv").set_index("measure"), "AUROC"),
        study=options.study,
        date=str(run["started"])[:10],
        commit=str(run["commit"])[:12],
        fails=FAILS[simulated],
    )


def _interval(table: pd.DataFrame, metric: str) -> str:
    row = table.loc[metric]
    return f"{row['estimate']:.2f} ({row['low']:.2f} to {row['high']:.2f}, over patients)"


if __name__ == "__main__":
    main()
