"""Worker processes end with the process that started them."""

import subprocess
import sys

from test_runs import alive, wait_for

WAITING = """
import os, time
from clipassistnet.workers import pool

if __name__ == "__main__":
    workers = pool(2)
    print(workers.submit(os.getpid).result(), flush=True)
    workers.submit(time.sleep, 100).result()
"""


def test_no_worker_outlives_a_killed_parent(tmp_path):
    (tmp_path / "waiting.py").write_text(WAITING)
    command = [sys.executable, str(tmp_path / "waiting.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        worker = int(parent.stdout.readline())
        assert alive(worker)
        parent.kill()
    wait_for(lambda: not alive(worker), seconds=20)
