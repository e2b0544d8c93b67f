"""What a study's file makes of it: recipes, trainings, needs of other studies, its data."""

import shutil
from pathlib import Path

import pytest
import yaml

from clipassistnet.model import weights
from clipassistnet.runs import RunError, data_folder, folders, provenance
from clipassistnet.runs import study as studies
from clipassistnet.runs.study_data import keep_data

ROOT = Path(__file__).resolve().parents[1]
RATES = {"bce": 1e-3, "forward_corrected": 1e-3}
NESTED = {
    "folds_count": 4,
    "inner_folds": 2,
    "learning_rates": RATES,
    "transition_from": "training",
}
TRAIN = "05_train_fold"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The project's notebooks, and a study `own` to be written by `study`."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_study(project: Path, name: str = "own", **sections) -> str:
    (project / "notebooks" / "studies" / f"{name}.yaml").write_text(yaml.safe_dump(sections))
    return name


def resolved(name: str, **given):
    return studies.read(name).resolve(TRAIN, given)


def test_a_recipe_changes_its_own_parameters_and_no_others(project):
    name = write_study(
        project,
        parameters={"epochs": 4, "image_size": 32},
        recipes={"long": {"epochs": 9}},
    )
    plain, long = resolved(name), resolved(name, recipe="long")
    assert (plain["epochs"], long["epochs"]) == (4, 9)
    # From weak to strong: study, recipe, by hand.
    assert long["image_size"] == plain["image_size"] == 32
    assert resolved(name, recipe="long", epochs=2)["epochs"] == 2
    changed = {key for key in plain if plain[key] != long[key]}
    assert changed == {"recipe", "epochs"}


def test_notebooks_that_compare_recipes_are_given_their_names(project):
    name = write_study(project, recipes={"long": {"epochs": 9}})
    path = "06_loss_comparison"
    assert studies.read(name).resolve(path, {})["recipes"] == ["paper", "long"]
    assert studies.read("smoke").resolve(path, {})["recipes"] == ["paper", "features"]
    assert studies.read("demo").resolve(path, {})["recipes"] == ["paper", "features"]


def test_an_unknown_recipe_is_named(project):
    name = write_study(project, recipes={"long": {}})
    with pytest.raises(RunError, match=r"recipe 'lang' \(did you mean 'long'\?\); study own has"):
        resolved(name, recipe="lang")


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        ({"recipes": {"Long one": {}}}, r"own.yaml:2: recipe 'Long one': expected small letters"),
        ({"recipes": {"paper": {"epochs": 3}}}, "recipe 'paper' has the study's own parameters"),
        ({"recipes": {"long": {"folds_count": 3}}}, "folds_count is the same for all recipes"),
        ({"recipes": {"long": {"epoch": 3}}}, r"own.yaml:3: .*'epoch' \(did you mean 'epochs'"),
        ({"recipes": {"long": {"epochs": "3"}}}, "epochs = '3' is str, expected int"),
        ({"recipes": ["long"]}, "recipes: expected a mapping"),
        ({"parameters": {"recipes": ["long"]}}, "recipes is a section of its own"),
    ],
)
def test_wrong_recipes_stop_before_anything_starts(project, sections, message):
    with pytest.raises(RunError, match=message):
        studies.read(write_study(project, **sections))


def test_a_nested_study_lists_every_training_once(project):
    name = write_study(
        project,
        parameters=NESTED,
        recipes={"long": {"epochs": 9, "image_size": 32, "cropped_from": 128}},
    )
    found = studies.read(name)
    assert len(found.trainings) == len(set(found.trainings)) == 4 * 2 * 3
    assert found.sizes == [64, 128]  # of whole frames, and of those that are cropped
    assert found.needs == []
    assert all(training.held_out != str(training.fold) for training in found.trainings)


def test_the_finder_runs_where_its_pick_is_used(project):
    recipes = {
        "located": {"image_size": 32, "cropped_from": 128},
        "features": {"feature_blocks": [1], "image_size": 56, "cropped_from": 128},
    }
    parameters = {"losses": ["bce", "class_weighted"], "learning_rates": {"bce": 1e-3}}
    found = studies.read(write_study(project, parameters=parameters, recipes=recipes))
    assert not found.needs_finder("bce", "paper")
    assert not found.needs_finder("distilled", "paper")  # a student uses the rate of BCE
    assert found.needs_finder("class_weighted", "paper")
    assert not found.needs_finder("class_weighted", "features")
    assert found.sizes == [64, 128]
    free = studies.read(write_study(project, recipes=recipes))
    assert free.needs_finder("bce", "located")
    assert free.sizes == [32, 64, 128]  # the finder sees whole frames


def test_a_network_for_arming_is_trained_where_the_study_wants_one(project):
    assert studies.read(write_study(project)).arming is None
    wanted = studies.read(write_study(project, parameters={**NESTED, "arming": True}))
    assert wanted.arming == ("presence", "paper", "0", 1)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"arming": True, "cropped_from": 128}, "own.yaml: arming: the network sees whole frames"),
        ({"inner_folds": 3}, "own.yaml: inner_folds 3 of 4 folds: expected 0"),
        ({"learning_rates": {"bce": 1e-3}}, "recipe paper: no learning_rates for forward_corr"),
        ({"transition_from": "test"}, "transition_from test: the label noise would be that of"),
    ],
)
def test_a_nested_study_takes_nothing_from_who_is_judged(project, changed, message):
    with pytest.raises(RunError, match=message):
        studies.read(write_study(project, parameters={**NESTED, **changed})).check()


@pytest.mark.parametrize("parameter", ["weights", "head_weights"])
def test_weights_of_another_study_are_a_need(project, parameter):
    key = "loss=bce,recipe=paper,held_out=test,fold=1"
    path = f"papermill_runs/smoke/{TRAIN}/{key}/model.safetensors"
    name = write_study(project, recipes={"simulated_first": {parameter: path}})
    assert studies.read(name).needs == [("smoke", TRAIN, key)]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (f"smoke/{TRAIN}/loss=bce,fold=1/model.safetensors", "'smoke' has no training loss=bce,f"),
        ("smoke/model.safetensors", "expected papermill_runs/<another study>/05_train_fold/<run>"),
        (f"nothing/{TRAIN}/x/model.safetensors", "no study 'nothing'"),
    ],
)
def test_a_need_that_no_study_meets_is_refused(project, path, message):
    recipes = {"simulated_first": {"weights": f"papermill_runs/{path}"}}
    with pytest.raises(RunError, match=message):
        studies.read(write_study(project, recipes=recipes)).check()


@pytest.mark.parametrize("parameter", ["weights", "head_weights"])
def test_weights_that_are_not_there_are_refused_before_anything_runs(project, parameter):
    study = studies.read(write_study(project, recipes={"a": {parameter: "heads/mine.safetensors"}}))
    with pytest.raises(RunError, match=f"own.yaml: {parameter} 'heads/mine.safetensors': no such"):
        study.check()
    (project / "heads").mkdir()
    (project / "heads" / "mine.safetensors").touch()
    study = studies.read("own")
    study.check()
    assert study.needs == []


def test_the_names_of_weights_that_are_no_file_are_those_of_the_models():
    assert folders.NO_FILE == weights.NO_FILE


@pytest.mark.parametrize("parameter", ["weights", "head_weights"])
def test_other_weights_make_a_training_out_of_date(project, parameter):
    for name in "ab":
        (project / name).write_text(name)
    assert (
        provenance.weights_digest({parameter: "a"})
        != provenance.weights_digest({parameter: "b"})
        != ""
    )
    assert provenance.weights_digest({"weights": "imagenet"}) == ""
    assert provenance.weights_digest({}) == ""


def test_a_public_set_as_unpacked_is_imported(project, shared, capsys):
    name = write_study(project)
    keep_data(studies.read(name), str(shared / "data" / "m2cai16-tool-locations"))
    folder = data_folder(name)
    assert folder == project / "papermill_runs" / "own" / "data"
    assert "316 frames of 7 videos" in capsys.readouterr().out
    before = (folder / "annotations.csv").read_bytes()
    keep_data(studies.read(name), str(shared / "data" / "m2cai16-tool-locations"))  # and again
    assert (folder / "annotations.csv").read_bytes() == before


def test_a_folder_of_something_else_is_refused(project):
    (project / "pictures").mkdir()
    with pytest.raises(RunError, match=r"(?s)DATA=pictures: expected.*clipassistnet import"):
        keep_data(studies.read(write_study(project)), "pictures")
    with pytest.raises(RunError, match="study 'smoke' simulates its data"):
        keep_data(studies.read("smoke"), "pictures")


def test_a_number_that_yaml_reads_as_text_is_explained(project):
    name = write_study(project)
    path = project / "notebooks" / "studies" / "own.yaml"
    path.write_text("parameters:\n  crop_margin: 1e-4\n")
    with pytest.raises(RunError, match=r"YAML reads 1e-4 as text: write 0\.0001, or 1\.0e-4"):
        studies.read(name)
