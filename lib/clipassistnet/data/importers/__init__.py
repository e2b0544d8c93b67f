"""Public data sets, and labels made in labelling tools, as dataset folders. No picture is copied.

Each module reads one source in that source's own layout. It refuses what does not fit: columns in
a wrong order, a picture without labels, labels that are shifted against the frames. The command
is `clipassistnet import`; `m2cai16.tip_visibility()` returns the published tip-visibility labels.
"""

from clipassistnet.data.importers import cholec80, cholect50, coco, cvat, label_studio, m2cai16
from clipassistnet.data.importers.imported import Imported, save

__all__ = [
    "Imported",
    "cholec80",
    "cholect50",
    "coco",
    "cvat",
    "label_studio",
    "m2cai16",
    "save",
]
