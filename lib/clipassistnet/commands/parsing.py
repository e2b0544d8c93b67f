"""The parser that every command starts from."""

from __future__ import annotations

import argparse


def command_parser(command: str, text: str | None, example: str) -> argparse.ArgumentParser:
    """A parser whose help shows `text` as it is written, and one example."""
    return argparse.ArgumentParser(
        prog=f"clipassistnet {command}",
        description=text,
        epilog=f"Example:\n  clipassistnet {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_study(parser: argparse.ArgumentParser) -> None:
    """Add the study as the command's first argument."""
    parser.add_argument(
        "study", metavar="STUDY", help="name of a file in notebooks/studies/, without .yaml"
    )
