"""The forms that a term may have in a text: other spellings, escapes and encodings."""

import base64
import binascii
import html
import html.entities
import re
import unicodedata
from collections.abc import Iterator
from urllib.parse import quote, unquote_plus

GAP = r"(?:[\W_]|%[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|&#?\w{1,8};)"  # one between two words
FOLDED = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "oe", "å": "aa"}
FOLDED |= {"ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"}
BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
HEX = re.compile(r"(?:[0-9a-fA-F]{2}[ :]?){4,}")
ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(\W))")
TAG = re.compile(r"<[^<>]*>|\x1b\[[0-9;?]*[ -/]*[@-~]")
DEEPEST = 3  # how often one encoding may lie within another


def pattern(term: str, whole: bool) -> re.Pattern:
    """A pattern for a term: in any case, with other gaps between words, escaped, or in ASCII.

    Args:
        whole: not as a part of a longer word or number (`v1` is not found in `v12`).

    Raises:
        ValueError: the term has neither letter nor digit.
    """
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", term))
    if not words:
        raise ValueError(f"term {term!r}: expected letters or digits")
    # `Anna, Maria` is `Anna Maria`; but `p = 1` is not the id `p-1`.
    gap = GAP + ("?" if whole else "{0,6}")
    body = gap.join("".join(_character(c) for c in word) for word in words)
    if whole:
        body = _edge(words[0][0], "<!") + body + _edge(words[-1][-1], "!")
    return re.compile(body, re.IGNORECASE)


def _character(character: str) -> str:
    """A letter; one that is not ASCII also decomposed, escaped and without its accent."""
    if character.isascii():
        return character
    forms = {character.lower(), character.upper()}
    forms |= {unicodedata.normalize("NFD", form) for form in forms}
    plain = {unicodedata.normalize("NFD", character)[0], FOLDED.get(character.lower(), character)}
    written = forms | plain
    for form in forms:
        written |= {quote(form), "".join(_each(form, r"\u{:04x}")), "".join(_each(form, "&#{};"))}
        written |= {quote(form, encoding="latin-1", errors="ignore") or form}
        written |= {form.encode("unicode_escape").decode()}
        written |= {"".join(_each(form, "&#x{:x};"))}
        written |= {f"&{name}" for name, value in html.entities.html5.items() if value == form}
    longest_first = sorted(written, key=lambda text: (-len(text), text))
    return "(?:" + "|".join(re.escape(text) for text in longest_first) + ")"


def _each(text: str, form: str) -> Iterator[str]:
    return (form.format(ord(character)) for character in text)


def _edge(character: str, kind: str) -> str:
    """No further digit beside a digit, no further letter beside a letter."""
    beside = "[0-9]" if character.isdigit() else r"[^\W\d_]"
    return f"(?{kind}{beside})"


def readings(text: str) -> dict[str, bool]:
    """A text, and every reading of it once escapes and encodings are undone.

    Returns:
        {reading: whether an encoding was undone for it}. Most of the decoded readings are noise, in
        which any two letters occur by chance.
    """
    found, new = {text: False}, {text: False}
    for _ in range(DEEPEST):
        plain = {without_escapes(part): encoded for part, encoded in new.items()}
        new = {**{_decoded(part): True for part in new}, **plain}
        new = {part: encoded for part, encoded in new.items() if part not in found}
        found |= new
    return found


def without_escapes(text: str) -> str:
    """Text without escapes, tags, colours and invisible characters; wide letters become narrow."""
    text = html.unescape(unquote_plus(_unescaped(text)))
    return without_invisible(unicodedata.normalize("NFKC", TAG.sub("", text)))


def _decoded(text: str) -> str:
    decoders = ((BASE64, from_base64), (HEX, from_hex))
    return "\n".join(
        part for form, decode in decoders for m in form.finditer(text) for part in decode(m[0])
    )


def from_base64(text: str) -> Iterator[str]:
    """Readable text that base64 may encode, from each of its first four letters."""
    letters = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    for start in range(4):
        piece = letters[start:]
        try:
            body = base64.b64decode(piece[: len(piece) // 4 * 4 + _rest(piece)] + "==")
        except binascii.Error:
            continue
        yield body.decode("utf-8", errors="ignore")
        yield body.decode("latin-1")


def _rest(piece: str) -> int:
    """Letters after the last four that still hold a byte: one alone holds none."""
    return len(piece) % 4 if len(piece) % 4 > 1 else 0


def from_hex(text: str) -> Iterator[str]:
    """Readable text that hexadecimal digits may encode."""
    yield bytes.fromhex(re.sub("[ :]", "", text)).decode("utf-8", errors="ignore")


def _unescaped(text: str) -> str:
    return ESCAPED.sub(lambda m: m[3] or chr(int(m[1] or m[2], 16)), text)


def without_invisible(text: str) -> str:
    """Text without soft hyphens, joiners and other invisible characters."""
    return "".join(c for c in text if unicodedata.category(c) != "Cf")
