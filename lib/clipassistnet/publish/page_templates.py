"""The HTML pages of this package: jinja templates, filled with values that are escaped."""

from functools import cache
from typing import Any

import jinja2


def render(name: str, **values: Any) -> str:
    """The template of this name, filled; a value that it uses and that is missing is an error."""
    return _environment().get_template(name).render(**values)


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.tests["column_of_numbers"] = _is_column_of_numbers
    return environment


def _is_column_of_numbers(name: str, rows: list[dict[str, Any]]) -> bool:
    return all(row[name] in ("", "-") or _is_number(row[name]) for row in rows)


def _is_number(value: Any) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _figure(value: Any) -> str:
    """A table's cell: a number with four significant digits, as in the notebooks."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_figure(one)}" for name, one in value.items())
    if value is None or str(value) == "nan":
        return "-"
    if not _is_number(value) or "." not in str(value):
        return str(value)
    return f"{float(str(value)):.4g}"
