"""What the fault tests saw, as a table: from pytest's own record into the README.

    python tests/faults.py build/test-all.xml README.md

Each fault test hands a `Fault` to the fixture `seen`; pytest writes them into its JUnit XML, and
this script writes the table between two marks of the README, dated by that run.
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


def read(report: Path) -> tuple[str, list[Fault]]:
    """Date of a test run, and the faults of it.

    Raises:
        ValueError: a fault test failed (its row would be missing), or there is none.
    """
    suite = next(ElementTree.parse(report).getroot().iter("testsuite"))
    faults, failed = [], []
    for case in suite.iter("testcase"):
        told = [p.get("value") for p in case.iter("property") if p.get("name") == "fault"]
        faults += [Fault(**json.loads(text)) for text in told]
        broken = case.find("failure") is not None or case.find("error") is not None
        if broken and ".test_faults" in f".{case.get('classname')}":
            failed.append(case.get("name"))
    if failed or not faults:
        raise ValueError(f"{report}: {', '.join(failed) or 'no fault tests'}: no table of that")
    return suite.get("timestamp", "")[:10], faults


def table(date: str, faults: list[Fault]) -> str:
    """The table in Markdown."""
    lines = [f"Last run: {date}.", "", "| fault | tried | survived | what is said | what is kept |"]
    lines.append("|---|---|---|---|---|")
    for fault in faults:
        cells = (str(cell).replace("|", "\\|") for cell in asdict(fault).values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(report: Path, readme: Path) -> None:
    """Put the table into the README.

    Raises:
        ValueError: the README lacks the marks, or see `read`.
    """
    text = readme.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"{readme}: expected {BEGIN} and {END}")
    readme.write_text(f"{before}{BEGIN}\n{table(*read(report))}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
