"""One annotation file of Pascal VOC's layout: the objects in one picture, and their boxes."""

import re
from pathlib import Path
from xml.etree import ElementTree

from clipassistnet.data.importers.tool_lists import TOOLS
from clipassistnet.data.schema import NUMBER


def objects(path: Path, picture: str, size: tuple[int, int]) -> list[tuple[str, list[float]]]:
    """Tool and corners (x0, y0, x1, y1 in pixels) of each object of a file.

    Args:
        path: of the XML file.
        picture: name of the picture that it must name.
        size: width and height of that picture, which it must state.

    Raises:
        ValueError: where the file is of another picture, or names an unknown tool.
        ElementTree.ParseError: where it is no XML.
    """
    root = ElementTree.parse(path).getroot()
    named = root.findtext("filename", "")
    if named != picture:
        raise ValueError(
            f"filename {named!r} (expected {picture!r}: is the file of another frame?)"
        )
    stated = (root.findtext("size/width"), root.findtext("size/height"))
    if stated != tuple(map(str, size)):
        raise ValueError(f"size {stated} (expected {size}, that of the picture)")
    found = []
    for each in root.iter("object"):
        tool = each.findtext("name", "")
        if tool not in TOOLS:
            raise ValueError(f"tool {tool!r} (expected one of {', '.join(TOOLS)})")
        corners = [each.findtext(f"bndbox/{tag}", "") for tag in ("xmin", "ymin", "xmax", "ymax")]
        found.append((tool, [_number(corner) for corner in corners]))
    return found


def _number(text: str) -> float:
    if not re.fullmatch(NUMBER, text):
        raise ValueError(f"corner {text!r} (expected a number)")
    return float(text)
