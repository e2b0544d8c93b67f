"""What the fault tests saw, as a table: from pytest's own record into docs/reliability.md.

    python tests/faults.py docs/reliability.md build/test-all.xml

Each fault test hands a `Fault` to the fixture `seen`; pytest writes them into its JUnit XML, and
this script writes the table between two marks of the page, dated by that run.
"""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

BEGIN, END = "<!-- faults: written by make reliability -->", "<!-- end of faults -->"


@dataclass
class Fault:
    """One kind of fault: how often it was tried, and what came of it.

    `survived` counts the trials in which nothing wrong was taken for right, and in which the next
    run, the fault gone, came to the same result as one that never met it.
    """

    fault: str
    tried: int
    survived: int
    said: str
    kept: str


def read(reports: list[Path]) -> tuple[str, list[Fault]]:
    """Date of the last of these test runs, and the faults of all.

    Raises:
        ValueError: a fault test failed (its row would be missing), or there is none.
    """
    dates, faults, failed = [], [], []
    for suite in (s for path in reports for s in ElementTree.parse(path).iter("testsuite")):
        dates.append(suite.get("timestamp", "")[:10])
        for case in suite.iter("testcase"):
            told = [p.get("value") for p in case.iter("property") if p.get("name") == "fault"]
            faults += [Fault(**json.loads(text)) for text in told]
            broken = case.find("failure") is not None or case.find("error") is not None
            if broken and ".test_faults" in f".{case.get('classname')}":
                failed.append(case.get("name"))
    if failed or not faults:
        raise ValueError(f"{', '.join(failed) or 'no fault tests'}: no table of that")
    return max(dates), faults


def table(date: str, faults: list[Fault]) -> str:
    """The table in Markdown."""
    lines = [f"Last run: {date}.", "", "| fault | tried | survived | message | state afterwards |"]
    lines.append("|---|---|---|---|---|")
    for fault in faults:
        cells = (str(cell).replace("|", "\\|") for cell in asdict(fault).values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(page: Path, reports: list[Path]) -> None:
    """Put the table into the page.

    Raises:
        ValueError: the page lacks the marks, or see `read`.
    """
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{page}: expected {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n{table(*read(reports))}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), [Path(path) for path in sys.argv[2:]])
