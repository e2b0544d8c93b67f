"""What a study consists of, read from its file once: its trainings, pixels and other needs."""

from dataclasses import dataclass
from functools import cache
from pathlib import PurePosixPath
from typing import Any

from clipassistnet import files
from clipassistnet.data.cross_validation import PAPER, TEST, Training, arming, student, trainings
from clipassistnet.runs.parameters import notebook_path, read_study, recipes_of, resolve
from clipassistnet.runs.run import RunError, name_key, root, runs_folder

TRAIN = "05_train_fold"


@dataclass(frozen=True)
class Plan:
    """Laid out from a study's file by `read_plan`; the Snakefile follows it.

    `students` (one or none) are distilled from the first ensemble, `arming` (one or none) tells
    whether a clip applier is in the picture. `sizes` are the edges of the decoded frames. `needs`
    are the runs of other studies whose networks this study starts from: (study, notebook, key).
    """

    recipes: list[str]
    trainings: list[Training]
    students: list[Training]
    arming: list[Training]
    sizes: list[int]
    needs: list[tuple[str, str, str]]


def read_plan(study: str) -> Plan:
    """The plan of a study.

    Raises:
        RunError: a wrong study file, impossible folds, or a need that no study meets.
    """
    recipes = list(recipes_of(read_study(study)))
    train = [resolve(study, notebook_path(TRAIN), {"recipe": recipe}) for recipe in recipes]
    listed = _trainings(study, recipes)
    _refuse_leaks(study, listed, dict(zip(recipes, train, strict=True)))
    needs = {need for settings in train if (need := _need(study, settings["weights"]))}
    edges = {settings[edge] for settings in train for edge in ("image_size", "cropped_from")}
    single = _students(study), _arming(study)
    return Plan(recipes, listed, *single, sorted(edges - {0}), sorted(needs))


def _refuse_leaks(study: str, listed: list[Training], settings: dict[str, dict]) -> None:
    """In a nested study nothing may come from patients who are judged, not even in part."""
    problems = set()
    for loss, recipe, held_out, _ in listed:
        if held_out == TEST:
            continue
        if loss not in settings[recipe]["learning_rates"]:
            problems.add(
                f"recipe {recipe}: no learning_rates for {loss}: the finder would choose one rate "
                "for all folds, on patients that some of them judge"
            )
        if loss == "forward_corrected" and settings[recipe]["transition_from"] == "test":
            problems.add(
                f"recipe {recipe}: transition_from test: the label noise would be that of the "
                "patients who are judged; expected training"
            )
    if problems:
        raise RunError("\n".join(f"{study}.yaml: {problem}" for problem in sorted(problems)))


def weights_mark(parameters: dict[str, Any]) -> str:
    """Digest of the weight file that a run starts from, where its parameters name one."""
    path = root() / parameters.get("weights", "none")
    return _digest(path) if path.is_file() else ""


_digest = cache(files.digest)


def _trainings(study: str, recipes: list[str]) -> list[Training]:
    shared = resolve(study, notebook_path("06_loss_comparison"), {})
    try:
        return trainings(shared["losses"], recipes, shared["folds_count"], shared["inner_folds"])
    except ValueError as error:
        raise RunError(f"{study}.yaml: {error}") from error


def _students(study: str) -> list[Training]:
    wishes = resolve(study, notebook_path("09_jetson_deploy"), {})
    return [student(PAPER, wishes["folds_count"], wishes["inner_folds"])] * wishes["student"]


def _arming(study: str) -> list[Training]:
    wishes = resolve(study, notebook_path("08_ensemble_test"), {})
    if wishes["arming"] and resolve(study, notebook_path(TRAIN), {})["cropped_from"]:
        raise RunError(
            f"{study}.yaml: arming: the network sees whole frames, for nobody knows where to crop "
            "before there is a clip applier; give cropped_from to a recipe, not to the study"
        )
    return [arming(PAPER, wishes["folds_count"], wishes["inner_folds"])] * wishes["arming"]


def _need(study: str, weights: str) -> tuple[str, str, str] | None:
    """The run of another study that makes these weights; None for others."""
    place = PurePosixPath(runs_folder().relative_to(root()).as_posix())
    path = PurePosixPath(weights)
    if not path.is_relative_to(place):
        return None
    parts = path.relative_to(place).parts
    if len(parts) != 4 or parts[0] == study or parts[1] != TRAIN:
        expected = f"{place}/<another study>/{TRAIN}/<run>/model.safetensors"
        raise RunError(f"{study}.yaml: weights {weights!r}: expected {expected}")
    other, notebook, key, _ = parts
    known = [name_key(t._asdict()) for t in _trainings(other, [*recipes_of(read_study(other))])]
    if key not in known:
        raise RunError(
            f"{study}.yaml: weights {weights!r}: study {other!r} has no training {key}; "
            f"it has {known[0]} and {len(known) - 1} more"
        )
    return other, notebook, key
