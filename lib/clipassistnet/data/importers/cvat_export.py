"""Labels of a dataset folder as files that CVAT takes ("CVAT for images 1.1"), a tag a frame."""

from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import pandas as pd

from clipassistnet import files
from clipassistnet.data import dataset
from clipassistnet.data.dataset import Dataset, DatasetError
from clipassistnet.data.image_pattern import image_path, is_pattern
from clipassistnet.data.video_source import VideoSource, source

TASK = ("name", "size", "mode", "start_frame", "stop_frame", "frame_filter", "source")


def export(folder: str | Path, annotator: str, out: str | Path) -> list[Path]:
    """Write one annotator's labels, a file for each video; `cvat.merge` reads them back unchanged.

    In CVAT, make a task of the same video (or pictures) and upload the file as its annotations.

    Args:
        folder: a dataset folder.
        annotator: whose labels.
        out: folder of the files, <video>.<annotator>.xml; it is made where it is missing.

    Raises:
        DatasetError: the folder has a problem, or no label of this annotator.
        FrameError: a video cannot be read; its width and height are part of the file.
    """
    data = dataset.read(folder)
    own = data.annotations[data.annotations["annotator"] == annotator]
    if own.empty:
        names = ", ".join(sorted(data.annotations["annotator"].unique()))
        raise DatasetError([f"{folder}: no label of {annotator!r} (there: {names})"])
    Path(out).mkdir(parents=True, exist_ok=True)
    written = []
    for video, rows in own.groupby("video"):
        path = Path(out) / f"{video}.{annotator}.xml"
        root = _document(data, str(video), rows.sort_values("frame"))
        ElementTree.indent(root)
        files.write(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
        written.append(path)
    return written


def _document(data: Dataset, video: str, rows: pd.DataFrame) -> Element:
    origin = source(data, video)
    height, width = _size(origin, int(rows["frame"].iloc[0]))
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    task = SubElement(SubElement(root, "meta"), "task")
    for name, value in zip(TASK, _task(origin, len(rows)), strict=True):
        SubElement(task, name).text = value
    for number, row in enumerate(rows.to_dict("records")):
        frame = int(row["frame"])
        is_set = is_pattern(origin.path)
        name = Path(image_path(origin.path, frame)).name if is_set else f"frame_{frame:06d}"
        image = SubElement(root, "image", id=str(number if is_set else frame), name=name)
        image.set("width", str(width))
        image.set("height", str(height))
        tag = SubElement(image, "tag", label=row["label"], source="manual")
        for column in ("cause", "confidence"):
            value = row.get(column)
            if value is not None and not pd.isna(value) and value != "":
                SubElement(tag, "attribute", name=column).text = str(value)
    return root


def _size(origin: VideoSource, frame: int) -> tuple[int, int]:
    picture, _ = next(iter(origin.pictures([frame])))
    return picture.shape[0], picture.shape[1]


def _task(origin: VideoSource, labelled: int) -> tuple[str, ...]:
    """What the file says of the task: the whole video, or the labelled pictures of a set."""
    if is_pattern(origin.path):
        return origin.video, str(labelled), "annotation", "0", str(labelled - 1), "", ""
    length = origin.timeline().length if origin.length is None else origin.length
    name = Path(origin.path).name
    return origin.video, str(length), "interpolation", "0", str(length - 1), "", name
