"""Named places at which a test lets the process die or stand still, as etcd's gofail does.

Nothing is armed unless `arm` was called, which the composition root does for the setting
`KEYTURN_FAILPOINT`; then the process sends itself SIGKILL, or SIGSTOP, at the named place.
"""

import os
import re
import signal
from dataclasses import dataclass

from keyturn.domain.errors import InvalidParameterError

_FORM = re.compile(r"(?P<name>[A-Za-z.]+)(@(?P<count>[1-9][0-9]*))?(?P<stops>:stop)?")


@dataclass(slots=True)
class _Armed:
    left: int
    signal: signal.Signals


_armed: dict[str, _Armed] = {}


def arm(text: str) -> None:
    """Arm failpoints, several with commas: a `name` kills, `name:stop` stops the process there.

    `name@3` and `name@3:stop` are for its third passing.

    Raises:
        InvalidParameterError: it is not of this form.
    """
    _armed.clear()
    for part in filter(None, text.split(",")):
        found = _FORM.fullmatch(part)
        if found is None:
            raise InvalidParameterError(
                "KEYTURN_FAILPOINT must be a name, name@count, name:stop, or several with commas"
            )
        what = signal.SIGSTOP if found["stops"] else signal.SIGKILL
        _armed[found["name"]] = _Armed(int(found["count"] or 1), what)


def reach(name: str) -> None:
    """Die, or stand still, here if this place is armed and its turn has come."""
    if not _armed or name not in _armed:
        return
    armed = _armed[name]
    armed.left -= 1
    if not armed.left:
        os.kill(os.getpid(), armed.signal)
