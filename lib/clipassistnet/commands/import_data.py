"""Make a dataset folder from a public data set, or add labels made in a labelling tool.

A dataset folder is a few small CSV tables (videos.csv, annotations.csv, ...) which say where the
pictures are and what is known of them. The pictures stay where they are: nothing is copied, and the
source is never changed. The folder is what the studies take: make study STUDY=paper DATA=FOLDER.
"""

import argparse
from pathlib import Path

from clipassistnet.commands.check import describe
from clipassistnet.commands.parsing import command_parser
from clipassistnet.data.importers import cholec80, cholect50, coco, cvat, label_studio, m2cai16
from clipassistnet.data.importers.imported import save

M2CAI16 = """\
m2cai16-tool-locations: single frames of ten operations, with boxes around the tools. With the
tip-visibility labels that come with this project it is complete: the study can start.

SOURCE is the folder with JPEGImages and Annotations in it. Get it from the data set's authors
(https://ai.stanford.edu/~syyeung/tooldetection.html); it is for non-commercial use.
"""
CHOLEC80 = """\
Cholec80: 80 whole operations as videos, with a list of the tools in one frame a second, and phases.
It has no tip labels. Frames far from any clip applier become "absent"; the others are listed in
OUT/to_annotate/clipper_frames.csv: annotate them (in CVAT, say), then add them with the command
cvat.

SOURCE is the folder with video01.mp4, video01-tool.txt and video01-phase.txt and so on, or with
the folders that hold them. Ask for it at https://camma.unistra.fr/datasets; it is for
non-commercial use.
"""
CHOLECT50 = """\
CholecT50: pictures of 50 operations, one a second, with the instruments and phases in them. It has
no tip labels: what is said of cholec80 holds here too.

SOURCE is the folder with videos/VID01/000000.png and labels/VID01.json and so on. Ask for it at
https://github.com/CAMMA-public/cholect50; it is for non-commercial use.
"""
CVAT = """\
Labels made in CVAT (cvat.ai) into the annotations.csv of a dataset folder, which needs a videos.csv
at least. In CVAT, label each frame with a tag "visible", "invisible" or "absent", or give the box
of the clip applier an attribute "tip" with these values; attributes "cause" and "confidence" are
taken along. Export each task as "CVAT for images 1.1" (needed for tags) or "CVAT for video 1.1".

Give all tasks of a video in one command. Pictures are found by their names, videos by their file's
name. Labels outside the video, or a task of another length than the video's, are refused: they
would be on the wrong frames.
"""
COCO = """\
Labels in COCO's JSON format (exported by CVAT, FiftyOne, Roboflow and others) into the
annotations.csv of a dataset folder, which needs a videos.csv at least. The label of a picture is an
annotation of the category "visible", "invisible" or "absent", or an annotation with an attribute
"tip" of these values; attributes "cause" and "confidence" are taken along.

Pictures are found by their names. Those of a video file carry the frame's number, from 0 and at the
video's own rate: v01_000030.png, v01/frame_000030.png, or 000030.png with --video v01.
"""
LABEL_STUDIO = """\
Labels made in Label Studio (labelstud.io), exported as "JSON", into the annotations.csv of a
dataset folder, which needs a videos.csv at least. Label images with choices or regions "visible",
"invisible" or "absent", or answer them in a control named "tip"; controls "cause" and "confidence"
are taken along. Label videos with TimelineLabels or VideoRectangle, and give <Video> the frameRate
of the video.

Pictures and videos are found by their files' names. Pictures of a video file carry the frame's
number, from 0 and at the video's own rate: v01_000030.png, or 000030.png with --video v01.
"""
SOURCES = {
    "m2cai16-tool-locations": (m2cai16, M2CAI16, "frames, tool boxes and our tip labels"),
    "cholec80": (cholec80, CHOLEC80, "videos, to be annotated"),
    "cholect50": (cholect50, CHOLECT50, "pictures, to be annotated"),
}
TOOLS = {
    "cvat": (cvat, CVAT, "labels of your own made in CVAT", ".xml or .zip of one task"),
    "coco": (coco, COCO, "labels of your own in COCO's format", ".json, or .zip with one in it"),
    "label-studio": (
        label_studio,
        LABEL_STUDIO,
        "labels of your own made in Label Studio",
        '.json, exported as "JSON"',
    ),
}


def main(arguments: list[str]) -> int:
    """Returns the exit status 0; an error is raised."""
    given = _parser().parse_args(arguments)
    if given.source in TOOLS:
        names = ("video", "part", "completed_by")
        options = {name: value for name, value in vars(given).items() if name in names}
        merge = TOOLS[given.source][0].merge
        data, notes = merge(given.dataset, given.exports, given.annotator, **options)
    else:
        extra = {"labels": given.labels} if given.source == m2cai16.NAME else {}
        imported = SOURCES[given.source][0].read(given.folder, videos=given.videos, **extra)
        data, notes = save(imported, given.out), imported.notes
        if len(imported.to_annotate):
            path = Path(given.out, "to_annotate", "clipper_frames.csv")
            notes.append(f"{len(imported.to_annotate)} frames to annotate: {path}")
    print("\n".join([*notes, describe(data)]))
    return 0


def _parser() -> argparse.ArgumentParser:
    example = "import m2cai16-tool-locations /data/m2cai16-tool-locations dataset"
    parser = command_parser("import", __doc__, example)
    sources = parser.add_subparsers(
        dest="source",
        required=True,
        metavar="NAME",
        help="what each of them needs: clipassistnet import NAME --help",
    )
    for name, (_, text, summary) in SOURCES.items():
        source = _add(sources, name, text, summary)
        source.add_argument("folder", metavar="SOURCE", help="folder of the data set")
        source.add_argument("out", metavar="OUT", help="dataset folder to make; a new one")
        source.add_argument(
            "--videos", nargs="+", default=[], metavar="VIDEO", help="these only (default: all)"
        )
        if name == m2cai16.NAME:
            source.add_argument(
                "--labels",
                metavar="FILE",
                help="tip labels (default: SOURCE/tip_visibility.csv, or those published with this "
                "project where there is none)",
            )
    for name, (_, text, summary, export) in TOOLS.items():
        labels = _add(sources, name, text, summary)
        labels.add_argument("exports", nargs="+", metavar="EXPORT", help=export)
        labels.add_argument("--dataset", required=True, metavar="FOLDER", help="where they go")
        labels.add_argument("--annotator", required=True, metavar="NAME", help="who labelled")
        labels.add_argument(
            "--video", default="", help="the video shown, where file names do not say it"
        )
        if name == "cvat":
            labels.add_argument(
                "--part", action="store_true", help="the task shows a part of its video, on purpose"
            )
        if name == "label-studio":
            labels.add_argument(
                "--completed-by",
                default="",
                metavar="PERSON",
                help="the annotator's number or address in Label Studio, where it has several",
            )
    return parser


def _add(sources, name: str, text: str, summary: str) -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    return sources.add_parser(name, help=summary, description=text, formatter_class=layout)
