"""One run: its parameters, its fingerprint, what ends it, and what is left then."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import nbformat
import pytest

from clipassistnet import files, runs
from clipassistnet.runs import RunError, notebooks, study
from clipassistnet.runs.execute import execute, is_current


def write_notebook(path: Path, *cells: str, defaults: str = 'study = "tiny"\nsteps = 2') -> None:
    """A notebook whose second cell is its parameters cell."""
    notebook = nbformat.v4.new_notebook()
    sources = ["from clipassistnet import runs", defaults, *cells]
    notebook.cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook.cells[1].metadata["tags"] = ["parameters"]
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project: one study `tiny` with a data folder, and notebooks of the test's own."""
    (tmp_path / "notebooks" / "studies").mkdir(parents=True)
    (tmp_path / "notebooks" / "studies" / "tiny.yaml").write_text("description: for a test\n")
    data = tmp_path / "papermill_runs" / "tiny" / "data"
    data.mkdir(parents=True)
    (data / "videos.csv").write_text("video\nv1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


GOOD = 'run = runs.start("01_tiny", study)\nprint(run.data.name)', "run.finish(steps=steps)"


def test_a_run_writes_its_folder_whole(project):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    folder = execute("tiny", "01_tiny", {"steps": 3})
    assert folder == project / "papermill_runs" / "tiny" / "01_tiny" / "steps=3"
    assert sorted(p.name for p in folder.iterdir()) == ["notebook.ipynb", "run.json"]
    record = json.loads((folder / "run.json").read_text())
    assert record["parameters"] == {"study": "tiny", "steps": 3}
    assert record["metrics"] == {"steps": 3}
    assert set(record["inputs"]) == {"data/videos.csv"}
    assert record["versions"]["torch"]
    assert str(project) not in json.dumps(record)


def test_a_run_that_is_up_to_date_is_left_alone(project):
    source = project / "notebooks" / "01_tiny.ipynb"
    write_notebook(source, *GOOD)
    written = (execute("tiny", "01_tiny", {}) / "run.json").stat().st_mtime_ns

    write_notebook(source, "# only a comment\n" + GOOD[0], GOOD[1])
    assert (execute("tiny", "01_tiny", {}) / "run.json").stat().st_mtime_ns == written

    (project / "papermill_runs" / "tiny" / "data" / "videos.csv").write_text("video\nv2\n")
    assert (execute("tiny", "01_tiny", {}) / "run.json").stat().st_mtime_ns > written


def test_a_warning_in_a_notebook_names_no_path(project):
    (project / "odd.py").write_text("import warnings\nwarnings.warn('seven of nine')\n")
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD[:1], "import odd", GOOD[1])
    folder = execute("tiny", "01_tiny", {})
    cells = nbformat.read(folder / "notebook.ipynb", 4).cells
    [warned] = [out for cell in cells for out in cell.outputs if out.get("name") == "stderr"]
    assert warned.text == "UserWarning: seven of nine\n"


def test_a_failed_run_keeps_its_notebook_and_the_former_result(project):
    source = project / "notebooks" / "01_tiny.ipynb"
    write_notebook(source, *GOOD)
    folder = execute("tiny", "01_tiny", {})
    before = (folder / "run.json").read_text()
    write_notebook(source, *GOOD[:1], "1 / 0", *GOOD[1:])
    with pytest.raises(RunError, match=r"(?s)ZeroDivisionError.*\.once\.partial/notebook\.ipynb"):
        execute("tiny", "01_tiny", {})
    assert (folder / "run.json").read_text() == before
    failed = nbformat.read(folder.with_name(".once.partial") / "notebook.ipynb", 4)
    assert any(
        out.get("ename") == "ZeroDivisionError"
        for c in failed.cells
        for out in c.get("outputs", [])
    )


def test_a_dead_kernel_is_said_to_be_dead(project):
    suicide = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    write_notebook(project / "notebooks" / "01_tiny.ipynb", GOOD[0], suicide, GOOD[1])
    with pytest.raises(RunError, match="DeadKernelError"):
        execute("tiny", "01_tiny", {})
    place = project / "papermill_runs" / "tiny" / "01_tiny"
    notebook = nbformat.read(place / ".once.partial" / "notebook.ipynb", 4)
    states = [cell.metadata.papermill["status"] for cell in notebook.cells]
    assert "failed" in states
    assert states[-1] != "completed"
    assert not (place / "once").exists()


def test_a_notebook_without_finish_is_no_result(project):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", GOOD[0])
    with pytest.raises(RunError, match=r"run\.finish"):
        execute("tiny", "01_tiny", {})


def test_a_full_disk_is_named(project, monkeypatch):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("clipassistnet.runs.papermill_engine.execute_notebook", full)
    with pytest.raises(RunError, match="the disk is full"):
        execute("tiny", "01_tiny", {})


def test_an_interrupted_run_is_taken_up_where_it_stood(project):
    count = (
        'run = runs.start("01_tiny", study)\n'
        'marks = run.folder / "marks"\n'
        'marks.write_text((marks.read_text() if marks.exists() else "") + "x")'
    )
    fail_once = 'assert len(marks.read_text()) > 1, "first time"'
    write_notebook(project / "notebooks" / "01_tiny.ipynb", count, fail_once, "run.finish()")
    with pytest.raises(RunError, match="first time"):
        execute("tiny", "01_tiny", {})
    assert (execute("tiny", "01_tiny", {}) / "marks").read_text() == "xx"
    assert (execute("tiny", "01_tiny", {}) / "marks").read_text() == "xx"


def test_nothing_computes_on_after_kill_9(project):
    wait = (
        'import os, pathlib, time\npathlib.Path("kernel").write_text(str(os.getpid()))\n'
        "time.sleep(120)"
    )
    write_notebook(project / "notebooks" / "01_tiny.ipynb", GOOD[0], wait, GOOD[1])
    command = [sys.executable, "-m", "clipassistnet", "run", "01_tiny", "--study", "tiny"]
    runner = subprocess.Popen(command, cwd=project)
    pid_file = project / "kernel"
    wait_for(lambda: pid_file.exists() and pid_file.read_text())
    kernel = int(pid_file.read_text())
    assert alive(kernel)
    with pytest.raises(RunError, match="is running already"):
        execute("tiny", "01_tiny", {})
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    wait_for(lambda: not alive(kernel))
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    assert execute("tiny", "01_tiny", {}).name == "once"


def alive(pid: int) -> bool:
    """Whether a process computes: a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stepps": 3}, r"01_tiny has no parameter 'stepps' \(did you mean 'steps'\?\)"),
        ({"steps": "3"}, r"steps = '3' is str, expected int"),
        ({"steps": True}, r"steps = True is bool, expected int"),
        ({"steps": 1.5, "lr": 0.1}, r"(?s)steps = 1.5 is float.*no parameter 'lr'"),
    ],
)
def test_wrong_parameters_stop_before_anything_starts(project, given, message):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    with pytest.raises(RunError, match=message):
        execute("tiny", "01_tiny", given)
    assert not (project / "papermill_runs" / "tiny" / "01_tiny").exists()


def test_a_study_file_is_checked_whole_with_lines(project):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    (project / "notebooks" / "studies" / "bad.yaml").write_text(
        "descripton: x\nthreads: many\nparameters:\n  steps: 1e-4\n  stepps: 2\nsimulate: 3\n"
    )
    with pytest.raises(RunError) as caught:
        study.read("bad")
    text = str(caught.value)
    assert "bad.yaml:1: unknown section 'descripton'; expected one of description, sim" in text
    assert "bad.yaml:2: threads 'many': expected a number from 1" in text
    assert "bad.yaml:4: any notebook: steps = '1e-4' is str, expected int" in text
    assert "bad.yaml:5: any notebook has no parameter 'stepps' (did you mean 'steps'?)" in text
    assert "bad.yaml:6: simulate: expected a mapping" in text


def test_unknown_study_and_notebook_are_named(project):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    with pytest.raises(RunError, match=r"no study 'tin' \(did you mean 'tiny'\?\)"):
        study.read("tin")
    with pytest.raises(RunError, match="no notebook '02_tiny'"):
        notebooks.notebook_path("02_tiny")


def test_the_parameters_cell_holds_literals_only(project):
    path = project / "notebooks" / "01_tiny.ipynb"
    write_notebook(path, defaults="import os\nsteps = 2")
    with pytest.raises(RunError, match="'import os': expected name = literal"):
        notebooks.declared(path)


def test_given_parameters_are_typed(project):
    path = project / "notebooks" / "01_tiny.ipynb"
    write_notebook(path, defaults='study = "tiny"\nheld_out = "test"')
    given = ["loss=bce", "fold=0", "rate=1e-3", "all=true", "held_out=0"]
    assert notebooks.parse_given(given, path) == {
        "loss": "bce",
        "fold": 0,
        "rate": 1e-3,
        "all": True,
        "held_out": "0",  # declared as text
    }
    with pytest.raises(RunError, match="expected name=value"):
        notebooks.parse_given(["fold"], path)


def test_a_run_depends_on_what_its_notebook_imports_and_on_nothing_else(project):
    path = project / "notebooks" / "01_tiny.ipynb"
    write_notebook(path, "from clipassistnet.model import losses")
    modules = notebooks.code(path)
    assert "clipassistnet.model.losses" in modules
    assert "clipassistnet.evaluation.plots" not in modules
    assert "clipassistnet.runs.execute" not in modules


def test_every_training_is_spared_by_a_change_in_the_plots():
    trained = notebooks.code(Path(runs.root()) / "notebooks" / "05_train_fold.ipynb")
    assert "clipassistnet.training" in trained
    assert "clipassistnet.evaluation.plots" not in trained


def test_a_missing_input_names_the_command_that_makes_it(project):
    run = runs.start("06_tiny", "tiny")
    with pytest.raises(RunError, match=r"clipassistnet run 05_x --study tiny -p loss=bce"):
        run.input("05_x", "predictions.parquet", loss="bce")


def test_an_interactive_run_never_writes_over_a_batch_run(project):
    run = runs.start("05_x", "tiny", loss="bce", fold=1)
    assert run.folder == project / "papermill_runs" / "lab" / "05_x" / "loss=bce,fold=1"


Fold = namedtuple("Fold", "fold")
Two = namedtuple("Two", "recipe fold")


def write_run(project: Path, fold: int, key: str = "fold={}", **changed) -> None:
    folder = project / "papermill_runs" / "tiny" / "05_x" / key.format(fold)
    folder.mkdir(parents=True)
    (folder / "p.csv").write_text("x")
    record = {
        "parameters": {"fold": fold, "epochs": 4},
        "inputs": {"02_video_folds/once/folds.csv": "a"},
        "code": {"notebook": "c"},
    }
    (folder / "run.json").write_text(json.dumps({**record, **changed}))


def test_aggregates_refuse_runs_that_disagree(project):
    write_run(project, 0)
    write_run(project, 1, parameters={"fold": 1, "epochs": 5})
    write_run(project, 2, inputs={"02_video_folds/once/folds.csv": "b"})
    run = runs.start("06_tiny", "tiny")
    with pytest.raises(RunError) as caught:
        run.inputs("05_x", "p.csv", [Fold(0), Fold(1), Fold(2)])
    assert "parameter epochs: fold=0 has 4, fold=1 has 5" in str(caught.value)
    assert "input 02_video_folds/once/folds.csv: fold=0 has 'a'" in str(caught.value)


def test_recipes_differ_in_parameters_but_not_in_data(project):
    for fold in (0, 1):
        write_run(project, fold, "recipe=paper,fold={}")
        changed = {"parameters": {"fold": fold, "epochs": 9}}
        write_run(project, fold, "recipe=long,fold={}", **changed)
    keys = [Two(recipe, fold) for recipe in ("paper", "long") for fold in (0, 1)]
    assert list(runs.start("06_tiny", "tiny").inputs("05_x", "p.csv", keys)) == keys
    assert runs.start("06_tiny", "tiny").inputs("05_x", "p.csv", []) == {}
    write_run(project, 2, "recipe=long,fold={}", parameters={"fold": 2, "epochs": 8})
    with pytest.raises(RunError, match="parameter epochs: recipe=long,fold=0 has 9"):
        runs.start("06_tiny", "tiny").inputs("05_x", "p.csv", [*keys, Two("long", 2)])
    write_run(project, 0, "recipe=other,fold={}", inputs={"02_video_folds/once/folds.csv": "b"})
    with pytest.raises(RunError, match=r"input 02_video_folds/once/folds\.csv: recipe=paper"):
        runs.start("06_tiny", "tiny").inputs("05_x", "p.csv", [*keys, Two("other", 0)])


def test_aggregates_only_warn_of_other_code(project):
    write_run(project, 0)
    write_run(project, 1, code={"notebook": "d"})
    with pytest.warns(UserWarning, match="different code"):
        paths = runs.start("06_tiny", "tiny").inputs("05_x", "p.csv", [Fold(0), Fold(1)])
    assert list(paths) == [Fold(0), Fold(1)]


def test_a_gpu_is_held_by_one_run_at_a_time(monkeypatch, tmp_path):
    from clipassistnet.runs import process

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(process, "gpus", lambda: ["GPU", "GPU"])
    monkeypatch.setattr(process.tempfile, "gettempdir", lambda: str(tmp_path))
    with process.one_gpu() as first, process.one_gpu() as second:
        assert {first, second} == {"0", "1"}
    with process.one_gpu() as again:
        assert again == "0"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    with process.one_gpu() as scheduled:
        assert scheduled is None


def test_a_folder_without_locks_is_not_said_to_be_in_use(project, monkeypatch):
    def no_locks(path):
        raise files.LockError(errno.ENOTSUP, "no lock can be taken here", str(path))

    monkeypatch.setattr(files, "lock", no_locks)
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    with pytest.raises(files.LockError, match="no lock can be taken here"):
        execute("tiny", "01_tiny", {})


def test_a_half_written_run_is_no_result(project):
    folder = project / "papermill_runs" / "tiny" / "01_tiny" / "once"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"fingerprint": "m", "inp')
    assert not is_current(folder, "tiny", "m")


def test_the_environment_is_left_as_it_was(project):
    write_notebook(project / "notebooks" / "01_tiny.ipynb", *GOOD)
    before = dict(os.environ)
    execute("tiny", "01_tiny", {}, threads=1)
    assert dict(os.environ) == before


def test_two_kernels_side_by_side_do_not_meet():
    from clipassistnet.runs.papermill_engine import OwnInterpreter

    assert OwnInterpreter().ip != OwnInterpreter().ip


def test_the_users_environment_does_not_change_a_run(project, tmp_path_factory, monkeypatch):
    """A backend without pictures, start-up files, warnings as errors: a run has its own."""
    profile = tmp_path_factory.mktemp("profile")
    (profile / "profile_default" / "startup").mkdir(parents=True)
    (profile / "profile_default" / "startup" / "00.py").write_text("raise SystemExit('startup')")
    config = 'c.InlineBackend.figure_formats = {"svg"}\n'
    (profile / "profile_default" / "ipython_kernel_config.py").write_text(config)
    (profile / "startup.py").write_text("intruder = True")
    (profile / "pandas.py").write_text("raise SystemExit('of the path')")
    (profile / "matplotlibrc").write_text("figure.figsize: 1, 1\n")
    given = {
        "MPLBACKEND": "Agg",
        "MATPLOTLIBRC": str(profile / "matplotlibrc"),
        "IPYTHONDIR": str(profile),
        "JUPYTER_RUNTIME_DIR": str(profile / ("x" * 120)),
        "JUPYTER_CONFIG_DIR": str(profile),
        "PYTHONSTARTUP": str(profile / "startup.py"),
        "PYTHONPATH": str(profile),
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "1",
        "PYTHONHASHSEED": "7",
        "PYTHONUTF8": "0",
        "LC_ALL": "C",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    cells = [
        "import os, sys, warnings, pandas\nimport matplotlib.pyplot as plt",
        "plt.plot([1])\nplt.show()",
        'warnings.warn("no error")\nassert "intruder" not in globals()',
        "assert not sys.flags.optimize and sys.flags.utf8_mode and __debug__",
        'assert plt.rcParams["figure.figsize"] != [1, 1]',
        'assert os.environ["PYTHONHASHSEED"] == "0"',
    ]
    write_notebook(project / "notebooks" / "01_tiny.ipynb", GOOD[0], *cells, GOOD[1])
    folder = execute("tiny", "01_tiny", {})
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 1
    assert {name: os.environ[name] for name in given} == given
