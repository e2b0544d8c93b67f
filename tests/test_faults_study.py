"""A study killed at every stage, and disks that are full (make test-all)."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from safetensors import SafetensorError

from clipassistnet import dataset, frames, model, training
from clipassistnet.runs import RunError
from clipassistnet.runs.execute import execute
from faults import Fault
from test_runs import GOOD, project, write_notebook  # noqa: F401 a fixture
from test_study import COMMAND, ROOT, processes_in, run_study
from tiny_training import bright_squares, tiny_settings

pytestmark = pytest.mark.slow
# Who is killed, in turn: the command itself, Snakemake, the run, its kernel.
VICTIMS = ["clipassistnet.runs study", "-m snakemake", "clipassistnet.runs --child", "runs.kernel"]
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("0*.ipynb"))


def new_project(folder: Path) -> Path:
    shutil.copy(ROOT / "Snakefile", folder)
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    return folder.resolve()


def has_begun(project: Path, stage: str) -> bool:  # noqa: F811
    place = project / "papermill_runs" / "smoke"
    if stage == "simulate":
        return bool([*place.glob("data*/**/*.mp4"), *place.glob(".data*/**/*.mp4")])
    if stage == "frames":
        return any((place / "frames").glob("*/*.npy*"))
    return any((place / stage).glob(".*.partial/notebook.ipynb"))


def has_ended(project: Path, stage: str) -> bool:  # noqa: F811
    place = project / "papermill_runs" / "smoke"
    marks = {"simulate": [place / ".data.done"], "frames": [place / ".frames.done"]}
    return any(mark.exists() for mark in marks.get(stage, (place / stage).glob("*/.done")))


def killed_in(project: Path, stage: str, victim: str) -> bool:  # noqa: F811
    """Start the study and kill -9 a process within a stage; False where the stage was over."""
    study = subprocess.Popen(
        COMMAND, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while not has_begun(project, stage):
        if study.poll() is not None or has_ended(project, stage):
            break
        time.sleep(0.02)
    time.sleep(0.3)
    found = [pid for pid, text in processes_in(project).items() if victim in text]
    for pid in found[-1:]:
        os.kill(pid, signal.SIGKILL)
    # Whoever was killed, its study ends by itself: a run that failed is reported, others go on.
    assert study.wait(timeout=1200) != 0 or not found
    end = time.monotonic() + 30
    while left := processes_in(project):
        assert time.monotonic() < end, f"still running after kill -9: {left}"
        time.sleep(0.1)
    return bool(found)


def results(project: Path) -> dict[str, bytes]:  # noqa: F811
    """Tables and predictions of the smoke study but those with measured times: 03, 09, history."""
    place = project / "papermill_runs" / "smoke"
    paths = [*place.glob("0[!39]_*/*/*.csv"), *place.glob("05_*/*/predictions.parquet")]
    return {str(p.relative_to(place)): p.read_bytes() for p in paths if p.name != "history.csv"}


def test_kill_9_at_every_stage(tmp_path_factory, seen):
    """And the same seed gives the same tables: of a study never killed, in another folder."""
    whole, cut = (new_project(tmp_path_factory.mktemp(name)) for name in ("whole", "cut"))
    assert run_study(whole).returncode == 0
    stages = ["simulate", "frames", *NOTEBOOKS]
    killed = [
        (stage, VICTIMS[i % 4])
        for i, stage in enumerate(stages)
        if killed_in(cut, stage, VICTIMS[1 if i < 2 else i % 4])
    ]
    assert len(killed) >= len(stages) - 2, killed
    last = run_study(cut)
    assert last.returncode == 0, last.stderr
    expected, made = results(whole), results(cut)
    assert expected.keys() == made.keys()
    differing = [name for name in expected if made[name] != expected[name]]
    assert not differing
    tried = len(killed)
    what = (
        f"kill -9 at every stage of a study ({', '.join(s[:2] for s in stages[2:])}, data, frames)"
    )
    said = "which run failed, where its notebook lies; nothing computes on"
    kept = (
        "finished runs, whole; the last whole epoch of a training. The same command goes on, to "
        "tables equal to the byte to an uninterrupted study's"
    )
    seen(Fault(what, tried, tried, said, kept))


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
    frames.build(data, tmp_path / "whole", 64)
    with pytest.raises(OSError, match=r"No space left.*MiB free.*v\d\d\.npy"):
        frames.build(data, cache, 64)
    kept = {path.stem for path in cache.glob("*.npy")}
    assert 0 < len(kept) < 8
    before = {name: (cache / f"{name}.npy").stat().st_mtime_ns for name in kept}
    enlarge(small_disk)
    frames.build(data, cache, 64)
    assert {n: (cache / f"{n}.npy").stat().st_mtime_ns for n in kept} == before
    assert frames.FrameCache(cache).digest() == frames.FrameCache(tmp_path / "whole").digest()
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
