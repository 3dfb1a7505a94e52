"""A search for secret values in bytes, in whatever form they may stand there."""

import base64
import json
from urllib.parse import quote

LEAST_BYTES = 12
"""A shorter text may be somewhere by chance."""

_PEM_BORDER = b"-----"


class Needles:
    """What is searched for; nothing here shows it."""

    def __init__(self) -> None:
        self._forms: list[tuple[bytes, ...]] = []

    def __len__(self) -> int:
        return len(self._forms)

    def add(self, value: bytes) -> None:
        """Search for a value; each line of it for itself, as a PEM file may lie in pieces."""
        lines = (line.strip() for line in value.splitlines())
        found = [
            form
            for line in lines
            if len(line) >= LEAST_BYTES and not line.startswith(_PEM_BORDER)
            for form in forms(line)
        ]
        self._forms += [tuple(found)] if found else []

    def found_in(self, data: bytes) -> int:
        """Tell how many of them the bytes hold, in any form."""
        return sum(any(form in data for form in each) for each in self._forms)


def forms(value: bytes) -> tuple[bytes, ...]:
    """Return what a value looks like: plain, base64 at each of its phases, hex, URL, JSON.

    >>> b"c2VjcmV0" in forms(b"secret") and b"736563726574" in forms(b"secret")
    True
    """
    found = {value, value.hex().encode(), quote(value, safe="").encode()}
    for phase in range(3):
        encoded = base64.b64encode(bytes(phase) + value)
        # The characters at both ends depend on the neighbours too.
        core = encoded[-(-phase * 8 // 6) : (phase + len(value)) * 8 // 6]
        found |= {core, core.replace(b"+", b"-").replace(b"/", b"_")}
    text = json.dumps(value.decode(errors="replace"))[1:-1]
    found.add(text.encode())
    found.add(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").encode())
    return tuple(found)
