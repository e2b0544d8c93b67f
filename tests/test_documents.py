"""README, JETSON.md and docs/: their links lead somewhere, their commands are accepted, and they
are as short as they promise to be."""

import argparse
import importlib
import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from clipassistnet.__main__ import COMMANDS
from documents import PAGES, ROOT, commands

NAMES = [str(path.relative_to(ROOT)) for path in PAGES]
SYSTEM = ("git", "cd", "pip", "python3", "sudo", "export", ".", "pre-commit")  # programs


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


class Accepted(Exception):
    """A command's arguments were read without an error."""


def accept(arguments: list[str], monkeypatch) -> None:
    """Read the arguments with the command's own parser, and run nothing."""
    read = argparse.ArgumentParser.parse_known_args

    def only_read(self, *given):
        _, rest = read(self, *given)
        if rest and "Snakemake" not in (self.description or ""):
            self.error(f"unknown: {rest}")
        raise Accepted

    name, *rest = arguments
    command = importlib.import_module(f"clipassistnet.commands.{COMMANDS[name][0]}")
    monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", only_read)
    with pytest.raises((Accepted, SystemExit)) as ended:
        command.main(rest)
    monkeypatch.undo()
    assert ended.type is Accepted or ended.value.code == 0, arguments


@pytest.mark.parametrize("command", commands(), ids=lambda command: command.text[:60])
def test_the_arguments_of_every_command_are_accepted(command, monkeypatch):
    program, *arguments = shlex.split(command.text)
    if program == "make":
        for line in expanded(arguments):
            accept(line, monkeypatch)
    elif Path(program).name == "clipassistnet":
        accept(arguments, monkeypatch)
    elif Path(program).name == "python" and arguments[0].endswith(".py"):
        script = (ROOT / arguments[0]).read_text(encoding="utf-8")
        assert all(f'"{one}"' in script for one in arguments if one.startswith("--"))
    else:
        assert program in SYSTEM or arguments[:2] == ["-m", "pip"], command


def expanded(arguments: list[str]) -> list[list[str]]:
    """The arguments of clipassistnet in what `make` would run."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "ARGS"))}
    options = {"capture_output": True, "text": True, "check": True, "env": clean}
    shown = subprocess.run(["make", "-n", *arguments], cwd=ROOT, **options).stdout
    lines = [shlex.split(line) for line in shown.splitlines() if "-m clipassistnet" in line]
    return [line[line.index("clipassistnet") + 1 :] for line in lines]


def test_every_command_that_no_test_runs_says_why():
    """Commands of `clipassistnet` are run by test_document_commands, those of make are expanded."""
    for command in commands():
        if Path(command.text.split()[0]).name not in ("make", "clipassistnet"):
            assert command.reason or command.page == "CONTRIBUTING.md", command
