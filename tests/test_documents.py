"""README, JETSON.md and docs/: their links lead somewhere, their commands are accepted, and they
are as short as they promise to be."""

import argparse
import importlib
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from clipassistnet.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / name for name in ("README.md", "JETSON.md", "CONTRIBUTING.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
BLOCK = re.compile(
    r"(?:<!-- not tested: (?P<reason>[^>]+) -->\n)?```sh\n(?P<body>.*?)```", re.DOTALL
)
LIBRARY = "clipassistnet"
WITHOUT_TEST = ("git", "cd", "pip", "python3", "sudo", "export", ".")  # of the system, not ours


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_to_a_file_and_a_heading(name):
    page = ROOT / name
    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8"))
    for link in links:
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = unquote(link).partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name}: {link}"


def test_the_readme_is_short():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    before, _, rest = text.partition("<!-- headline")
    table, _, after = rest.partition("<!-- end of headline -->")
    assert len(before.split()) + len(after.split()) <= 950
    assert table.count("\n| ") <= 10


@pytest.mark.parametrize("name", NAMES)
def test_no_result_is_typed_by_hand(name):
    """An AUROC or a similar figure stands only in a block that `make results` writes."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if "`make results` writes it from" in text:
        return  # the page of results, all of which is written
    outside = re.sub(r"<!-- (\w+): written by.*?<!-- end of \1 -->", "", text, flags=re.DOTALL)
    prose = re.sub(r"```.*?```", "", outside, flags=re.DOTALL)
    typed = re.findall(r"(?:AUROC|specificity|sensitivity)[^.|\n]{0,40}\b0\.\d\d", prose)
    assert not typed, f"{name}: {typed}"


def test_every_page_of_docs_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name}" in readme, page.name


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_a_page_of_docs_says_for_whom_it_is(page):
    first = page.read_text(encoding="utf-8").split("\n\n")[1]
    assert re.match(r"This page is for ", first), first


def commands(page: Path) -> list[str]:
    """The commands of a page's shell blocks, without the blocks that are marked as not tested."""
    found = []
    for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if not block["reason"]:
            body = block["body"].replace("\\\n", " ")
            lines = (line.split(" #")[0].strip() for line in body.splitlines())
            found += [part for line in lines for part in line.split(" && ") if part]
    return [one for one in found if not one.startswith("#")]


ALL = [(str(page.relative_to(ROOT)), one) for page in PAGES for one in commands(page)]


class Accepted(Exception):
    """A command's arguments were read without an error."""


def accept(arguments: list[str], monkeypatch) -> None:
    """Read the arguments with the command's own parser, and run nothing."""
    parse_args = argparse.ArgumentParser.parse_args

    def reading(self, *given):
        parse_args(self, *given)
        raise Accepted

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", reading)
    name, *rest = arguments
    command = importlib.import_module(f"clipassistnet.commands.{COMMANDS[name][0]}")
    command.main(rest)


@pytest.mark.parametrize(("page", "command"), ALL)
def test_every_command_of_a_page_is_accepted(page, command, monkeypatch):
    program, *arguments = shlex.split(command)
    if program == "make":
        ran = subprocess.run(
            ["make", "-n", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
    elif Path(program).name == LIBRARY:
        with pytest.raises((Accepted, SystemExit)) as ended:
            accept(arguments, monkeypatch)
        assert ended.type is Accepted or ended.value.code == 0
    elif Path(program).name == "python" and arguments[0].endswith(".py"):
        assert (ROOT / arguments[0]).is_file()
        for option in (one for one in arguments if one.startswith("--")):
            assert f'"{option}"' in (ROOT / arguments[0]).read_text(encoding="utf-8")
    else:
        assert program in WITHOUT_TEST, f"{page}: {command}"
