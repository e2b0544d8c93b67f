"""The alarm's three numbers on the command line, and the file that notebook 08 writes."""

import json
from pathlib import Path

import pytest

from clipassistnet import alarm
from clipassistnet.commands import live_options as options
from clipassistnet.evaluation import alarm_choice, events
from clipassistnet.live import networks, shipped, stored_facts

GIVEN = ["--model", "m", "--source", "0"]


def alarm_of(arguments: list[str]) -> tuple:
    given = options.parse([*GIVEN, *arguments])
    options.complete_alarm(given, ["model.safetensors"])
    return given.threshold, given.hysteresis, given.minimum_duration


def test_the_alarm_is_that_of_the_file_the_notebook_wrote(tmp_path):
    path = tmp_path / "alarm.json"
    alarm_choice.write_setting(events.Setting(0.4, 0.05, 0.8), path, chosen_on="out-of-fold scores")
    assert alarm_of(["--alarm", str(path)]) == (0.4, 0.05, 0.8)
    assert json.loads(path.read_text())["about"] == {"chosen_on": "out-of-fold scores"}


def test_without_a_file_each_number_has_its_option_and_default():
    assert alarm_of([]) == (alarm.THRESHOLD, alarm.HYSTERESIS, alarm.MINIMUM_DURATION)
    assert alarm_of(["--threshold", "0.3", "--hysteresis", "0"])[:2] == (0.3, 0)


def test_the_default_hysteresis_leaves_room_below_a_low_threshold():
    """A frozen threshold of 0.03 was seen: no score would have ended its alarm, so live refused."""
    assert alarm_of(["--threshold", "0.08"]) == (0.08, 0.04, alarm.MINIMUM_DURATION)
    alarm.Alarm(*alarm_of(["--threshold", "0.03"]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"threshold": 0.5}', "'hysteresis': expected the numbers threshold"),
        ('{"threshold": 2, "hysteresis": 0, "minimum_duration": 0}', "threshold 2: expected"),
        ('{"threshold": NaN, "hysteresis": 0, "minimum_duration": 0}', "threshold nan: expected"),
        ('{"threshold": "0.5", "hysteresis": 0, "minimum_duration": 0}', "expected the numbers"),
        ("0.5", "expected the numbers"),
        ("no json", "expected the numbers"),
    ],
)
def test_a_file_that_is_not_an_alarms_is_refused(tmp_path, capsys, text, message):
    path = tmp_path / "alarm.json"
    path.write_text(text)
    with pytest.raises(SystemExit):
        alarm_of(["--alarm", str(path)])
    assert message in capsys.readouterr().err


def test_a_number_is_given_once(tmp_path, capsys):
    path = tmp_path / "alarm.json"
    alarm_choice.write_setting(events.Setting(0.4), path)
    with pytest.raises(SystemExit):
        alarm_of(["--alarm", str(path), "--threshold", "0.5"])
    assert "gives threshold as well" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        alarm_of(["--alarm", str(tmp_path / "none.json")])
    assert "No such file" in capsys.readouterr().err


def test_without_a_model_live_runs_the_network_that_comes_with_the_project():
    given = options.parse(["--source", "0"])
    (path,) = networks.checkpoints(given.model)
    assert path == shipped.checkpoint(shipped.DEFAULT)
    with pytest.raises(FileNotFoundError, match="a network that comes with the project"):
        networks.checkpoints(["nothing"])


@pytest.mark.parametrize("name", shipped.names())
def test_a_network_that_comes_with_the_project_says_what_it_is(name):
    facts = stored_facts.read(shipped.checkpoint(name))
    assert facts["training_data"].startswith("Trained on ")
    assert 0 < facts["alarm"]["threshold"] < 1
    card = Path(shipped.checkpoint(name)).with_name(shipped.CARD).read_text()
    assert facts["training_data"] in card
    assert "Not a medical device" in card
