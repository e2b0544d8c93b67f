"""Where a study's data come from: simulated, the user's folder, or a public set as unpacked."""

import hashlib
import json
import shutil
from pathlib import Path

from clipassistnet.runs.parameters import read_study
from clipassistnet.runs.run import RunError, runs_folder


def keep_data(study: str, data: str | None) -> None:
    """Remember a study's data for this and later runs.

    `data` is a dataset folder, or the folder of m2cai16-tool-locations as unpacked, which is
    imported into the study's own folder: tables alone, its pictures stay where they are.

    Raises:
        RunError: the study simulates its data, or has been given none yet, or `data` is neither.
        DatasetError: an import found problems; the message lists them all.
    """
    path = runs_folder() / study / "study.json"
    simulated = "simulate" in read_study(study)
    if not data:
        if not simulated:
            given_data(study)
        return
    if simulated:
        raise RunError(f"study {study!r} simulates its data; DATA is for other studies")
    folder = Path(data)
    if not (folder / "videos.csv").exists():
        folder = _imported(folder, runs_folder() / study / "data")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": str(folder.resolve())}))


def given_data(study: str) -> Path:
    """The folder that the user gave for this study; RunError where there is none yet."""
    path = runs_folder() / study / "study.json"
    if not path.exists():
        raise RunError(f"study {study!r} needs data: make study STUDY={study} DATA=<folder>")
    return Path(json.loads(path.read_text())["data"])


def data_mark(study: str) -> str:
    """What the study's data are made from: the simulator's settings, or the user's CSV files."""
    settings = read_study(study)
    if "simulate" in settings:
        return json.dumps(settings["simulate"], sort_keys=True)
    digest = hashlib.sha256()
    for path in sorted(given_data(study).glob("*.csv")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _imported(source: Path, target: Path) -> Path:
    """The dataset folder made anew from a public set's own folder."""
    if not all((source / name).is_dir() for name in ("JPEGImages", "Annotations")):
        raise RunError(
            f"DATA={source}: expected a dataset folder with videos.csv, or m2cai16-tool-locations "
            "as unpacked (JPEGImages, Annotations). Other public sets become dataset folders by: "
            "clipassistnet import --help"
        )
    from clipassistnet.data.importers import m2cai16, save

    imported, part = m2cai16.read(source), target.with_name(".data.part")
    for folder in (part, target):
        shutil.rmtree(folder, ignore_errors=True)
    save(imported, part)
    part.rename(target)
    print(f"imported {m2cai16.NAME} from {source}:", *imported.notes, sep="\n  ", flush=True)
    return target
