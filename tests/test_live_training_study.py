"""A network's own frozen alarm, and what it was trained on, from the files of its study."""

import json

import numpy as np
import pytest

from clipassistnet import deploy, model
from clipassistnet.__main__ import main
from clipassistnet.commands import live_options
from clipassistnet.evaluation import alarm_choice, events
from clipassistnet.live import stored_facts
from clipassistnet.live.training_study import (
    GIVEN,
    arming_facts_to_store,
    arming_level,
    frozen_alarm,
    training_data,
)
from tiny_ensembles import blobs, member


def run(study, notebook: str, key: str, **parameters):
    """A run's folder with its run.json."""
    folder = study / notebook / key
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"parameters": parameters}))
    return folder


@pytest.fixture
def study(tmp_path):
    """A study of simulated videos, nested: two held-out subsets."""
    folder = tmp_path / "demo"
    for held_out in ("0", "1"):
        key = f"loss=bce,recipe=paper,held_out={held_out},fold=2"
        run(folder, "05_train_fold", key, recipe="paper", held_out=held_out)
    run(folder, "09_jetson_deploy", "once", recipe="paper")
    test = run(folder, "08_ensemble_test", "once", recipe="paper")
    (test / "frozen_thresholds.csv").write_text("held_out,threshold\n0,0.129\n1,0.25\n")
    (folder / "data").mkdir()
    (folder / "data" / "videos.csv").write_text("video,source\nv1,simulated\nv2,simulated\n")
    return folder


def network(study, held_out: str) -> str:
    key = f"loss=bce,recipe=paper,held_out={held_out},fold=2"
    return str(study / "05_train_fold" / key / "model.safetensors")


def engine(study) -> str:
    return str(study / "09_jetson_deploy" / "once" / "engine" / "engine.json")


def test_the_threshold_is_that_of_the_held_out_subset(study):
    assert frozen_alarm([network(study, "0")]).settings == {"threshold": 0.129}
    assert frozen_alarm([network(study, "1")]).settings == {"threshold": 0.25}
    assert frozen_alarm([engine(study)]).settings == {"threshold": 0.129}


def test_an_alarm_that_the_study_chose_goes_first(study):
    path = study / "08_ensemble_test" / "once" / "alarm.json"
    alarm_choice.write_setting(events.Setting(0.4, 0.05, 0.8), path)
    found = frozen_alarm([network(study, "0")])
    assert found.settings == {"threshold": 0.4, "hysteresis": 0.05, "minimum_duration": 0.8}
    assert found.path == str(path)
    assert found.origin == "frozen by study demo"


def test_the_alarm_of_a_nested_study_was_chosen_on_judged_patients(study):
    test = study / "08_ensemble_test" / "once"
    alarm_choice.write_setting(events.Setting(0.4, 0.05, 0.8), test / "alarm.json")
    record = json.loads((test / "run.json").read_text())
    record["parameters"]["inner_folds"] = 2
    (test / "run.json").write_text(json.dumps(record))
    found = frozen_alarm([network(study, "0")])
    assert found.origin == "chosen by study demo on the patients it judged"


def test_no_alarm_is_taken_of_another_recipe_or_for_networks_of_several_subsets(study):
    run(study, "05_train_fold", "loss=bce,recipe=located", recipe="located", held_out="0")
    other = study / "05_train_fold" / "loss=bce,recipe=located" / "model.safetensors"
    assert frozen_alarm([str(other)]) is None
    assert frozen_alarm([network(study, "0"), network(study, "1")]) is None
    assert frozen_alarm([str(study / "elsewhere" / "model.safetensors")]) is None


def test_a_broken_file_is_named(study):
    (study / "08_ensemble_test" / "once" / "frozen_thresholds.csv").write_text("held_out\n0\n")
    with pytest.raises(ValueError, match=r"frozen_thresholds\.csv: no threshold"):
        frozen_alarm([network(study, "0")])


def test_the_level_for_arming_is_that_of_the_judged_recipe(study):
    assert arming_level(network(study, "0")) is None  # notebook 08 wrote none
    table = study / "08_ensemble_test" / "once" / "arming_levels.csv"
    table.write_text("held_out,level\n0,0.21\n1,0.3\n")
    assert arming_level(network(study, "1")) == (0.3, "frozen by study demo")
    run(study, "05_train_fold", "loss=presence", recipe="paper", held_out="0", loss="presence")
    arms = str(study / "05_train_fold" / "loss=presence" / "model.safetensors")
    record = study / "08_ensemble_test" / "once" / "run.json"
    record.write_text(json.dumps({"parameters": {"recipe": "features", "arming": True}}))
    assert arming_level(arms) == (0.21, "frozen by study demo")
    facts = {"training_data": "Trained on SIMULATED videos (study demo)", "arming_level": 0.21}
    assert arming_facts_to_store([arms]) == facts, "an engine of it arms at the same level"
    assert arming_level(network(study, "0")) is None, "a network arms in this study"
    record.write_text(json.dumps({"parameters": {"recipe": "features", "arming": False}}))
    assert arming_level(arms) is None, "locators arm in this study"
    assert arming_level(str(study / "elsewhere" / "model.safetensors")) is None


@pytest.mark.parametrize(
    "content", ["held_out,level\n0,1.5\n", "held_out\n0\n", "held_out,level\n"]
)
def test_a_broken_level_is_named(study, content):
    (study / "08_ensemble_test" / "once" / "arming_levels.csv").write_text(content)
    with pytest.raises(ValueError, match=r"arming_levels\.csv: .*level"):
        arming_level(network(study, "0"))


def test_what_it_was_trained_on(study, tmp_path):
    simulated = "Trained on SIMULATED videos (study demo)"
    assert training_data([network(study, "0"), network(study, "1")]) == simulated
    assert training_data([engine(study)]) == simulated
    videos = study / "data" / "videos.csv"
    videos.write_text("video,source\nv1,simulated\nv2,m2cai16-tool-locations\n")
    mixed = "Trained on m2cai16-tool-locations, SIMULATED (study demo)"
    assert training_data([engine(study)]) == mixed
    videos.unlink()
    assert training_data([engine(study)]) == "Trained in study demo, on unknown videos"
    assert training_data(["model.safetensors"]) == "Training data unknown"


def test_the_users_own_data_are_found(study, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "videos.csv").write_text("video,source\nv1,our hospital\n")
    (study / "study.json").write_text(json.dumps({"data": str(tmp_path / "own")}))
    assert training_data([engine(study)]) == "Trained on our hospital (study demo)"


# What the network's own file says


def checkpoint(path, **metadata) -> str:
    """A network that is known to have these facts."""
    model.save(member(), path, **metadata)
    return str(path)


def test_a_checkpoint_alone_says_what_is_known(study, tmp_path):
    facts = {"training_data": "Trained on m2cai16 (study m2cai)", "alarm_from": "frozen by m2cai"}
    alarm = {"threshold": 0.3, "hysteresis": 0.05, "minimum_duration": 0.4}
    paths = [checkpoint(tmp_path / f"{name}.safetensors", alarm=alarm, **facts) for name in "ab"]
    assert training_data(paths) == "Trained on m2cai16 (study m2cai)"
    assert frozen_alarm(paths) == (alarm, "frozen by m2cai", paths[0])
    options = live_options.parse(["--model", *paths, "--source", "0"])
    said = live_options.complete_alarm(options, paths)
    assert said == f"alarm from 0.3: frozen by m2cai, {paths[0]}"
    assert (options.hysteresis, options.minimum_duration) == (0.05, 0.4)
    paths[1] = checkpoint(tmp_path / "b.safetensors", alarm={"threshold": 0.4}, **facts)
    assert frozen_alarm(paths) is None
    broken = checkpoint(tmp_path / "c.safetensors", alarm={"threshold": 2})
    with pytest.raises(ValueError, match=r"c\.safetensors: alarm .*expected above 0, at most 1"):
        frozen_alarm([broken])


def test_an_engine_keeps_what_its_study_knows(study, tmp_path, capsys):
    """Copied away from the study, it has the same alarm and label as before."""
    members = [checkpoint(network(study, "0"))]
    assert stored_facts.read(members[0]) == {}
    convert(members, tmp_path, "0.5")
    sidecar = str(tmp_path / "engine" / "engine.json")
    assert training_data([sidecar]) == "Trained on SIMULATED videos (study demo)"
    assert frozen_alarm([sidecar]) == ({"threshold": 0.129}, "frozen by study demo", sidecar)
    assert str(tmp_path) not in (tmp_path / "engine" / "engine.json").read_text()
    deploy.open_engine(tmp_path / "engine")


def test_an_engine_without_a_study_keeps_the_threshold_it_was_proven_at(tmp_path):
    convert([checkpoint(tmp_path / "model.safetensors")], tmp_path, "0.4")
    sidecar = str(tmp_path / "engine" / "engine.json")
    assert frozen_alarm([sidecar]) == ({"threshold": 0.4}, GIVEN, sidecar)
    assert training_data([sidecar]) == "Training data unknown"


def convert(members: list[str], folder, threshold: str) -> None:
    np.save(folder / "frames.npy", blobs())
    command = ["deploy", "convert", "--backend", "openvino", "--out", str(folder / "engine")]
    command += ["--frames", str(folder / "frames.npy"), "--threshold", threshold]
    assert main([*command, "--model", *members]) == 0
