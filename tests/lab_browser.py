"""JupyterLab in a headless Chromium, for tests of the widgets: one server, a page a test."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
TOKEN = "tests"
NOTEBOOK = {"nbformat": 4, "nbformat_minor": 5}
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def missing() -> str:
    """Why browser tests cannot run here, or ""."""
    try:
        import playwright.sync_api  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return "" if CHROMIUM else "no Chromium (Debian: apt-get install chromium)"


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of code cells, as JupyterLab would save it."""
    made = [
        {"cell_type": "code", "id": f"c{i}", "metadata": {}, "source": cell, "outputs": []}
        | {"execution_count": None}
        for i, cell in enumerate(cells)
    ]
    body = NOTEBOOK | {"metadata": {"kernelspec": KERNEL}, "cells": made}
    path.write_text(json.dumps(body, indent=1) + "\n")


@contextmanager
def server(folder: Path):
    """JupyterLab with this root; yields its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = folder / ".jupyter"
    places = {
        name: str(own / name)
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    settings = own / "settings"
    news = settings / "@jupyterlab" / "apputils-extension"
    widgets = settings / "@jupyter-widgets" / "jupyterlab-manager"
    for folder_of in (news, widgets):
        folder_of.mkdir(parents=True, exist_ok=True)
    (widgets / "plugin.jupyterlab-settings").write_text('{"saveState": true}')
    (news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={folder}", f"--LabApp.user_settings_dir={settings}"]
    command += ["--LabServerApp.extension_manager=readonly", "--LabApp.news_url="]
    command += [f"--LabApp.workspaces_dir={own / 'workspaces'}"]
    log = open(folder / "server.log", "w")  # noqa: SIM115
    process = subprocess.Popen(
        command, stdout=log, stderr=log, env=os.environ | places, start_new_session=True
    )
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(process, address, folder / "server.log")
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        log.close()


def _wait_until_up(process: subprocess.Popen, address: str, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=2)
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-3000:])


@contextmanager
def browser():
    """Headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu"]
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield running
        running.close()


def open_notebook(page, address: str, name: str) -> None:
    """Open a notebook by itself (no side bar) and wait for its cells."""
    page.goto(f"{address}/doc/tree/{name}?token={TOKEN}&reset")
    page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)


def run_first(page) -> None:
    """Run the first cell of the open notebook, as soon as its kernel takes it."""
    prompt = page.locator(".jp-Cell .jp-InputPrompt").first
    prompt.click()
    before = prompt.inner_text()
    for _ in range(60):
        # JupyterLab drops the command silently until the kernel is connected.
        page.keyboard.press("Control+Enter")
        page.wait_for_timeout(500)
        if prompt.inner_text() != before:
            return
    raise AssertionError("the kernel did not take the cell")


def wait_for_picture(page, place: int | None = None) -> None:
    """Wait until the widget shows the picture of its place (of this place)."""
    page.wait_for_function(
        """(place) => {
            const at = window.canPainted;
            return at !== undefined && (place === null || at === place);
        }""",
        arg=place,
        timeout=60_000,
    )


def settle(page) -> None:
    """Wait until the widget shows its picture and no label waits for the disk."""
    page.wait_for_selector(".can-root[data-settled='true']", timeout=30_000)


# Set before the page loads: notes what the widgets paint.
NOTE_PAINTED = """
window.canTimes = [];
document.addEventListener('painted', (event) => {
    window.canPainted = event.detail.place;
    window.canTimes.push([event.detail.place, event.detail.key, event.detail.painted]);
}, true);
"""
