"""A copy of an executed notebook that holds only what is known to be harmless.

Every kind of cell, output, HTML element and attribute that is not listed here is left out.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import bleach
import nbformat
from bs4 import BeautifulSoup
from nbformat import NotebookNode

from clipassistnet.publish.notebook_pictures import SHAREABLE, reencoded, withheld, without_embedded

CELL_TAGS = ("parameters", "injected-parameters", SHAREABLE)
PICTURES = ("image/png", "image/jpeg")
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
LONGEST = 100_000  # characters of one output: longer ones are data, not a table or a message

# The elements and attributes of tables and messages.
HTML_TAGS = {"table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "div", "p", "span"}
HTML_TAGS |= {"br", "hr", "b", "strong", "i", "em", "code", "pre", "blockquote", "ul", "ol", "li"}
HTML_TAGS |= {"h1", "h2", "h3", "h4", "h5", "h6"}
SPANS = {"th": ["colspan", "rowspan"], "td": ["colspan", "rowspan"]}

ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
MARKDOWN_PICTURE = re.compile(r"!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])")
MEDIA_IN_MARKDOWN = re.compile(
    r"<(script|style|iframe|object|svg|canvas|video|audio|picture)\b.*?(</\1\s*>|\Z)"
    r"|</?(img|image|source|embed|link|meta|base|input|script|iframe)\b[^>]*>?",
    re.IGNORECASE | re.DOTALL,
)


@dataclass
class Copier:
    """Copies notebooks; `counts` says what was kept and withheld in all copies so far.

    Pictures in cells tagged `shareable` (in all cells with `every_picture`, for simulated videos)
    are re-encoded and kept. Every other picture becomes its size and a hash under `key`. Text
    passes through `clean`. Widgets, attachments, metadata, other types of output, data URIs and
    HTML that could embed or load something are left out.
    """

    key: bytes
    clean: Callable[[str], str] = str
    every_picture: bool = False
    counts: Counter[str] = field(default_factory=Counter)

    def copy(self, notebook: NotebookNode) -> NotebookNode:
        """A new notebook; the given one is left as it is."""
        cells = [self._cell(cell, f"c{i:02}") for i, cell in enumerate(notebook.cells)]
        return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)

    def _cell(self, cell: NotebookNode, name: str) -> NotebookNode:
        tags = [tag for tag in CELL_TAGS if tag in cell.metadata.get("tags", [])]
        common = {"id": name, "metadata": {"tags": tags} if tags else {}}
        if cell.cell_type != "code":
            self.counts["attachments withheld"] += len(cell.get("attachments", {}))
            return nbformat.v4.new_markdown_cell(self._markdown(cell.source), **common)
        keep = self.every_picture or SHAREABLE in tags
        outputs = [self._output(output, keep) for output in cell.outputs]
        count = cell.execution_count if isinstance(cell.execution_count, int) else None
        return nbformat.v4.new_code_cell(
            self._text(cell.source), outputs=outputs, execution_count=count, **common
        )

    def _output(self, output: NotebookNode, keep: bool) -> NotebookNode:
        kind = output.output_type
        if kind == "stream":
            name = "stderr" if output.name == "stderr" else "stdout"
            return nbformat.v4.new_output(kind, name=name, text=self._text(output.text))
        if kind == "error":
            lines = [self._text(line) for line in output.traceback]
            name, value = self._text(output.ename), self._text(output.evalue)
            return nbformat.v4.new_output(kind, ename=name, evalue=value, traceback=lines)
        data = self._data(output.get("data", {}), keep)
        return nbformat.v4.new_output("display_data", data=data)

    def _data(self, given: dict[str, Any], keep: bool) -> dict[str, str]:
        cleaners = {
            "text/plain": self._text,
            "text/html": self._html,
            "text/markdown": self._markdown,
        }
        data, notes = {}, []
        for mime, value in given.items():
            if mime in PICTURES:
                if keep and (picture := self._picture(value)):
                    data["image/png"] = picture
                else:
                    self.counts["pictures withheld"] += 1
                    notes.append(withheld(str(value), self.key))
            elif mime in cleaners and isinstance(value, str):
                data[mime] = cleaners[mime](value)
            else:
                self.counts["other outputs withheld"] += 1
        if notes:  # Jupyter shows the richest type: the note must be the only one
            return {"text/plain": "\n".join(notes)}
        return data or {"text/plain": "[output withheld]"}

    def _picture(self, encoded: str) -> str | None:
        try:
            picture = reencoded(encoded)
        except ValueError:
            return None
        self.counts["pictures kept"] += 1
        return picture

    def _text(self, text: str) -> str:
        if len(text) > LONGEST:
            self.counts["other outputs withheld"] += 1
            return f"[text withheld: {len(text)} characters]"
        return self.clean(without_embedded(ANSI.sub("", text)))

    def _markdown(self, text: str) -> str:
        text, pictures = MARKDOWN_PICTURE.subn("[picture withheld]", text)
        text, media = MEDIA_IN_MARKDOWN.subn("[withheld]", text)
        self.counts["other outputs withheld"] += pictures + media
        return self._text(text)

    def _html(self, html: str) -> str:
        """HTML with the allowed elements alone; others are left out with their content."""
        soup = BeautifulSoup(html, "html.parser")
        for element in soup.find_all(lambda element: element.name not in HTML_TAGS):
            if not element.decomposed:  # with the element around it
                self.counts["other outputs withheld"] += element.name != "style"
                element.decompose()
        # bleach, as browsers do, mends what is left; then only allowed attributes are in it.
        allowed = BeautifulSoup(bleach.clean(str(soup), HTML_TAGS, SPANS), "html.parser")
        for text in allowed.find_all(string=True):
            text.replace_with(self._text(str(text)))
        return str(allowed)
