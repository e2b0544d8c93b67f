"""pyproject.toml, requirements.lock and environment.yml agree, and the base installs alone."""

import ast
import fnmatch
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from conftest import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
LOCK = (ROOT / "requirements.lock").read_text()
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())
BASE = [Requirement(line) for line in PROJECT["dependencies"]]
LOCKED = ("study", "test")  # the extras of the lock
DIRECT = BASE + [
    Requirement(line) for extra in LOCKED for line in PROJECT["optional-dependencies"][extra]
]

STUDY_ONLY = {
    *(
        "albumentations",
        "av",
        "captum",
        "IPython",
        "ipykernel",
        "lightning",
        "matplotlib",
        "nncf",
        "numba",
    ),
    *(
        "onnx",
        "openvino",
        "pandas",
        "papermill",
        "pyarrow",
        "pytorch_lightning",
        "scipy",
        "seaborn",
    ),
    *("sklearn", "snakemake"),
}

# In pieces, or this file would name them.
REGISTRIES = [
    ".".join(parts)
    for parts in [
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("pypi", "nvidia", "com"),
        ("pypi", "ngc", "nvidia", "com"),
        ("download", "pytorch", "org"),
        ("anaconda", "org"),
        ("anaconda", "com"),
        ("npmjs", "org"),
    ]
]


def pins() -> dict[str, list[Requirement]]:
    """Lines of the lock by package: a package may have one for each Python or platform."""
    found: dict[str, list[Requirement]] = {}
    for line in LOCK.splitlines():
        if line and not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def pip_lines() -> list[str]:
    (section,) = [entry["pip"] for entry in ENVIRONMENT["dependencies"] if isinstance(entry, dict)]
    return section


def git_files() -> list[str]:
    """Files that git tracks, or would after `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [name for name in listing.stdout.split("\0") if name]


@pytest.mark.parametrize("direct", DIRECT, ids=lambda requirement: requirement.name)
def test_direct_dependency_is_pinned_within_its_bound(direct):
    lines = pins().get(canonicalize_name(direct.name), [])
    assert any(line.marker is None or line.marker.evaluate() for line in lines)
    for line in lines:
        (pin,) = line.specifier
        assert pin.operator == "=="
        assert direct.specifier.contains(pin.version, prereleases=True)


def test_every_line_of_the_lock_is_a_pin():
    for lines in pins().values():
        for line in lines:
            assert [pin.operator for pin in line.specifier] == ["=="], str(line)
            assert line.url is None


@pytest.mark.parametrize("base", BASE, ids=lambda requirement: requirement.name)
def test_base_has_lower_bounds_only(base):
    # A Jetson has the torch and OpenCV of its JetPack, whichever they are.
    assert [bound.operator for bound in base.specifier] == [">="]


def test_lock_names_no_index():
    assert "--no-emit-index-url" in LOCK
    assert "://" not in LOCK
    assert not re.search(r"--(extra-)?index-url\b|--find-links\b", LOCK)


def test_environment_installs_the_lock():
    assert ENVIRONMENT["name"] == "clipassistnet"
    assert ENVIRONMENT["channels"] == ["conda-forge"]
    assert pip_lines() == ["-r requirements.lock", "-e ."]


def test_environment_python_is_the_locks_or_newer():
    (locked,) = re.findall(r"--python-version (\S+)", LOCK)
    conda = [entry for entry in ENVIRONMENT["dependencies"] if isinstance(entry, str)]
    assert "pip" in conda
    (python,) = [Requirement(entry) for entry in conda if entry != "pip"]
    (bound,) = python.specifier
    assert (python.name, bound.operator) == ("python", ">=")
    assert Version(bound.version) >= Version(locked) >= Version("3.11")
    assert SpecifierSet(PROJECT["requires-python"]).contains(bound.version)


def test_environment_names_a_commit_of_torch2trt():
    text = (ROOT / "environment.yml").read_text()
    assert re.search(
        r'pip install --no-build-isolation "torch2trt @ git\+\S+/torch2trt@[0-9a-f]{40}"', text
    )
    assert "torch2trt" not in str(ENVIRONMENT)  # a comment only: it needs TensorRT to install


def test_no_file_names_a_registry():
    for name in git_files():
        path = ROOT / name
        text = path.read_bytes() if path.is_file() else b""
        named = [host for host in REGISTRIES if host.encode() in text]
        assert not named, f"{name} names {named}"


def test_registry_check_knows_a_host():
    line = "--index-url https://" + "download.pytorch" + ".org/whl/cpu"
    assert any(host in line for host in REGISTRIES)


@pytest.fixture(scope="module")
def jetson() -> dict:
    """What a Jetson runs, imported without the packages of the study.

    `backends`: deploy.available(); `files`: the modules of ours which that brought in.
    """
    program = f"""
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {STUDY_ONLY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
import clipassistnet.__main__, clipassistnet.commands.deploy, clipassistnet.commands.live
ours = [module for name, module in sys.modules.items() if name.startswith("clipassistnet")]
files = [module.__file__ for module in ours]
print(dict(backends=clipassistnet.deploy.available(), files=files))
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return ast.literal_eval(run.stdout)


def test_base_alone_imports_what_a_jetson_runs(jetson):
    assert jetson["backends"]["torch"][0]
    usable, note = jetson["backends"]["openvino"]
    assert not usable
    assert "not installed" in note


def test_what_a_jetson_runs_is_python_38(jetson):
    names = {Path(file).relative_to(ROOT).as_posix() for file in jetson["files"]}
    roles = ("model/__init__", "transforms", "commands/live", "live/profile", "live/loop")
    assert {f"lib/clipassistnet/{name}.py" for name in roles} < names
    for name in names:
        ast.parse((ROOT / name).read_text(), name, feature_version=(3, 8))
    # ast knows the grammar of 3.8; ruff knows what else 3.8 lacks, in the files that are listed.
    targets = PYPROJECT["tool"]["ruff"]["per-file-target-version"]
    py38 = [pattern for pattern, target in targets.items() if target == "py38"]
    unlisted = [name for name in names if not any(fnmatch.fnmatch(name, p) for p in py38)]
    assert not unlisted, "missing in pyproject.toml, tool.ruff.per-file-target-version"


def test_python_38_check_refuses_newer_grammar():
    with pytest.raises(SyntaxError):
        ast.parse("match frame:\n    case None: pass", feature_version=(3, 8))
