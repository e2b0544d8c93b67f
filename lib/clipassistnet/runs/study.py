"""A study: its file and the notebooks' declared parameters, read once, and what follows from them.

The Snakefile and every command ask this object: which parameters a run has, which networks are
trained, which frames are decoded, and which runs of other studies are needed first.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from clipassistnet.data import cross_validation
from clipassistnet.data.cross_validation import PAPER, TEST, Training
from clipassistnet.runs import notebooks, study_file
from clipassistnet.runs.folders import NO_FILE, RunError, name_key, root, runs_folder, suggest

TRAIN, COMPARE, ENSEMBLE, DEPLOY = (
    "05_train_fold",
    "06_loss_comparison",
    "08_ensemble_test",
    "09_jetson_deploy",
)


@dataclass(frozen=True)
class Study:
    """A study, made by `read`.

    `simulation` holds the simulator's settings; a study on the user's own videos has none.
    `recipes` maps each recipe to the parameters that differ from the study's; `declared` maps each
    notebook to its parameters with their defaults.
    """

    name: str
    simulation: dict[str, Any] | None
    threads: int
    parameters: dict[str, Any]
    recipes: dict[str, dict[str, Any]]
    declared: dict[str, dict[str, Any]]

    def resolve(self, notebook: str, given: dict[str, Any]) -> dict[str, Any]:
        """Every parameter of a run, in the notebook's order.

        From weak to strong: the notebook's defaults, the study's parameters, those of the run's
        recipe, and those given. The parameter `recipes` is the list of the study's recipes.

        Raises:
            RunError: every unknown name or recipe, and every value of the wrong type.
        """
        if notebook not in self.declared:  # one without parameters: the reason is raised
            notebooks.declared(notebooks.notebook_path(notebook))
        defaults = self.declared[notebook]
        given = {"study": self.name, **given}
        problems = [
            problem
            for name, value in given.items()
            if (problem := study_file.parameter_problem(notebook, defaults, name, value))
        ]
        study_wide = {**self.parameters, "recipes": list(self.recipes)}
        # A notebook without this parameter is about the study as such.
        recipe = given.get("recipe", self.main if "recipe" in defaults else PAPER)
        if recipe not in self.recipes:
            known = f"study {self.name} has {', '.join(self.recipes)}"
            problems.append(f"recipe {recipe!r}{suggest(recipe, self.recipes)}; {known}")
        if problems:
            raise RunError("\n".join(problems))
        common = {**study_wide, **self.recipes[recipe]}
        return {**defaults, **{k: v for k, v in common.items() if k in defaults}, **given}

    @property
    def main(self) -> str:
        """The recipe that runs with every loss, and whose ensemble is tested and deployed."""
        return self.parameters.get("recipe", PAPER)

    def needs_finder(self, loss: str, recipe: str) -> bool:
        """Whether trainings take their learning rate from the finder (notebook 04).

        A head on features takes no rate, and a study may fix the rates itself.
        """
        used = self._of_recipes[recipe]
        fixed = cross_validation.rate_of(loss) in used["learning_rates"]
        return not used["feature_blocks"] and not fixed

    def check(self) -> None:
        """Find whatever is wrong with the study as a whole, before anything runs.

        Raises:
            RunError: impossible folds, a leak in a nested study, an arming network that would see
                crops, or weights that are no file and that no study makes.
        """
        _ = self.trainings, self.student, self.arming, self.needs

    @cached_property
    def trainings(self) -> list[Training]:
        """Every training that notebook 06 compares."""
        listed = self._listed
        self._refuse_leaks(listed)
        return listed

    @cached_property
    def student(self) -> Training | None:
        """The network that is distilled from the first ensemble, where the study wants one."""
        wanted = self.resolve(DEPLOY, {})
        if not wanted["student"]:
            return None
        return cross_validation.student(self.main, wanted["folds_count"], wanted["inner_folds"])

    @cached_property
    def arming(self) -> Training | None:
        """The network that sees whether a clip applier is there, where the study wants one."""
        wanted = self.resolve(ENSEMBLE, {})
        if not wanted["arming"]:
            return None
        if self.resolve(TRAIN, {"recipe": PAPER})["cropped_from"]:
            raise RunError(
                f"{self.name}.yaml: arming: the network sees whole frames, because before there is "
                "a clip applier there is nothing to crop; give cropped_from to a recipe, not to "
                "the study"
            )
        return cross_validation.arming(wanted["folds_count"], wanted["inner_folds"])

    @cached_property
    def sizes(self) -> list[int]:
        """Edges of the decoded frames, in pixels."""
        edges = set()
        for recipe, used in self._of_recipes.items():
            edges |= {used["cropped_from"] or used["image_size"]}
            losses = {training.loss for training in self._listed if training.recipe == recipe}
            if any(self.needs_finder(loss, recipe) for loss in losses):  # it sees whole frames
                edges |= {used["image_size"]}
        return sorted(edges)

    @cached_property
    def needs(self) -> list[tuple[str, str, str]]:
        """Runs of other studies whose networks this study starts from: (study, notebook, key)."""
        used = {
            (name, parameters[name])
            for parameters in self._of_recipes.values()
            for name in ("weights", "head_weights")
        }
        return sorted({need for each in sorted(used) if (need := self._need(*each))})

    @cached_property
    def _of_recipes(self) -> dict[str, dict[str, Any]]:
        """{recipe: parameters of its trainings}."""
        return {recipe: self.resolve(TRAIN, {"recipe": recipe}) for recipe in self.recipes}

    @cached_property
    def _listed(self) -> list[Training]:
        shared = self.resolve(COMPARE, {})
        folds = shared["folds_count"], shared["inner_folds"]
        try:
            return cross_validation.trainings(
                shared["losses"], list(self.recipes), *folds, self.main
            )
        except ValueError as error:
            raise RunError(f"{self.name}.yaml: {error}") from error

    def _refuse_leaks(self, listed: list[Training]) -> None:
        """In a nested study nothing may come from patients who are judged, not even in part."""
        problems = set()
        for loss, recipe, held_out, _ in listed:
            used = self._of_recipes[recipe]
            if held_out == TEST:
                continue
            if self.needs_finder(loss, recipe):
                problems.add(
                    f"recipe {recipe}: no learning_rates for {loss}: the finder would choose one "
                    "rate for all folds, on patients that some of them judge"
                )
            if loss == "forward_corrected" and used["transition_from"] == "test":
                problems.add(
                    f"recipe {recipe}: transition_from test: the label noise would be that of the "
                    "patients who are judged; expected training"
                )
        if problems:
            raise RunError("\n".join(f"{self.name}.yaml: {each}" for each in sorted(problems)))

    def _need(self, name: str, weights: str) -> tuple[str, str, str] | None:
        """The run of another study that makes the weights of this parameter; None for others."""
        if weights in NO_FILE:
            return None
        place = PurePosixPath(runs_folder().relative_to(root()).as_posix())
        path = PurePosixPath(weights)
        what = f"{self.name}.yaml: {name} {weights!r}"
        if not path.is_relative_to(place):
            if not (root() / weights).is_file():
                expected = f"expected a file, or one of {', '.join(NO_FILE)}"
                raise RunError(f"{what}: no such file in {root()}; {expected}")
            return None
        parts = path.relative_to(place).parts
        if len(parts) != 4 or parts[0] == self.name or parts[1] != TRAIN:
            expected = f"{place}/<another study>/{TRAIN}/<run>/model.safetensors"
            raise RunError(f"{what}: expected {expected}")
        other, notebook, key, _ = parts
        known = [name_key(training._asdict()) for training in read(other)._listed]
        if key not in known:
            raise RunError(
                f"{what}: study {other!r} has no training {key}; "
                f"it has {known[0]} and {len(known) - 1} more"
            )
        return other, notebook, key


def read(name: str) -> Study:
    """Read a study's file and every notebook's parameters cell.

    Raises:
        RunError: no such study, or everything that is wrong in its file, with its line.
    """
    declared = {
        path.stem: notebooks.declared(path)
        for path in notebooks.notebook_paths()
        if notebooks.has_parameters(path)
    }
    sections = study_file.read(name, declared)
    recipes = study_file.mapping(sections, "recipes")
    return Study(
        name,
        simulation=sections.get("simulate"),
        threads=sections.get("threads", 1),
        parameters=study_file.mapping(sections, "parameters"),
        recipes={PAPER: {}} | {recipe: values or {} for recipe, values in recipes.items()},
        declared=declared,
    )
