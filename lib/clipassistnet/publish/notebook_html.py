"""An executed notebook as HTML, by nbconvert: its prose, tables and figures, without its code."""

import re
from functools import cache

import bleach
import jinja2
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from clipassistnet.publish.copying import HTML_TAGS, SPANS
from clipassistnet.publish.html_tables import tidy
from clipassistnet.publish.notebook_pictures import figures_of

FORMULA = re.compile(r"\$([^$\n]+)\$")
NOTEBOOK_NAME = re.compile(r"\b(notebooks?) (0\d)\b")


def to_html(notebook: NotebookNode) -> str:
    """The notebook's cells as HTML for the body of a page that has an anchor for each notebook.

    Args:
        notebook: as `Copier` copies it: nothing in it loads or runs.
    """
    return _exporter().from_notebook_node(notebook)[0]


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(
        extra_loaders=[jinja2.PackageLoader(__package__)],
        template_name="basic",
        template_file="notebook.html.j2",
        exclude_anchor_links=True,
        filters={
            "safe_prose": _safe_prose,
            "tidy_table": tidy,
            "figure_names": _figure_names,
        },
    )


def _safe_prose(html: str) -> str:
    """Prose with the allowed elements; others are shown as text. Headings go one level down."""
    html = bleach.clean(html, HTML_TAGS | {"a"}, {**SPANS, "a": ["href"]})
    html = re.sub(r"<(/?)h([1-5])>", lambda m: f"<{m[1]}h{int(m[2]) + 1}>", html)
    return NOTEBOOK_NAME.sub(r'\1 <a href="#n\2">\2</a>', FORMULA.sub(_formula, html))


def _formula(match: re.Match) -> str:
    """A letter with an index, as the notebooks write it; other formulas stay as they are."""
    simple = re.fullmatch(r"([A-Za-z])(?:_\{?(\w+)\}?)?", match[1])
    if not simple:
        return match[0]
    return f"<i>{simple[1]}{f'<sub>{simple[2]}</sub>' if simple[2] else ''}</i>"


def _figure_names(source: str) -> str:
    return " ".join(sorted(figures_of(source))).replace("_", " ")
