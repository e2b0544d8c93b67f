"""Fixtures for every test."""

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import settings

from tiny_videos import write_dataset

ROOT = Path(__file__).resolve().parents[1]

# The same examples every time, and none too slow: a busy machine is no fault of the code.
settings.register_profile("ours", deadline=None, derandomize=True)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of real frames, clips and weights; the test is skipped where it is absent."""
    folder = Path(os.environ.get("CLIPASSISTNET_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip("no shared data (set CLIPASSISTNET_SHARED)")
    return folder


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory) -> Path:
    """Folder of eight tiny videos with every table (see tiny_videos); treat it as read-only."""
    return write_dataset(tmp_path_factory.mktemp("tiny") / "dataset")


@pytest.fixture(scope="module")
def ensemble():
    """Two untrained networks (see tiny_ensembles)."""
    from tiny_ensembles import tiny_ensemble  # torch takes seconds: only where it is needed

    return tiny_ensemble()


@pytest.fixture(scope="module")
def eager(ensemble):
    """Predictor of that ensemble in float32 PyTorch."""
    from clipassistnet import deploy

    return deploy.load("torch", ensemble, ensemble.spec["image_size"])


@pytest.fixture(scope="module")
def built(ensemble):
    """Predictor of that ensemble in OpenVINO."""
    from clipassistnet import deploy

    return deploy.load("openvino", ensemble, ensemble.spec["image_size"])


@pytest.fixture
def seen(record_property):
    """Call it with a Fault: it goes into pytest's record, then into docs/reliability.md."""
    return lambda fault: record_property("fault", json.dumps(asdict(fault)))
