"""Public data sets, and annotations made in CVAT, as our dataset folders. No picture is copied.

    clipassistnet import --help

Each module reads one source, in that source's own layout, and refuses what does not fit: a wrong
order of columns, a picture without labels, labels that are shifted against the frames. The
published tip-visibility labels come with one call, `m2cai16.tip_visibility()`.
"""

from clipassistnet.data.importers import cholec80, cholect50, cvat, m2cai16
from clipassistnet.data.importers.common import Imported, save

__all__ = ["Imported", "cholec80", "cholect50", "cvat", "m2cai16", "save"]
