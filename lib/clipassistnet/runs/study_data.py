"""Where a study's data come from: simulated, the user's folder, or a public set as unpacked."""

import hashlib
import json
import shutil
from pathlib import Path

from clipassistnet import files
from clipassistnet.runs.folders import STUDY_FILE, RunError, given_folder, runs_folder
from clipassistnet.runs.study import Study


def keep_data(study: Study, data: str | None) -> None:
    """Remember a study's data for this and later runs.

    Args:
        data: a dataset folder, or the folder of m2cai16-tool-locations as unpacked, whose tables
            are imported into the study's own folder (its pictures stay where they are); None or ""
            for the remembered one.

    Raises:
        RunError: the study simulates its data, or none was given so far, or `data` is neither.
        DatasetError: an import found problems; the message lists them all.
    """
    if not data:
        if study.simulation is None:
            _given(study)
        return
    if study.simulation is not None:
        raise RunError(f"study {study.name!r} simulates its data; DATA is for other studies")
    folder, place = Path(data), runs_folder() / study.name
    if not (folder / "videos.csv").exists():
        folder = _imported(folder, place / "data")
    place.mkdir(parents=True, exist_ok=True)
    files.write(place / STUDY_FILE, json.dumps({"data": str(folder.resolve())}))


def data_mark(study: Study) -> str:
    """What the study's data are made from: the simulator's settings, or the user's CSV files."""
    if study.simulation is not None:
        return json.dumps(study.simulation, sort_keys=True)
    digest = hashlib.sha256()
    for path in sorted(_given(study).glob("*.csv")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def _given(study: Study) -> Path:
    folder = given_folder(study.name)
    if folder is None:
        need = f"make study STUDY={study.name} DATA=<folder>"
        raise RunError(f"study {study.name!r} needs data: {need}")
    return folder


def _imported(source: Path, target: Path) -> Path:
    """Make the dataset folder `target` from a public set's own folder."""
    if not all((source / name).is_dir() for name in ("JPEGImages", "Annotations")):
        raise RunError(
            f"DATA={source}: expected a dataset folder with videos.csv, or m2cai16-tool-locations "
            "as unpacked (JPEGImages, Annotations). Other public sets become dataset folders by: "
            "clipassistnet import --help"
        )
    from clipassistnet.data.importers import m2cai16, save

    imported, part = m2cai16.read(source), target.with_name(".data.part")
    shutil.rmtree(part, ignore_errors=True)
    save(imported, part)
    files.replace_folder(target, part)
    print(f"imported {m2cai16.NAME} from {source}:", *imported.notes, sep="\n  ", flush=True)
    return target
