"""Named places at which a test lets the process die, as etcd's gofail does.

Nothing is armed unless `arm` was called, which the composition root does for the setting
`KEYTURN_FAILPOINT`; then the process kills itself, as hard as `kill -9`, at the named place.
"""

import os
import signal

from keyturn.domain.errors import InvalidParameterError

_armed: dict[str, int] = {}


def arm(text: str) -> None:
    """Arm failpoints: `name` or `name@3` for its third passing, several with commas.

    Raises:
        InvalidParameterError: a count is no number.
    """
    _armed.clear()
    for part in filter(None, text.split(",")):
        name, _, count = part.partition("@")
        if count and not count.isdecimal():
            raise InvalidParameterError("KEYTURN_FAILPOINT must be a name, or a name@count")
        _armed[name] = int(count or 1)


def reach(name: str) -> None:
    """Die here if this place is armed, and its turn has come."""
    if not _armed or name not in _armed:
        return
    _armed[name] -= 1
    if not _armed[name]:
        os.kill(os.getpid(), signal.SIGKILL)
