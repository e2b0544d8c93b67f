"""Executes a notebook with papermill, by this interpreter, and says when its kernel died."""

import os
import sys
import uuid
from pathlib import Path
from typing import Any

# jsonschema would build a grammar for checking URIs, which no notebook has: 2 s of every run.
# Python takes None for a package that cannot be imported.
modules: dict[str, Any] = sys.modules
modules.setdefault("rfc3987_syntax", None)

import papermill  # noqa: E402
from jupyter_client.kernelspec import KernelSpec  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from papermill.engines import NBClientEngine, papermill_engines  # noqa: E402
from traitlets import default  # noqa: E402

from clipassistnet.runs.kernel_environment import socket_folder  # noqa: E402

NAME = "clipassistnet"


class OwnInterpreter(AsyncKernelManager):
    """Starts this Python, whatever kernels are registered on the machine."""

    # No port that another user could connect to, wherever there is a place for Unix sockets.
    transport = "tcp" if os.name == "nt" or socket_folder() is None else "ipc"

    @default("ip")
    def _own_sockets(self) -> str:
        # Jupyter's default is one name in the working folder for every kernel: two runs side by
        # side would talk to each other's. Short, as a socket's path may have about 100 characters.
        if self.transport != "ipc":
            return "127.0.0.1"
        return str(Path(socket_folder() or "") / f"clipassistnet-{uuid.uuid4().hex[:12]}")

    @property
    def kernel_spec(self) -> KernelSpec:
        argv = [sys.executable, "-m", "clipassistnet.runs.kernel", "-f", "{connection_file}"]
        # Else the interrupt that ends every kernel is logged as an error of each run.
        argv += ["--IPKernelApp.log_level=CRITICAL"]
        return KernelSpec(argv=argv, display_name="Python 3", language="python")


class NotebookEngine(NBClientEngine):
    """papermill's own engine, except that a notebook whose kernel died is marked as failed."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
        options |= {
            "coalesce_streams": True,
            "store_widget_state": False,
            "kernel_manager_class": OwnInterpreter,
        }
        try:
            return super().execute_managed_notebook(nb_man, kernel_name, **options)
        except BaseException as error:  # a dead kernel, Ctrl-C: papermill would say "completed"
            nb_man.nb.metadata.papermill["exception"] = True
            nb_man.nb.metadata.papermill["died"] = type(error).__name__
            _mark_failed(nb_man.nb)
            raise


def _mark_failed(notebook: Any) -> None:
    """Cells run in order, so the last one that began is the one that did not end."""
    began = [c for c in notebook.cells if c.metadata.papermill["status"] != "pending"]
    if began:
        began[-1].metadata.papermill["status"] = "failed"


papermill_engines.register(NAME, NotebookEngine)


def execute_notebook(source: str, target: str, parameters: dict[str, Any], folder: str) -> None:
    """Execute a notebook; what ran so far is in `target` at any time.

    Raises:
        papermill.PapermillExecutionError: a cell raised.
        nbclient.exceptions.DeadKernelError: the kernel died.
    """
    papermill.execute_notebook(
        _literal(source),
        _literal(target),
        parameters=parameters,
        engine_name=NAME,
        kernel_name="python3",
        language="python",
        cwd=folder,
        progress_bar=sys.stderr.isatty(),
    )


def _literal(path: str) -> str:
    """A path for papermill, which fills parameters in between braces."""
    return path.replace("{", "{{").replace("}", "}}")
