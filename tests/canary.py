"""Secret values that betray themselves: made here, searched for where no plaintext may be.

A form is what a leak may look like: the bytes themselves, base64 at each of its three phases (as
it is when other bytes stand before the value), both alphabets of it, hex, URL encoded, escaped
as in JSON. Files are read in overlapping pieces, so that no size is too large and no leak falls
between two reads.

A run makes hundreds of values, with some twenty forms each. So the search is not one pass per form:
of the bytes, only every fourth window of eight is looked up in a set that holds the first four
windows of each form. One of these must meet a form that is there, however it is aligned.
"""

import base64
import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, quote_plus

LEAST_BYTES = 12
"""A shorter value could be there by chance, or have no base64 of its own between its neighbours."""

_PIECE = 1 << 20
_WINDOW, _STRIDE = 8, 4
_MARKS = b'"\\\n%+/=&<>\xc3\xa9'


@dataclass(frozen=True, slots=True)
class Leak:
    """Where a canary was found; neither repr nor text shows the value."""

    number: int
    form: str
    where: str

    def __str__(self) -> str:
        return f"canary {self.number} in {self.form} form in {self.where}"


class Canary:
    """The registry of the secret values of a run, and the search for them."""

    def __init__(self) -> None:
        self._values: list[bytes] = []
        self._needles: list[tuple[bytes, int, str]] = []
        self._windows: set[bytes] = set()

    def make(self, length: int = 32) -> bytes:
        """Return a new value of printable ASCII, registered."""
        if length < LEAST_BYTES:
            raise ValueError(f"a canary needs {LEAST_BYTES} bytes")
        return self.register(secrets.token_urlsafe(length)[:length].encode())

    def make_awkward(self, length: int = 32) -> bytes:
        """Return a new value whose forms all differ: it holds quotes, a newline, an accent."""
        if length < LEAST_BYTES + len(_MARKS):
            raise ValueError(f"an awkward canary needs {LEAST_BYTES + len(_MARKS)} bytes")
        return self.register(self._random(length - len(_MARKS)) + _MARKS)

    def register(self, value: bytes) -> bytes:
        """Search for a value that was made elsewhere, too, such as one that a generator made.

        Raises:
            ValueError: It is too short to be told from chance.
        """
        if len(value) < LEAST_BYTES:
            raise ValueError(f"a canary needs {LEAST_BYTES} bytes")
        if value not in self._values:
            self._values.append(value)
            number = len(self._values)
            for needle, form in _forms(value):
                self._needles.append((needle, number, form))
                self._windows.update(needle[at : at + _WINDOW] for at in range(_STRIDE))
        return value

    def scan_bytes(self, data: bytes, where: str = "bytes") -> list[Leak]:
        """Return each canary and form that the bytes hold."""
        if self._windows.isdisjoint(data[at : at + _WINDOW] for at in range(0, len(data), _STRIDE)):
            return []
        found = ((number, form) for needle, number, form in self._needles if needle in data)
        return [Leak(number, form, where) for number, form in dict.fromkeys(found)]

    def scan_text(self, text: str, where: str = "text") -> list[Leak]:
        """Return each canary and form that a text holds."""
        return self.scan_bytes(text.encode(errors="surrogateescape"), where)

    def scan_file(self, path: Path) -> list[Leak]:
        """Return each canary and form that a file holds; a file that is gone holds none."""
        leaks: dict[Leak, None] = {}
        for piece in self._pieces(path):
            leaks.update(dict.fromkeys(self.scan_bytes(piece, str(path))))
        return list(leaks)

    def scan_tree(self, folder: Path, *, skip: Sequence[Path] = ()) -> list[Leak]:
        """Return the leaks of each regular file below a folder; symbolic links are not followed."""
        files = (path for path in sorted(folder.rglob("*")) if _is_scanned(path, skip))
        return [leak for path in files for leak in self.scan_file(path)]

    def scan_processes(self, process_ids: Sequence[int]) -> list[Leak]:
        """Return the leaks in the command lines and environments of processes."""
        return [
            leak
            for process_id in process_ids
            for name in ("cmdline", "environ")
            for leak in self.scan_file(Path(f"/proc/{process_id}/{name}"))
        ]

    def _pieces(self, path: Path) -> Iterator[bytes]:
        overlap = max((len(needle) for needle, _, _ in self._needles), default=1) - 1
        kept = b""
        try:
            with path.open("rb") as file:
                while read := file.read(_PIECE):
                    yield kept + read
                    kept = (kept + read)[-overlap:] if overlap else b""
        except (FileNotFoundError, ProcessLookupError):
            return

    @staticmethod
    def _random(length: int) -> bytes:
        return secrets.token_urlsafe(length)[:length].encode()


def _forms(value: bytes) -> list[tuple[bytes, str]]:
    found = {value: "plain"}
    found |= {value.hex().encode(): "hex", value.hex().upper().encode(): "hex"}
    for phase in range(3):
        core = _base64_core(value, phase)
        found.setdefault(core, "base64")
        found.setdefault(core.replace(b"+", b"-").replace(b"/", b"_"), "base64")
    for encoded in (quote(value, safe=""), quote(value), quote_plus(value)):
        found.setdefault(encoded.encode(), "URL")
        found.setdefault(encoded.lower().encode(), "URL")
    for text in _json_texts(value):
        found.setdefault(text, "JSON")
    return list(found.items())


def _base64_core(value: bytes, phase: int) -> bytes:
    """Return the characters that depend on nothing but the value when `phase` bytes precede it."""
    encoded = base64.b64encode(bytes(phase) + value).rstrip(b"=")
    first = -(-phase * 8 // 6)
    last = (phase + len(value)) * 8 // 6
    return encoded[first:last]


def _json_texts(value: bytes) -> list[bytes]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return []
    once = [json.dumps(text, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)]
    # Go escapes these three for HTML; a JSON document within JSON is escaped twice.
    html = [
        part.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
        for part in once
    ]
    twice = [json.dumps(part)[1:-1] for part in once + html]
    return [part.encode() for part in once + html + twice]


def _is_scanned(path: Path, skip: Sequence[Path]) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    return not any(path == skipped or skipped in path.parents for skipped in skip)
