"""The tables of a dataset folder: their columns, and what a cell may hold."""

from dataclasses import dataclass

CLASSES = ("visible", "invisible")
LABELS = (*CLASSES, "absent")
# The causes of the annotation guideline; "none" goes with "visible".
CAUSES = (
    "none",
    "occluded_tissue",
    "occluded_tool",
    "self_occluded",
    "out_of_view",
    "blur",
    "contrast",
    "unrecognisable",
    "no_clipper",
)

CORNERS = ["x0", "y0", "x1", "y1"]  # of a box

NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
COUNT = r"[0-9]{1,15}"


@dataclass(frozen=True)
class Column:
    """What a cell of this column may hold.

    `expected` says it in words, `pattern` is a regular expression of the whole cell, `low` and
    `high` bound a number, and `dtype` is the type of the column once the table is read. A file may
    lack a column that is `optional`; the table that is read has it nevertheless, with empty cells,
    if it is `filled` too.
    """

    expected: str
    pattern: str
    dtype: str = "str"
    optional: bool = False
    filled: bool = False
    low: float = float("-inf")
    high: float = float("inf")

    @property
    def text(self) -> bool:
        return self.dtype == "str"

    @property
    def whole(self) -> bool:
        return self.dtype.lower() == "int64"


@dataclass(frozen=True)
class Table:
    """The columns of a table; `key` are those whose cells together occur only once."""

    columns: dict[str, Column]
    key: tuple[str, ...]
    required: bool = False


def one_of(*choices: str, optional: bool = False, filled: bool = False) -> Column:
    """A column that holds one of these words."""
    words = ", ".join(choice or "nothing" for choice in choices)
    return Column(f"one of: {words}", "|".join(choices), optional=optional, filled=filled)


def number(low: float, high: float, expected: str) -> Column:
    """A column of numbers from `low` to `high`."""
    return Column(expected, NUMBER, "float64", low=low, high=high)


NAME = Column("a name", ".+")
TEXT = Column("one line of text", ".*", optional=True, filled=True)
FPS = Column(
    "frames per second, from 0.01 to 1000, or nothing",
    f"|{NUMBER}",
    "float64",
    optional=True,
    filled=True,
    low=0.01,
    high=1000,
)
LENGTH = Column(
    "a whole number from 1, or nothing", f"|{COUNT}", "Int64", optional=True, filled=True, low=1
)
FRAME = Column("a whole number from 0", COUNT, "int64")
ANY_NUMBER = number(float("-inf"), float("inf"), "a finite number")
TRUTH = Column("true or false", "true|false|True|False|0|1", "bool")
CAUSE = one_of(*CAUSES, "", optional=True)
CONFIDENCE = Column("3 (clear), 2 (probable), 1 (a toss-up) or nothing", "[123]?", "Int64", True)
VIDEO = Column(
    "an id of letters, digits, '_', '-' and '.' (it names files)", "[A-Za-z0-9_][A-Za-z0-9_.-]*"
)

TABLES = {
    "videos": Table(
        {
            "video": VIDEO,
            "path": Column("a video file, or a pattern such as v01_{frame:06d}.jpg", ".+"),
            "patient": Column("a patient's id (the video's own, where each is one patient)", ".+"),
            "split": one_of("train", "test", "", optional=True, filled=True),
            "fps": FPS,
            "frames": LENGTH,
            "clipper": one_of("metal", "polymer", "", optional=True, filled=True),
            "source": TEXT,
            "licence": TEXT,
        },
        key=("video",),
        required=True,
    ),
    "annotations": Table(
        {
            "video": NAME,
            "frame": FRAME,
            "annotator": NAME,
            "label": one_of(*LABELS),
            "cause": CAUSE,
            "confidence": CONFIDENCE,
        },
        key=("video", "frame", "annotator"),
        required=True,
    ),
    # Decisions on disputed frames: a further vote each. The annotators' own labels stay.
    "adjudications": Table(
        {"video": NAME, "frame": FRAME, "annotator": NAME, "label": one_of(*LABELS)}
        | {"cause": CAUSE, "confidence": CONFIDENCE},
        key=("video", "frame", "annotator"),
    ),
    # How each annotator's passes went: median seconds a label, frames that came twice and how many
    # of those got the same label again.
    "passes": Table(
        {"annotator": NAME, "task": one_of("label", "adjudicate", "audit"), "number": FRAME}
        | {"order": NAME, "labels": FRAME, "left": FRAME, "flagged": FRAME}
        | {"seconds": number(0, float("inf"), "seconds"), "repeats": FRAME, "same": FRAME},
        key=("annotator", "task", "number"),
    ),
    # From the first frame of a phase to the one before `end`.
    "phases": Table(
        {"video": NAME, "start": FRAME, "end": FRAME, "phase": NAME}, key=("video", "start")
    ),
    "actions": Table(
        {"video": NAME, "frame": FRAME, "tip_visible_before": TRUTH, "safe": TRUTH},
        key=("video", "frame"),
    ),
    # A frame may show two tools of one kind: only the same box twice is a duplicate.
    "boxes": Table(
        {"video": NAME, "frame": FRAME, "tool": NAME} | dict.fromkeys(CORNERS, ANY_NUMBER),
        key=("video", "frame", "tool", *CORNERS),
    ),
    "tips": Table(
        {"video": NAME, "frame": FRAME, "jaw": NAME, "x": ANY_NUMBER, "y": ANY_NUMBER}
        | {"visible_share": number(0, 1, "a number from 0 to 1")},
        key=("video", "frame", "jaw"),
    ),
    # What the simulator knows; no real dataset has it.
    "truth": Table(
        {"video": NAME, "frame": FRAME, "label": one_of(*LABELS), "cause": one_of(*CAUSES, "")},
        key=("video", "frame"),
    ),
}
