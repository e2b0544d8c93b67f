"""What a run's result depends on, and where it was made."""

import hashlib
import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from typing import Any

from clipassistnet import files
from clipassistnet.identity import hardware as machine
from clipassistnet.identity.source_code import LIBRARY
from clipassistnet.runs.folders import root

REPORTED = (
    *("torch", "torchvision", "timm", "numpy", "pandas", "scikit-learn", "albumentations"),
    *("pytorch-lightning", "captum", "openvino", "av", "papermill", "snakemake"),
)


def fingerprint(parameters: dict[str, Any], code: dict[str, str]) -> str:
    """SHA-256 over parameters and code: with the inputs' hashes, all a result depends on."""
    body = json.dumps([parameters, code], sort_keys=True)
    return hashlib.sha256(body.encode()).hexdigest()


def weights_digest(parameters: dict[str, Any]) -> str:
    """SHA-256 of the weight files that a run starts from; "" where its parameters name none."""
    paths = (root() / parameters.get(name, "none") for name in ("weights", "head_weights"))
    return " ".join(_digest(path) for path in paths if path.is_file())


_digest = cache(files.digest)  # large, and each training of a study names the same


def environment() -> dict[str, Any]:
    """Versions, hardware and commit of this run. No user, host or path: runs are shared."""
    return {
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in REPORTED},
        "hardware": hardware(),
        "commit": commit(),
    }


def hardware() -> str:
    """Processor, its usable cores, and the GPUs, in words."""
    usable = getattr(os, "sched_getaffinity", lambda _: range(os.cpu_count() or 1))
    return "; ".join([f"{machine.processor()}, {len(usable(0))} cores", *gpus()])


def gpus() -> list[str]:
    """Names of the NVIDIA GPUs, as the driver lists them."""
    lines = _output("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")
    return [line.strip() for line in lines.splitlines() if line.strip()]


def commit() -> str:
    """Commit of the project, marked where the working tree differs from it."""
    head = _output("git", "-C", str(LIBRARY), "rev-parse", "--short=12", "HEAD").strip()
    changed = _output("git", "-C", str(LIBRARY), "status", "--porcelain", "--untracked-files=no")
    return head + (" with local changes" if head and changed.strip() else "")


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _output(*command: str) -> str:
    # GIT_DIR and its like, as a hook of git has them, would name another repository's commit.
    plain = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, env=plain)
        return done.stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
