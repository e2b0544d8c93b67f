"""Command line: python -m clipassistnet.simulate OUT [--videos N] [--test-videos N] ..."""

import argparse
from dataclasses import fields

from clipassistnet.simulate.generate import Spec, simulate


def main() -> None:
    """Simulate a dataset folder; the options are the fields of `Spec`."""
    parser = argparse.ArgumentParser(prog="python -m clipassistnet.simulate")
    parser.add_argument("out", help="dataset folder to write")
    for field in fields(Spec):
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=field.type, default=field.default, metavar="N")
    arguments = vars(parser.parse_args())
    out = arguments.pop("out")
    try:
        simulate(out, Spec(**arguments))
    except (ValueError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")


if __name__ == "__main__":
    main()
