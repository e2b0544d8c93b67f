"""Removes from a text what identifies a person, a machine or a place, and finds what is left."""

import ipaddress
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property, partial

from clipassistnet.publish.dates import find_dates, without_dates
from clipassistnet.publish.encodings import (
    BASE64,
    HEX,
    from_base64,
    from_hex,
    pattern,
    readings,
    without_escapes,
    without_invisible,
)
from clipassistnet.publish.paths import PATH

REMOVED = "█"  # no letter of any term
SHORT = 4  # letters; what is shorter is in many words, and in any encoded data, by chance

GENERIC = {
    "address": re.compile(
        r"\b(?!file:)[a-z][a-z0-9+.-]*://[^\s'\"<>`]+|\bwww\.[^\s'\"<>`]+", re.IGNORECASE
    ),
    "e-mail": re.compile(r"[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+|[\w.+-]+@[\w.-]+(?=:[/~])"),
    "path": PATH,
    "hardware address": re.compile(r"(?<![\w:])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![\w:])", re.I),
    "IP address": re.compile(
        r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])|(?<![\w:])(?:[0-9a-f]{0,4}:){2,}[0-9a-f]{0,4}"
        r"(?:%\w+)?(?![\w:])",
        re.IGNORECASE,
    ),
}


@dataclass(frozen=True)
class Term:
    """Something that must not leave, and its replacement.

    `whole`: only where it is no part of a longer word or number.
    """

    text: str
    instead: str = REMOVED
    whole: bool = False

    @cached_property
    def pattern(self) -> re.Pattern:
        return pattern(self.text, self.whole)

    @cached_property
    def _run(self) -> str:
        """A part that every form holds: searching for it first saves most of the work."""
        return max(re.findall("[a-z0-9]+", self.text.casefold()), key=len, default="")

    @cached_property
    def short(self) -> bool:
        return len(re.sub(r"[\W_]", "", self.text)) < SHORT

    def may_be_in(self, folded: str) -> bool:
        """Whether a search in the text that was case-folded to this can find anything."""
        return self._run in folded

    def is_encoded_in(self, decoded: str, folded: str) -> bool:
        return not self.short and self.may_be_in(folded) and bool(self.pattern.search(decoded))


@dataclass
class Redactor:
    """Removes terms, paths, addresses and dates; `counts` says how many of each."""

    terms: list[Term]
    counts: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Longer terms first, as shorter ones may be parts of them."""
        self.terms = sorted(self.terms, key=lambda term: -len(term.text))

    def clean(self, text: str) -> str:
        text = without_invisible(unicodedata.normalize("NFC", text))
        text = self._terms(text)  # first: a path may end within a name
        for kind, generic in GENERIC.items():
            text = generic.sub(partial(self._generic, kind), text)
        text, dates = without_dates(text, "[date]")
        self.counts["date"] += dates
        for encoded, decode in ((BASE64, from_base64), (HEX, from_hex)):
            text = encoded.sub(partial(self._encoded, decode), text)
        return text

    def surviving(self, text: str) -> list[str]:
        """The terms that can still be read in a text, in any form or encoding."""
        left: set[Term] = set()
        for reading, encoded in readings(text).items():
            folded = reading.casefold()
            if encoded:
                left |= {term for term in self.terms if term.is_encoded_in(reading, folded)}
            else:
                left |= {t for t in self.terms if t.may_be_in(folded) and t.pattern.search(reading)}
        return [term.text for term in self.terms if term in left]

    def _terms(self, text: str) -> str:
        folded = text.casefold()
        for term in self.terms:
            if term.may_be_in(folded):
                text, count = term.pattern.subn(term.instead.replace("\\", r"\\"), text)
                self.counts["terms and ids"] += count
        return text

    def _generic(self, kind: str, match: re.Match[str]) -> str:
        if kind == "IP address" and not _is_address(match[0]):
            return match[0]
        self.counts[kind] += 1
        return f"[{kind}]"

    def _encoded(self, decode: Callable[[str], Iterable[str]], match: re.Match[str]) -> str:
        decoded = "\n".join(decode(match[0]))
        folded = decoded.casefold()
        if any(term.is_encoded_in(decoded, folded) for term in self.terms):
            self.counts["terms and ids"] += 1
            return REMOVED
        return match[0]


def suspicious(text: str) -> list[str]:
    """What looks like a path or a date once escapes and tags are undone."""
    reading = without_escapes(text)
    return [match[0] for match in PATH.finditer(reading)] + find_dates(reading)


def _is_address(text: str) -> bool:
    """Versions such as 3.11.7.0 count as an address; `a[::2]` and 12:30:00 do not."""
    try:
        address = ipaddress.ip_address(text.split("%")[0])
    except ValueError:
        return False
    return address.version == 4 or len([part for part in text.split(":") if part]) >= 3
