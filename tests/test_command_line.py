"""clipassistnet: one command line, whose help is quick and whose errors say what was expected."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from clipassistnet.__main__ import COMMANDS, main

ROOT = Path(__file__).resolve().parents[1]


def modules_after(*arguments: str) -> set[str]:
    """Names of all modules that one command line imported."""
    program = (
        "import sys\nfrom clipassistnet.__main__ import main\n"
        "try: main(sys.argv[1:])\nexcept SystemExit: pass\n"
        "print('imported', *sys.modules)"
    )
    command = [sys.executable, "-c", program, *arguments]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split()[1:])


def test_help_lists_every_command_and_imports_none(capsys):
    assert main(["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == list(COMMANDS)
    imported = modules_after("--help")
    assert not [name for name in imported if name.startswith("clipassistnet.commands")]
    assert not {"numpy", "argparse"} & imported


def test_without_a_command_it_shows_its_help(capsys):
    assert main([]) == 2
    assert "usage: clipassistnet COMMAND" in capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_explains_itself_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as status:
        main([command, "--help"])
    assert status.value.code == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: clipassistnet {command} ")
    assert f"Example:\n  clipassistnet {command} " in text


def test_an_unknown_command_is_answered_with_a_suggestion(capsys):
    assert main(["studdy", "demo"]) == 2
    assert "no command 'studdy' (did you mean 'study'?)" in capsys.readouterr().err


def test_the_live_loop_starts_without_the_packages_of_the_study():
    assert not {"pandas", "sklearn", "matplotlib"} & modules_after("live", "--help")


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "--data", "a", "--study", "b"],
        ["frames", "dataset", "out"],
        ["frames", "dataset", "out", "--size", "32", "--study", "smoke"],
        ["frames"],
        ["simulate"],
        ["simulate", "out", "--study", "smoke"],
        ["simulate", "--study", "smoke", "--videos", "3"],
        ["run", "05_train_fold", "--study", "smoke", "--threds", "1"],
    ],
)
def test_wrong_usage_is_refused(arguments, capsys):
    with pytest.raises(SystemExit) as status:
        main(arguments)
    assert status.value.code == 2
    assert f"usage: clipassistnet {arguments[0]}" in capsys.readouterr().err


def test_an_error_is_one_line_and_no_traceback(tmp_path, capsys):
    assert main(["check", "--data", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("clipassistnet check: ")
    assert "videos.csv" in error


def test_check_counts_what_a_folder_holds(tiny_dataset, capsys):
    assert main(["check", "--data", str(tiny_dataset)]) == 0
    videos = pd.read_csv(tiny_dataset / "videos.csv")
    assert f"{len(videos)} videos of" in capsys.readouterr().out


def test_frames_of_any_dataset_folder_are_decoded(tiny_dataset, tmp_path):
    arguments = ["frames", str(tiny_dataset), str(tmp_path), "--size", "16", "--processes", "1"]
    assert main(arguments) == 0
    assert len(list(tmp_path.glob("*.npy"))) == 8


def test_a_study_on_real_videos_has_nothing_to_simulate(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main(["simulate", "--study", "paper"]) == 1
    assert "study 'paper' simulates no videos" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["README.md", "JETSON.md", "Makefile", "docs", "notebooks", "lib", "tools"]
)
def test_every_command_that_a_text_names_exists(name):
    paths = [ROOT / name] if (ROOT / name).is_file() else (ROOT / name).rglob("*.*")
    for path in paths:
        if path.suffix in (".md", ".py", ".ipynb", ".j2", ""):
            text = path.read_text(encoding="utf-8")
            for tool in re.findall(r"tools/\w+\.py", text):
                assert (ROOT / tool).is_file(), f"{path} names {tool}"
            for command in re.findall(r"(?:bin/|-m |`|\n    )clipassistnet (\w+) ", text):
                assert command in COMMANDS, f"{path} names clipassistnet {command}"
            assert not re.findall(r"python -m clipassistnet\.\S+", text), path


def test_make_lists_every_target():
    # `make test` runs this as well, and its own variables would make this make a part of it.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
    options = {"capture_output": True, "text": True, "check": True, "env": clean}
    listed = subprocess.run(["make"], cwd=ROOT, **options).stdout
    [phony] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(line.split()[1] for line in listed.splitlines()) == sorted(phony.split())
