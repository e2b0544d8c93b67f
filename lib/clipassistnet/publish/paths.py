"""Finds paths in texts, as error messages of every system print them."""

import re

# A name within a path; between two separators it may hold spaces: /Users/Anna Maria/x.
NAME = r"[^\s/\\'\"<>|:;,()\[\]{}`“”‘’]+"
NAMES = rf"{NAME}(?: {NAME}){{0,4}}"
START = r"(?<![^\W_]|[/.<])"

PATTERNS = (
    # file:/home/anna/x, file:///C:/Users/Anna Maria/x
    rf"\bfile:/+(?:[A-Za-z]:/+)?(?:{NAMES}/+)*(?:{NAME})?",
    # Quoted, with any other character in it.
    r"(?<=')(?:/|~|\.\.?/|[A-Za-z]:[\\/]|\\\\)[^'\n]*[/\\][^'\n]*(?=')",
    r'(?<=")(?:/|~|\.\.?/|[A-Za-z]:[\\/]|\\\\)[^"\n]*[/\\][^"\n]*(?=")',
    # POSIX: /home/anna/x, //server/share, ~anna/x, ../x, ./x.mp4, $HOME/x
    rf"{START}(?:~\w*|\.\.?)?/{{1,3}}(?:{NAMES}/+)+(?:{NAME})?",
    rf"{START}(?:~\w*|\.\.)/{NAME}",
    rf"{START}\.?/[\w-]+\.\w{{2,4}}\b",
    rf"(?:\$\{{?\w+\}}?|%\w+%)(?:[/\\]+{NAMES}(?=[/\\]))*[/\\]+{NAME}",
    # Windows, with single or doubled backslashes: C:\Users\Anna, \\?\C:\x, \\server\share, ..\x
    rf"(?:\\\\+[?.]\\+)?(?<!\w)[A-Za-z]:(?:\\+|/)(?:{NAMES}(?:\\+|/))*(?:{NAME})?",
    rf"\\\\+{NAME}(?:\\+{NAMES}(?=\\))*\\+{NAME}",
    rf"(?<![\w.\\])\.\.?\\+(?:{NAMES}\\+)*{NAME}",
    rf"(?<![\w\\]){NAME}(?:\\+{NAMES}(?=\\))*\\+[\w -]+\.\w{{2,4}}\b",
    # Escaped separators: \/home\/anna, %2Fhome%2Fanna
    r"(?<!\d)(?:\\/[^\s'\"\\/]+){2,}",
    rf"{START}%2F(?:[\w.+~-]|%[0-9A-F]{{2}})+",
)
PATH = re.compile("|".join(PATTERNS), re.IGNORECASE)
