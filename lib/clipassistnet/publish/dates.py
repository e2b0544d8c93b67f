"""Finds dates in texts, in the forms that people, programs and cameras write.

A date here has at least two of day, month and year. Month names come from Babel (Unicode's CLDR).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

from babel import Locale

from clipassistnet.publish.encodings import FOLDED

LANGUAGES = [
    *("en", "de", "fr", "es", "it", "pt", "nl", "da", "sv", "nb", "fi", "pl", "cs", "sk"),
    *("sl", "hr", "hu", "ro", "bg", "el", "lt", "lv", "et", "tr", "ru", "uk", "ca", "id"),
]

YEAR, MONTH, DAY = r"(?:19|20)\d\d", r"(?:0?[1-9]|1[0-2])", r"(?:0?[1-9]|[12]\d|3[01])"
CLOCK = r"\d{1,2}:\d\d(?::\d\d)?"
START, END = r"(?<![\d.])", r"(?!\d|\.\d|\s?%)"
SEPARATOR = r"\s?(?:[-/._]|[\u2010-\u2015\u2212]|\\/|%2[dDfF])\s?"


def _separated(first: str, second: str, third: str, group: str) -> str:
    return rf"{START}{first}(?P<{group}>{SEPARATOR}){second}(?P={group}){third}"


NUMERIC = re.compile(
    "|".join(
        [
            _separated(YEAR, MONTH, DAY, "a") + rf"(?:T{CLOCK}Z?|{END})",
            rf"{START}{YEAR}:{MONTH}:{DAY}{END}",  # as cameras write it
            _separated(DAY, MONTH, r"(?:19|20)?\d\d", "b") + END,
            _separated(MONTH, DAY, r"(?:19|20)?\d\d", "c") + END,
            # 20210304, 20210304102233, 20210304T102233
            rf"{START}{YEAR}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[T_]?\d{{4}}(?:\d\d)?)?{END}",
            rf"{START}{MONTH}(?:/|\\/){YEAR}{END}|{START}0[1-9][-.]{YEAR}{END}",
            rf"{START}{YEAR}(?:-|/)(?:0[1-9]|1[0-2]){END}",
            rf"{START}{YEAR}-?W[0-5]\d(?:-?[1-7])?{END}|{START}{YEAR}-[0-3]\d\d{END}",
            rf"(?<=date\(){YEAR},\s*{MONTH},\s*{DAY}|(?<=datetime\(){YEAR},\s*{MONTH},\s*{DAY}",
            rf"{YEAR}\s?[年년]\s?{MONTH}\s?[月월](?:\s?{DAY}\s?[日일])?",
            rf"{START}1\d{{9}}(?:\d{{3}})?{END}",  # seconds or milliseconds since 1970
        ]
    ),
    re.IGNORECASE,
)

# With a word instead of the month's name. The group's name says which names it may have:
# "full" is one that is written out, "english" one of English, "any" an abbreviated one as well.
_GAP = r"(?:\s+|[-/._,]\s?)"
_OF = rf"{_GAP}?(?:(?:of|de|di|do|da)\s+)?"
_DAY = rf"(?<![\d.]){DAY}(?:st|nd|rd|th|er|\.|º|ª)?"
_TAIL = rf"(?:,?{_OF}(?:{CLOCK}\s+)?(?:{YEAR}|['’]?\d\d)(?!\d))"
_WORD = r"(?<![^\W\d_])(?P<{}>[^\W\d_]{{3,12}})\.?"
NAMED = re.compile(
    "|".join(
        [
            rf"{_DAY}{_OF}{_WORD.format('any1')}{_TAIL}",
            rf"{_WORD.format('any2')}{_GAP}{DAY}(?:st|nd|rd|th)?(?!\d){_TAIL}",
            rf"{START}{YEAR}{_GAP}{_WORD.format('any3')}(?:{_GAP}{DAY}(?!\d))?",
            rf"{_WORD.format('any4')}{_OF}(?:{YEAR}|['’]\d\d)(?!\d)",
            rf"{_DAY}{_OF}{_WORD.format('full')}",
            rf"{_WORD.format('any5')}\s+{DAY}(?:st|nd|rd|th)\b",
            rf"{_WORD.format('english')}\s+{DAY}{END}",
        ]
    ),
    re.IGNORECASE,
)


def find_dates(text: str) -> list[str]:
    """The dates in a text."""
    return [text[start:end] for start, end in _spans(text)]


def without_dates(text: str, replacement: str) -> tuple[str, int]:
    """The text with its dates replaced, and how many there were."""
    spans = _spans(text)
    for start, end in reversed(spans):
        text = text[:start] + replacement + text[end:]
    return text, len(spans)


def _spans(text: str) -> list[tuple[int, int]]:
    """(start, end) of each date, in order."""
    spans, position = [], 0
    while found := NAMED.search(text, position):
        if _is_month(found):
            spans.append(found.span())
            position = found.end()
        else:  # a date may begin within this match
            position = found.start() + 1
    rest = list(text)
    for start, end in spans:
        rest[start:end] = "x" * (end - start)
    return sorted(spans + [found.span() for found in NUMERIC.finditer("".join(rest))])


def _is_month(found: re.Match[str]) -> bool:
    word = found[found.lastgroup or 0]
    kind = (found.lastgroup or "").rstrip("12345")
    if kind != "any" and word in ("may", "march"):
        return False  # a verb; a date has more to it than a number, or a capital letter
    return word.lower() in _month_names()[kind]


@cache
def _month_names() -> dict[str, set[str]]:
    full = {name for language in LANGUAGES for name in _names(language, "wide")}
    short = {name for language in LANGUAGES for name in _names(language, "abbreviated")}
    english = set(_names("en", "wide")) | set(_names("en", "abbreviated"))
    return {"any": full | short, "full": full, "english": english}


def _names(language: str, width: str) -> Iterator[str]:
    """Month names in lower case, as they are, without accents, and with ae for ä."""
    for kind in ("format", "stand-alone"):
        for name in Locale(language).months[kind][width].values():
            name = re.sub(r"^d(e |[’'])|\.$", "", name.lower())
            yield name
            yield "".join(FOLDED.get(letter, letter) for letter in name)
            yield "".join(c for c in unicodedata.normalize("NFD", name) if c.isalpha())
