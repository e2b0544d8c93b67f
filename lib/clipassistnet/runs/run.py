"""What a notebook sees of a run: its folder, its inputs, and a place for what it makes.

Kept small on purpose: every notebook imports it, so a change here reruns everything. No notebook
imports what executes notebooks: `study`, `execute`, `batch`.
"""

import datetime
import json
import os
import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from clipassistnet import files
from clipassistnet.data.cross_validation import LOSS_NAMES, PAPER
from clipassistnet.files import BATCH
from clipassistnet.runs.agreement import Records, require_agreement
from clipassistnet.runs.folders import (
    NO_FILE,
    RunError,
    command,
    data_folder,
    frames_folder,
    is_simulated,
    name_key,
    recipes,
    root,
    run_folder,
    runs_folder,
    suggest,
)

Key = TypeVar("Key", bound=NamedTuple)


@dataclass
class Run:
    """One execution of one notebook. Made by `start`."""

    notebook: str
    study: str
    folder: Path
    used: dict[str, str] = field(default_factory=dict)  # input -> SHA-256, for provenance

    @property
    def data(self) -> Path:
        """Dataset folder of the study; its CSV files become an input of this run."""
        folder = data_folder(self.study)
        for path in sorted(folder.glob("*.csv")):
            self._use(path, f"data/{path.name}")
        return folder

    @property
    def simulated(self) -> bool:
        """Whether the study's data are simulated."""
        return is_simulated(self.study)

    @property
    def ours(self) -> str:
        """How this study's figures are headed beside the paper's."""
        return "ours (SIMULATED data)" if self.simulated else "ours"

    @property
    def features(self) -> Path:
        """Folder in which the features of frozen networks are kept for all runs of the study."""
        return runs_folder() / self.study / "features"

    def frames(self, size: int) -> Path:
        """Folder of the study's frames decoded at this size; their manifests become an input."""
        folder = frames_folder(self.study, size)
        manifests = sorted(folder.glob("*.json"))
        if not manifests:
            data_folder(self.study)  # without data, its advice comes first
            remedy = f"{command()} frames --study {shlex.quote(self.study)} --size {size}"
            have = ", ".join(sorted(path.name for path in folder.parent.glob("[0-9]*"))) or "none"
            what = f"study {self.study!r} has no frames of {size} pixels (sizes it has: {have})"
            raise RunError(f"run: {remedy}\n{what}")
        for path in manifests:
            self._use(path, f"frames/{size}/{path.name}")
        return folder

    def weights(self, weights: str) -> str:
        """`weights` as the model takes them: a file, named from the project's root, is an input."""
        if weights in NO_FILE:
            return weights
        path = root() / weights
        if not path.is_file():
            raise RunError(f"weights {weights!r}: no such file in {root()}")
        self._use(path, f"weights/{weights}")
        return os.path.relpath(path)

    def input(self, notebook: str, file: str, **key: Any) -> Path:
        """Path of a file that another notebook of this study made.

        In Lab it is the file of that notebook's own run in Lab, if there is one, which is said.

        Raises:
            RunError: that notebook has not run; the message names the command that runs it.
        """
        own = self._in_lab(notebook, key) / file
        if BATCH not in os.environ and own.exists():
            self._say_once(own)
            self._use(own, own.relative_to(runs_folder()).as_posix())
            return own
        return self._of_study(notebook, file, key)

    def _of_study(self, notebook: str, file: str, key: dict[str, Any]) -> Path:
        folder = run_folder(self.study, notebook, key)
        path = folder / file
        if not path.exists():
            given = "".join(f" -p {name}={value}" for name, value in key.items())
            remedy = f"{command()} run {notebook} --study {shlex.quote(self.study)}{given}"
            missing = f"{notebook}/{folder.name}/{file} is missing in study {self.study!r}"
            raise RunError(f"run: {remedy}\n{missing}")
        self._use(path, f"{notebook}/{folder.name}/{file}")
        return path

    def _in_lab(self, notebook: str, key: dict[str, Any]) -> Path:
        """Folder of a notebook's finished run in Lab on this study; a missing one where none is."""
        folder = lab_folder(notebook, key)
        try:
            record = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return folder / "none"
        return folder if record.get("study") == self.study else folder / "none"

    def _say_once(self, own: Path) -> None:
        if own.relative_to(runs_folder()).as_posix() not in self.used:
            when = datetime.datetime.fromtimestamp(own.stat().st_mtime)
            where = own.relative_to(root()).as_posix()
            instead = f"delete {own.parent.relative_to(root()).as_posix()} to read the study's"
            print(f"From your run in Lab of {when:%Y-%m-%d %H:%M}: {where} ({instead})")

    def read(self, notebook: str, file: str, **key: Any) -> Any:
        """The table (DataFrame) of another notebook's CSV file (see `input`); ids stay text."""
        from clipassistnet.data.csv_tables import read_result

        return read_result(self.input(notebook, file, **key))

    def inputs(self, notebook: str, file: str, keys: Iterable[Key]) -> dict[Key, Path]:
        """Paths of a file over several runs of a notebook, once they are seen to agree.

        They are the study's runs, in Lab too: only these have a record of what they depend on.

        Args:
            keys: named tuples, e.g. `cross_validation.Training`, a field for each part of the key.

        Raises:
            RunError: a run is missing, or two disagree on data, folds or parameters. What is in the
                key may differ, and parameters may between recipes: that is what recipes are.
        """
        paths: dict[Key, Path] = {}
        recipes: dict[str, Records] = {}
        axes: set[str] = set()
        for key in keys:
            fields = key._asdict()
            paths[key] = self._of_study(notebook, file, fields)
            record = json.loads((paths[key].parent / "run.json").read_text(encoding="utf-8"))
            recipes.setdefault(fields.get("recipe", ""), {})[name_key(fields)] = record
            axes = set(fields)
        if recipes:
            require_agreement(notebook, list(recipes.values()), axes)
        return paths

    def table(self, frame: Any, name: str) -> Any:
        """Write a DataFrame as <name>.csv into the run's folder and hand it back for display."""
        frame.to_csv(self.folder / f"{name}.csv", index=not _is_plain_index(frame))
        return frame

    def figure(self, figure: Any, name: str) -> None:
        """Write a matplotlib figure as figures/<name>.png into the run's folder.

        A figure of simulated data is stamped as such, wherever it is shown later.
        """
        if self.simulated:
            stamp = {"ha": "right", "va": "top", "size": 8, "color": "firebrick"}
            figure.text(1, -0.01, "SIMULATED data", **stamp)
        path = self.folder / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})

    def finish(self, **metrics: Any) -> None:
        """Write the run's metrics and the hashes of what it used; the runner adds the rest."""
        body: dict[str, Any] = {"metrics": metrics, "inputs": dict(sorted(self.used.items()))}
        if BATCH not in os.environ:
            body["study"] = self.study
        (self.folder / "result.json").write_text(json.dumps(body, indent=1, default=float))

    def _use(self, path: Path, name: str) -> None:
        if name not in self.used:
            self.used[name] = files.digest(path)


def start(notebook: str, study: str, **key: Any) -> Run:
    """Begin a run: in a batch in the folder that the runner gives, else in papermill_runs/lab/.

    Args:
        notebook: name of the notebook, e.g. "05_train_fold".
        study: name of the study whose results are this run's inputs.
        key: the parameters that tell this run from the notebook's others, e.g. loss and fold.

    Raises:
        RunError: there is no such study, or no such loss or recipe in it.
    """
    known = {"loss": LOSS_NAMES, "recipe": (PAPER, *recipes(study))}
    for name in known.keys() & key.keys():
        if key[name] not in known[name]:
            expected = f"expected one of {', '.join(known[name])} (study {study!r})"
            raise RunError(f"{name} {key[name]!r}{suggest(key[name], known[name])}: {expected}")
    given = os.environ.get(BATCH)
    folder = Path(given) if given else lab_folder(notebook, key)
    folder.mkdir(parents=True, exist_ok=True)
    return Run(notebook, study, folder)


def lab_folder(notebook: str, key: dict[str, Any]) -> Path:
    """Folder of a run in Lab: one for each notebook and key, whatever the study."""
    return runs_folder() / "lab" / notebook / name_key(key)


def _is_plain_index(frame: Any) -> bool:
    return frame.index.name is None and frame.index.nlevels == 1 and frame.index.dtype.kind == "i"
