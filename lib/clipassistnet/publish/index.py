"""The page that lists what was shared, what was taken out, and what is left to look at."""

from dataclasses import dataclass
from importlib.resources import files

import jinja2


@dataclass
class Entry:
    """One shared notebook. `run` is its key, e.g. `loss=bce,fold=0`."""

    file: str
    notebook: str
    run: str
    heading: str
    kept: int
    withheld: int


def index(
    study: str, entries: list[Entry], counts: dict[str, int], mapped: bool, simulated: bool
) -> str:
    """The page as HTML; it loads nothing from anywhere.

    Args:
        counts: what was taken out, and how often.
        mapped: ids of the study became pseudonyms.
    """
    template = files(__package__).joinpath("index.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(
        study=study,
        entries=entries,
        counts=sorted(counts.items()),
        mapped=mapped,
        simulated=simulated,
    )
