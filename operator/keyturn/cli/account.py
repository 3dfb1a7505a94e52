"""Who types: the name that the operating system gives to the account."""

import os
import pwd

from keyturn.api.schemas import MAX_LABEL


def name() -> str:
    """Name the account; a container's user may have a number alone."""
    uid = os.getuid()
    try:
        found = pwd.getpwuid(uid).pw_name
    except KeyError:
        found = ""
    return "".join(c if c.isprintable() else "?" for c in found) or f"uid {uid}"


def by(command: str) -> str:
    """Say for the journal what was typed, and who typed it.

    >>> by("keyturn rotate").startswith("keyturn rotate by ")
    True
    """
    return f"{command} by {name()}"[:MAX_LABEL]
