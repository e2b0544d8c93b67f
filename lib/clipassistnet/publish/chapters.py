"""An executed notebook as a chapter: its prose, tables and figures, without its code."""

import re
from dataclasses import dataclass, field
from html import escape
from typing import Any

import mistune
import nbformat
from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from clipassistnet.publish.copying import Copier
from clipassistnet.publish.finished_runs import Made
from clipassistnet.publish.notebook_pictures import figures_of

NUMBER = re.compile(r"[-+]?[\d,]*\.?\d+(e[-+]?\d+)?|nan|NaN|-|", re.IGNORECASE)
FORMULA = re.compile(r"\$([^$\n]+)\$")
MENTION = re.compile(r"\b(notebooks?) (0\d)\b")


@dataclass
class Chapter:
    """One notebook: its title and number, its first run's story, and the other runs'."""

    number: str
    title: str
    body: str
    results: list[dict[str, Any]] = field(default_factory=list)  # of each run, where there are many
    others: list[tuple[str, str]] = field(default_factory=list)  # (key, tables and figures)


class Teller:
    """Turns runs into chapters; pictures as in `share`: those tagged, or every one."""

    def __init__(self, key: bytes, every_picture: bool):
        self._copier = Copier(key, every_picture=every_picture)
        self._markdown = mistune.create_markdown(escape=True, plugins=["table"])

    def chapter(self, name: str, runs: list[Made]) -> Chapter:
        first, *others = runs
        notebook = self._read(first)
        heading, _, rest = notebook.cells[0].source.partition("\n")
        notebook.cells[0].source = rest
        title = re.sub(r"^# *(\d+ *· *)?", "", heading)
        chapter = Chapter(name[:2], title, self._told(notebook, prose=True))
        if others:
            rows = [{**run.record["metrics"], "wall_s": run.record["wall_s"]} for run in runs]
            names = dict.fromkeys(name for row in rows for name in row)
            chapter.results = [
                {"run": run.key, **{name: row.get(name, "") for name in names}}
                for run, row in zip(runs, rows, strict=True)
            ]
            told = ((run.key, self._told(self._read(run), prose=False)) for run in others)
            chapter.others = list(told)
            chapter.body = f"<p class='run'>{escape(first.key)}</p>{chapter.body}"
        return chapter

    def _read(self, run: Made) -> NotebookNode:
        return self._copier.copy(nbformat.read(run.folder / "notebook.ipynb", as_version=4))

    def _told(self, notebook: NotebookNode, prose: bool) -> str:
        parts = []
        for cell in notebook.cells:
            if cell.cell_type == "code":
                parts += [_output(output, cell.source) for output in cell.outputs]
            elif prose:
                parts.append(self._prose(cell.source))
        return "\n".join(parts)

    def _prose(self, text: str) -> str:
        html = self._markdown(text)
        html = re.sub(r"<(/?)h([1-5])>", lambda m: f"<{m[1]}h{int(m[2]) + 1}>", html)
        return MENTION.sub(r'\1 <a href="#n\2">\2</a>', FORMULA.sub(_formula, html))


def _formula(match: re.Match) -> str:
    """The few symbols of the notebooks; what is more than letters with an index stays as it is."""
    simple = re.fullmatch(r"([A-Za-z])(?:_\{?(\w+)\}?)?", match[1])
    if not simple:
        return match[0]
    return f"<i>{simple[1]}{f'<sub>{simple[2]}</sub>' if simple[2] else ''}</i>"


def _output(output: NotebookNode, source: str) -> str:
    if output.output_type == "stream":
        kind = "printed" if output.name == "stdout" else "message"
        return f"<pre class='{kind}'>{escape(output.text.rstrip())}</pre>"
    if output.output_type == "error":
        return f"<pre class='error'>{escape(output.ename)}: {escape(output.evalue)}</pre>"
    data = output.data
    if "image/png" in data:
        name = escape(" ".join(sorted(figures_of(source))).replace("_", " "))
        return (
            f"<figure><img alt='{name}' src='data:image/png;base64,{data['image/png']}'></figure>"
        )
    if "text/html" in data:
        return f"<div class='wide'>{_aligned(data['text/html'])}</div>"
    return f"<pre class='printed'>{escape(data.get('text/plain', ''))}</pre>"


def _aligned(html: str) -> str:
    """A table whose numbers stand right, and whose header is one row."""
    soup = BeautifulSoup(html, "html.parser")
    for cell in soup.find_all("td"):
        if NUMBER.fullmatch(cell.get_text().strip()):
            cell["class"] = "n"
    for head in soup.find_all("thead"):
        _merge_index_names(head.find_all("tr"))
    return str(soup)


def _merge_index_names(rows: list[Tag]) -> None:
    """pandas gives the index names a row of their own: they fit into the gaps of the one above."""
    if len(rows) != 2:
        return
    above, below = (row.find_all("th") for row in rows)
    names = [(a, b) for a, b in zip(above, below, strict=False) if b.get_text(strip=True)]
    if len(above) == len(below) and not any(a.get_text(strip=True) for a, _ in names):
        for gap, name in names:
            gap.string = name.get_text(strip=True)
        rows[1].extract()
