"""Signals that end a study end all of it, whoever they were sent to."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from test_smoke_study import ROOT, processes_in

SCRIPT = """
import sys
from pathlib import Path
from clipassistnet.runs.interruption import run_group
sys.exit(run_group(sys.argv[2:], Path.cwd(), float(sys.argv[1])))
"""
STUBBORN = "import signal, time, sys\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
STUBBORN += "print('ready', flush=True)\ntime.sleep(100)"
ORDERLY = """
import time
try:
    print("ready", flush=True)
    time.sleep(100)
finally:
    print("in order", flush=True)
"""


def default_signals() -> None:
    """A shell's `&` and nohup have the tests ignore signals; the command does not inherit that."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def started(folder: Path, child: str, grace: float, **options) -> subprocess.Popen:
    options = {"preexec_fn": default_signals, **options}
    command = [sys.executable, "-c", SCRIPT, str(grace), sys.executable, "-c", child]
    process = subprocess.Popen(
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **options
    )
    assert process.stdout.readline() == "ready\n"
    return process


def require_nothing_left(folder: Path, seconds: float) -> None:
    end = time.monotonic() + seconds
    while left := processes_in(folder):
        assert time.monotonic() < end, f"still running: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_this_process_alone_ends_the_child_in_order(tmp_path, number):
    process = started(tmp_path.resolve(), ORDERLY, 30)
    process.send_signal(number)
    said = process.communicate(timeout=60)[0].splitlines()
    assert said[0] == f"{number.name}: ending the runs"
    assert said[-1] == "all runs have ended; the same command continues from here"
    assert "in order" in said
    assert process.returncode == 128 + number
    require_nothing_left(tmp_path.resolve(), 1)


def test_a_child_hears_signals_that_a_shell_has_this_process_ignore(tmp_path):
    def ignore() -> None:  # as `command &` in a script does
        default_signals()
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    process = started(tmp_path.resolve(), ORDERLY, 30, preexec_fn=ignore)
    process.send_signal(signal.SIGTERM)
    assert "in order" in process.communicate(timeout=60)[0].splitlines()
    require_nothing_left(tmp_path.resolve(), 1)


def test_what_does_not_end_is_killed(tmp_path):
    process = started(tmp_path.resolve(), STUBBORN, 0.5)
    process.send_signal(signal.SIGTERM)
    assert "all runs have ended" in process.communicate(timeout=60)[0]
    require_nothing_left(tmp_path.resolve(), 1)


def test_a_second_signal_does_not_wait(tmp_path):
    process = started(tmp_path.resolve(), STUBBORN, 1000)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "SIGINT: ending the runs\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert "all runs have ended" in process.communicate(timeout=60)[0]
    require_nothing_left(tmp_path.resolve(), 1)


def test_an_ignored_signal_stays_ignored(tmp_path):
    def ignore() -> None:  # as nohup does
        default_signals()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = started(tmp_path.resolve(), ORDERLY, 30, preexec_fn=ignore)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGTERM


def test_a_study_that_is_interrupted_alone_ends_and_continues(tmp_path, tiny_dataset):
    """The command gets SIGINT alone, as a supervisor sends it, while a kernel is at work."""
    project = tmp_path.resolve() / "project"
    project.mkdir()
    shutil.copy(ROOT / "Snakefile", project)
    shutil.copytree(ROOT / "notebooks", project / "notebooks")
    heads = "lib/clipassistnet/model/heads"  # the study starts from one of them
    shutil.copytree(ROOT / heads, project / heads)
    stamp = project / "papermill_runs/paper/01_annotation_agreement/once/.done"
    command = [sys.executable, "-m", "clipassistnet", "study", "paper", "--cores", "1"]
    command += ["--data", str(tiny_dataset), str(stamp)]
    with open(tmp_path / "said", "w+") as said:
        options = {"stdout": said, "stderr": said, "preexec_fn": default_signals}
        study = subprocess.Popen(command, cwd=project, **options)
        end = time.monotonic() + 300
        while not any("runs.kernel" in text for text in processes_in(project).values()):
            assert study.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        os.kill(study.pid, signal.SIGINT)
        assert study.wait(timeout=60) == 130
    require_nothing_left(project, 2)
    text = (tmp_path / "said").read_text()
    assert "all runs have ended; the same command continues from here" in text
    assert not stamp.exists()
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    assert stamp.exists()
