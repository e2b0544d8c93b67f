"""Rate and length of the video files for which videos.csv does not state them.

Reading the length means reading the whole file. So the results are kept in the dataset folder, in
a file that can be deleted at any time.
"""

import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd

from clipassistnet import files
from clipassistnet.data.csv_tables import Problems
from clipassistnet.data.decoding import FrameError
from clipassistnet.data.file_names import existing
from clipassistnet.data.image_pattern import is_pattern
from clipassistnet.data.timeline import probe

KEPT = ".video_lengths.json"


def completed(videos: pd.DataFrame, folder: Path, problems: Problems) -> pd.DataFrame:
    """Fill in fps and frames of the video files, where they are missing.

    Args:
        videos: parsed rows of videos.csv, indexed by line.
        folder: the dataset folder, which paths are relative to.
        problems: files that cannot be read, or whose rate varies, are added here.

    Returns:
        The rows. Sets of image files stay as they are, since pictures state neither.
    """
    videos, kept = videos.copy(), _read(folder / KEPT)
    before = dict(kept)
    missing = videos["fps"].isna() | videos["frames"].isna()
    for line, path, fps in videos.loc[missing, ["path", "fps"]].itertuples():
        if pd.isna(path) or is_pattern(path):
            continue
        whole = str(existing(folder / path))
        if not os.path.isfile(whole) or os.path.getsize(whole) == 0:
            continue  # a problem of its own
        declared = None if pd.isna(fps) else float(fps)
        status = os.stat(whole)
        mark = {"size": status.st_size, "modified": status.st_mtime_ns, "declared": declared}
        try:
            if not kept.get(path, {}).items() >= mark.items():
                rate, length = probe(whole, declared)
                kept[path] = {**mark, "fps": rate, "frames": length}
        except FrameError as error:
            problems.add(line, f"path {path!r}: {error}", "a readable video file")
            continue
        found = kept[path]
        if declared is None:
            videos.loc[line, "fps"] = found["fps"]
        if pd.isna(videos.loc[line, "frames"]):
            videos.loc[line, "frames"] = found["frames"]
    if kept != before:
        with contextlib.suppress(OSError):  # a folder that is read-only is probed again each time
            files.write(folder / KEPT, json.dumps(kept, indent=1))
    return videos


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}
