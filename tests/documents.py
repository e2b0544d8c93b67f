"""The pages of this project and their commands.

A comment above a shell block says why no test runs it: <!-- not run by a test: needs a Jetson -->
"""

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "JETSON.md", "CONTRIBUTING.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
BLOCK = re.compile(
    r"(?:<!-- not run by a test: (?P<reason>[^>]+) -->\n)?```sh\n(?P<body>.*?)```", re.DOTALL
)


class Command(NamedTuple):
    """One command of a page. `reason`: why no test runs it; "" where one does."""

    page: str
    text: str
    reason: str


def commands() -> list[Command]:
    """The commands of every page's shell blocks."""
    found = []
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            body = block["body"].replace("\\\n", " ")
            lines = (line.split(" #")[0].strip() for line in body.splitlines())
            parts = [part for line in lines for part in line.split(" && ")]
            found += [
                Command(name, part, block["reason"] or "")
                for part in parts
                if part and not part.startswith("#")
            ]
    return found
