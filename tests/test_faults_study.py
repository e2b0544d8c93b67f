"""A study killed at every stage, and disks that are full (make test-all)."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat
import pandas as pd
import pytest
import yaml
from safetensors import SafetensorError

from clipassistnet import model, training
from clipassistnet.data import dataset, frame_cache, frame_extraction
from clipassistnet.runs import RunError
from clipassistnet.runs.execute import execute
from faults import Fault
from test_runs import GOOD, project, write_notebook  # noqa: F401 a fixture
from test_smoke_study import ROOT, processes_in
from tiny_training import bright_squares, tiny_settings

pytestmark = pytest.mark.slow
STUDY = "brief"
COMMAND = [sys.executable, "-m", "clipassistnet", "study", STUDY, "--cores", "2"]


class Stage(NamedTuple):
    """A stage of a study, who is killed in it, and what tells that it is at work.

    `run` is how the command line of its run goes on, `target` the stamp that it ends with.
    """

    run: str
    target: str
    victim: str  # command, snakemake, run or kernel
    begun: str


def notebook(name: str, victim: str, run: str = "once") -> Stage:
    given = "".join(f" -p {pair}" for pair in run.split(",") if run != "once")
    begun = f"{name}/.{run}.partial/notebook.ipynb"
    return Stage(f"run {name} .*{given}", f"{name}/{run}/.done", victim, begun)


OF_FOLD = "recipe=paper,held_out=test,fold=0"
STAGES = {
    "simulate": Stage("simulate ", ".data.done", "run", "data/videos/*.mp4"),
    "frames": Stage("frames ", ".frames.done", "run", "frames/*/*.npy"),
    "01": notebook("01_annotation_agreement", "kernel"),
    "02": notebook("02_video_folds", "run"),
    "03": notebook("03_augmentation", "command"),
    "04": notebook("04_learning_rate", "snakemake", "loss=bce,recipe=paper"),
    "05": notebook("05_train_fold", "kernel", f"loss=bce,{OF_FOLD}"),
    "05 of the student": notebook("05_train_fold", "command", f"loss=distilled,{OF_FOLD}"),
    "06": notebook("06_loss_comparison", "run"),
    "07": notebook("07_saliency", "kernel"),
    "08": notebook("08_ensemble_test", "snakemake"),
    "09": notebook("09_jetson_deploy", "kernel"),
}


def new_project(folder: Path) -> Path:
    """A copy of the project with a study of all nine notebooks, smaller still than `smoke`."""
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    studies = folder / "notebooks" / "studies"
    study = yaml.safe_load((studies / "smoke.yaml").read_text())
    study["parameters"] |= {"losses": ["bce"], "epochs": 2, "resamples": 50, "repeats": 2}
    (studies / f"{STUDY}.yaml").write_text(yaml.safe_dump(study))
    return folder.resolve()


def has_begun(place: Path, stage: Stage) -> bool:
    """Whether a stage has done something: half of a notebook's cells, or one file of many."""
    found = [path for path in place.glob(stage.begun) if not path.name.startswith(".")]
    if not (found and stage.begun.endswith(".ipynb")):
        return bool(found)
    try:
        cells = json.loads(found[0].read_text())["cells"]
    except ValueError:  # it is being written
        return False
    code = [cell["metadata"]["papermill"]["status"] for cell in cells if "outputs" in cell]
    return 2 * code.count("completed") >= len(code)


def found(project: Path, stage: Stage) -> int | None:  # noqa: F811
    """The process to be killed, if it is there."""
    commands = processes_in(project)
    run = next((p for p, c in commands.items() if re.search(f"--child {stage.run}", c)), None)
    wanted = {
        "command": lambda pid: "clipassistnet study" in commands[pid],
        "snakemake": lambda pid: "-m snakemake" in commands[pid],
        "run": lambda pid: pid == run,
        "kernel": lambda pid: "runs.kernel" in commands[pid] and parent(pid) == run,
    }[stage.victim]
    return next(filter(wanted, commands), None)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def killed_in(project: Path, stage: Stage) -> str:  # noqa: F811
    """Ask for a stage, kill -9 its victim at work, and see everything end; what was said."""
    place = project / "papermill_runs" / STUDY
    with open(project / "said", "w+") as said:
        command = [*COMMAND, str(place / stage.target)]
        study = subprocess.Popen(command, cwd=project, stdout=said, stderr=said)
        while not has_begun(place, stage):
            assert study.poll() is None, f"{stage}: over before it was seen to begin"
            time.sleep(0.02)
        os.kill(found(project, stage), signal.SIGKILL)
        assert study.wait(timeout=120) != 0
        end = time.monotonic() + 30
        while left := processes_in(project):
            assert time.monotonic() < end, f"{stage}: still running after kill -9: {left}"
            time.sleep(0.1)
        assert not (place / stage.target).exists()
        said.seek(0)
        return said.read()


def results(project: Path) -> dict[str, bytes]:  # noqa: F811
    """Data, tables and predictions, but those with measured times: 03, 09, history."""
    place = project / "papermill_runs" / STUDY
    paths = [*place.glob("0[!39]_*/*/*.csv"), *place.glob("05_*/*/predictions.parquet")]
    paths += place.glob("data/*.csv")
    return {str(p.relative_to(place)): p.read_bytes() for p in paths if p.name != "history.csv"}


def test_kill_9_at_every_stage(tmp_path_factory, seen):
    """And the same seed gives the same tables: of a study never killed, in another folder."""
    whole, cut = (new_project(tmp_path_factory.mktemp(name)) for name in ("whole", "cut"))
    subprocess.run(COMMAND, cwd=whole, check=True, stdout=subprocess.DEVNULL)
    for name, stage in STAGES.items():
        said = killed_in(cut, stage)
        if stage.victim in ("run", "kernel"):
            assert "FAILED" in said, name
        if stage.victim == "kernel":
            assert re.search(r"DeadKernelError.*\n.*\.partial/notebook\.ipynb", said), said
    subprocess.run(COMMAND, cwd=cut, check=True, stdout=subprocess.DEVNULL)
    expected, made = results(whole), results(cut)
    assert len(expected) > 30
    assert expected.keys() == made.keys()
    differing = [name for name in expected if made[name] != expected[name]]
    assert not differing
    what = f"kill -9 at every stage of a study (data, frames, notebooks {', '.join([*STAGES][2:])})"
    said = "the surviving process names the failed run and its notebook; nothing goes on computing"
    kept = (
        "finished runs, whole; the last whole epoch of a training. The same command resumes, and "
        "its tables are byte-identical to an uninterrupted study's"
    )
    seen(Fault(what, len(STAGES), len(STAGES), said, kept))


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of its own, of 1 MB; `enlarge` gives it more."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small disk can be mounted here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def enlarge(disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)


def fill(disk: Path, free: int) -> None:
    """Leave this many bytes on it."""
    space = os.statvfs(disk)
    (disk / "ballast").write_bytes(bytes(space.f_bavail * space.f_frsize - free))


def test_a_disk_that_fills_while_frames_are_cached(tiny_dataset, tmp_path, small_disk, seen):
    data, cache = dataset.read(tiny_dataset), small_disk / "cache"
    frame_extraction.extract(data, tmp_path / "whole", 64)
    with pytest.raises(OSError, match=r"No space left.*MiB free.*v\d\d\.npy"):
        frame_extraction.extract(data, cache, 64)
    kept = {path.stem for path in cache.glob("*.npy")}
    assert 0 < len(kept) < 8
    before = {name: (cache / f"{name}.npy").stat().st_mtime_ns for name in kept}
    enlarge(small_disk)
    frame_extraction.extract(data, cache, 64)
    assert {n: (cache / f"{n}.npy").stat().st_mtime_ns for n in kept} == before
    assert (
        frame_cache.FrameCache(cache).digest()
        == frame_cache.FrameCache(tmp_path / "whole").digest()
    )
    said = "the file, and how much is free and needed"
    seen(Fault("full disk while caching frames", 1, 1, said, "the videos that were done"))


def test_a_disk_that_fills_while_training(tmp_path, small_disk, seen):
    cache, table = bright_squares(36)
    arguments = table[:20], table[20:].reset_index(drop=True), cache, None
    whole = training.fit(tiny_settings(epochs=2), *arguments, tmp_path)
    with pytest.raises(SafetensorError, match="No space left"):  # its checkpoint has some 15 MB
        training.fit(tiny_settings(epochs=2), *arguments, small_disk)
    assert not (small_disk / "model.safetensors").exists()
    enlarge(small_disk)
    again = training.fit(tiny_settings(epochs=2), *arguments, small_disk)
    columns = ["train_loss", "validation_loss", "validation_auroc"]
    pd.testing.assert_frame_equal(again.history[columns], whole.history[columns])
    loaded = model.load(small_disk / "model.safetensors").state_dict()
    assert all((loaded[name] == value).all() for name, value in whole.model.state_dict().items())
    said = "that the checkpoint could not be written"
    kept = "the last whole epoch; no half-written checkpoint; the next training gives equal weights"
    seen(Fault("full disk while training", 1, 1, said, kept))


def test_a_disk_that_fills_while_a_notebook_is_written(project, small_disk, seen):  # noqa: F811
    """At each of several free spaces: before the notebook, within it, at its last outputs."""
    write_notebook(project / "notebooks" / "01_tiny.ipynb", GOOD[0], "print('x' * 60_000)", GOOD[1])
    shutil.copytree(project / "papermill_runs", small_disk / "papermill_runs")
    shutil.rmtree(project / "papermill_runs")
    (project / "papermill_runs").symlink_to(small_disk / "papermill_runs")
    spaces = [0, 4096, 8192, 16384, 32768]
    said = []
    for free in spaces:
        fill(small_disk, free)
        with pytest.raises((RunError, OSError)) as error:
            print(free, execute("tiny", "01_tiny", {}))
        said.append(str(error.value))
        assert not (project / "papermill_runs" / "tiny" / "01_tiny" / "once").exists()
        (small_disk / "ballast").unlink()
    assert all("disk is full" in text or "No space left" in text for text in said), said
    folder = execute("tiny", "01_tiny", {})
    nbformat.validate(nbformat.read(folder / "notebook.ipynb", 4))
    what = "full disk while a notebook is written, at five points"
    kept = "the former result; the failed run's folder apart from it"
    seen(Fault(what, len(spaces), len(spaces), "that the disk is full", kept))
