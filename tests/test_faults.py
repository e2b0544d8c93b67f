"""The table of faults is what the test run recorded, or there is none."""

import json
from dataclasses import asdict

import pytest

import faults

FAULT = faults.Fault("a cut | video", 50, 50, "its name", "the others")


def report(tmp_path, *cases: str):
    path = tmp_path / "tests.xml"
    suite = '<testsuite name="pytest" timestamp="2031-02-03T04:05:06+00:00">'
    path.write_text(f"<testsuites>{suite}{''.join(cases)}</testsuite></testsuites>")
    return path


def case(name: str, inside: str = "", module: str = "tests.test_faults_data") -> str:
    return f'<testcase classname="{module}" name="{name}">{inside}</testcase>'


def told(fault: faults.Fault) -> str:
    value = json.dumps(asdict(fault)).replace('"', "&quot;")
    return f'<properties><property name="fault" value="{value}"/></properties>'


def test_the_table_is_dated_and_replaces_the_former(tmp_path):
    page = tmp_path / "reliability.md"
    page.write_text(f"before\n{faults.BEGIN}\nold\n{faults.END}\nafter\n")
    faults.write(page, [report(tmp_path, case("a", told(FAULT)), case("b"))])
    text = page.read_text()
    assert text.startswith("before\n")
    assert text.endswith(f"{faults.END}\nafter\n")
    assert "Last run: 2031-02-03." in text
    assert "| a cut \\| video | 50 | 50 | its name | the others |" in text
    assert "old" not in text


@pytest.mark.parametrize(
    "cases",
    [
        [case("a")],
        [case("a", told(FAULT)), case("kill", "<failure>no</failure>")],
        [case("a", told(FAULT)), case("kill", "<error>no</error>")],
    ],
)
def test_no_table_without_faults_or_with_a_failed_one(tmp_path, cases):
    with pytest.raises(ValueError, match="no table of that"):
        faults.read([report(tmp_path, *cases)])


def test_a_page_without_its_marks_is_left_alone(tmp_path):
    (tmp_path / "reliability.md").write_text("nothing")
    with pytest.raises(ValueError, match="expected <!--"):
        faults.write(tmp_path / "reliability.md", [report(tmp_path, case("a", told(FAULT)))])
