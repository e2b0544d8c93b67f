"""Decode the annotated frames of a dataset folder once, into a frame cache.

A video whose frames are there already is left alone, so an interrupted command continues.
"""

from __future__ import annotations

import os

from clipassistnet.commands.parsing import command_parser
from clipassistnet.data import dataset, frame_extraction
from clipassistnet.runs import study as studies
from clipassistnet.runs.folders import data_folder, frames_folder


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    parser = command_parser("frames", __doc__, "frames /data/cholecystectomies frames --size 224")
    parser.add_argument("dataset", nargs="?", metavar="DATASET", help="dataset folder")
    parser.add_argument("out", nargs="?", metavar="OUT", help="folder of the frame cache")
    parser.add_argument("--size", type=int, metavar="N", help="edge of a picture in pixels")
    parser.add_argument("--study", help="a study's data and frames, instead of DATASET and OUT")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count(), metavar="N", help="default: all cores"
    )
    options = parser.parse_args(arguments)
    folders = (options.dataset, options.out)
    if options.study and not any(folders):
        sizes = [options.size] if options.size else studies.read(options.study).sizes
        data = dataset.read(data_folder(options.study))
        caches = {size: frames_folder(options.study, size) for size in sizes}
    elif all(folders) and options.size and not options.study:
        data, caches = dataset.read(options.dataset), {options.size: options.out}
    else:
        parser.error("expected either DATASET OUT --size N, or --study STUDY [--size N]")
    for size, folder in caches.items():
        frame_extraction.extract(data, folder, size, processes=options.processes)
    return 0
