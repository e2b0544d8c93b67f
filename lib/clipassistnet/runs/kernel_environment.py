"""The environment of a run's kernel: the same whatever the user's shell, profile or Lab has set."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from clipassistnet.files import BATCH
from clipassistnet.identity.source_code import LIBRARY

# glibc returns the large buffers of each convolution to the system and requests them again. On a
# CPU, keeping them makes a training step 10 % and a prediction up to twice as fast.
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TRIM_THRESHOLD_": "4000000000",
    "MALLOC_TOP_PAD_": "268435456",
}
# A backend, start-up files, warnings turned into errors: they would change or end a run.
DROPPED = ("PYTHON", "IPYTHON", "JUPYTER", "JPY_", "MPL", "MATPLOTLIB", "TQDM_")
KEPT = ("MPLCONFIGDIR",)  # where matplotlib's cache can be written
SOCKET_PATH = 107  # bytes that the path of a Unix socket may have
SOCKET_NAME = 40  # bytes of the names that Jupyter and multiprocessing give to their sockets


@contextlib.contextmanager
def kernel_environment(folder: Path, threads: int | None, gpu: str | None) -> Iterator[None]:
    """Change this process's environment to that of a run's kernel, and back.

    Args:
        folder: of the run.
        threads: of numerical libraries; None: all.
        gpu: value of CUDA_VISIBLE_DEVICES; None: as it is.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="clipassistnet-", dir=socket_folder()) as own:
        for name in before:
            if name.startswith(DROPPED) and name not in KEPT:
                del os.environ[name]
        os.environ |= _known(Path(own)) | ALLOCATOR | {BATCH: str(folder)}
        if threads:
            names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
            os.environ |= dict.fromkeys(names, str(threads))
        if gpu is not None:
            os.environ["CUDA_VISIBLE_DEVICES"] = gpu
        try:
            yield
        finally:
            os.environ.clear()
            os.environ |= before


def socket_folder() -> str | None:
    """A folder for temporary files in which Unix sockets can be made; None where there is none.

    It is the usual one (TMPDIR), unless its path is too long for a socket.
    """
    known = (tempfile.gettempdir(), os.environ.get("XDG_RUNTIME_DIR", ""), "/tmp", "/dev/shm")
    for folder in known:
        short = 0 < len(os.fsencode(folder)) <= SOCKET_PATH - SOCKET_NAME
        if short and os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK):
            return folder
    return None


def _known(own: Path) -> dict[str, str]:
    """Variables with the same value in every run; `own` is an empty folder."""
    known = {
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "IPYTHONDIR": str(own / "ipython"),  # no start-up files, no history
        "JUPYTER_CONFIG_DIR": str(own / "jupyter"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "PYTHONHASHSEED": "0",
        "PYTHONUTF8": "1",
    }
    matplotlib = find_spec("matplotlib")
    if matplotlib is not None and matplotlib.origin is not None:
        defaults = Path(matplotlib.origin).parent / "mpl-data" / "matplotlibrc"
        known["MATPLOTLIBRC"] = str(defaults)
    if socket_folder() not in (None, tempfile.gettempdir()):
        known["TMPDIR"] = str(socket_folder())
    if LIBRARY.parent.name not in ("site-packages", "dist-packages"):
        known["PYTHONPATH"] = str(LIBRARY.parent)  # the user's own may have led to this library
    return known
