"""The commands of README and docs/ do what they say: each is run on the smoke study."""

import subprocess
import sys

import pytest

from documents import commands
from test_smoke_study import project  # noqa: F401

# What a reader has, and what this test has instead.
INSTEAD = {
    ".venv/bin/clipassistnet": f"{sys.executable} -m clipassistnet",
    "/data/cholecystectomies": "papermill_runs/smoke/data",
    "papermill_runs/demo": "papermill_runs/smoke",
    "papermill_runs/paper": "papermill_runs/smoke",
    "--study demo": "--study smoke",
    "epochs=8": "epochs=1",
    "sim205": "sim007",
    "frames/96/sim20[1-5]": "frames/64/sim00[7-9]",
    "~/for-the-reviewer": "for-the-reviewer",
}
OURS = [
    one.text
    for one in commands()
    if one.page != "JETSON.md" and "clipassistnet " in one.text and not one.reason
]


@pytest.mark.slow
@pytest.mark.parametrize("command", dict.fromkeys(OURS))
def test_the_command_works(command, project):  # noqa: F811
    (project / "names.txt").write_text("Huber\n")
    for theirs, ours in INSTEAD.items():
        command = command.replace(theirs, ours)
    options = {"capture_output": True, "text": True, "timeout": 600}
    ran = subprocess.run(["bash", "-c", command], cwd=project, **options)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
