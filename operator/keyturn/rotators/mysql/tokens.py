"""The tokens of the lines in which the server describes accounts: names may hold any word."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>`(?:[^`]|``)*`|'(?:[^']|'')*'|"(?:[^"]|"")*")"""
    r"""|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<mark>[^\s]))"""
)


@dataclass(frozen=True, slots=True)
class Token:
    """One token: `kind` is `quoted`, `word` or `mark`; it stands at `start` to `end`."""

    kind: str
    text: str
    start: int
    end: int

    def is_word(self, *words: str) -> bool:
        return self.kind == "word" and self.text.upper() in words


def tokens(line: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(line):
        kind = match.lastgroup or "mark"
        yield Token(kind, match[kind], match.start(kind), match.end(kind))


def unquoted(text: str) -> str:
    """Return a quoted name as it is.

    >>> unquoted("`a``b`")
    'a`b'
    """
    quote = text[0]
    return text[1:-1].replace(quote * 2, quote)
