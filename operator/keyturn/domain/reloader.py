"""The annotations by which users of Stakater's Reloader have workloads restarted; pure.

As Reloader 1.4 reads them, of a workload or, where that says nothing, of its pod template:

- `reloader.stakater.com/auto: "true"`, or `secret.reloader.stakater.com/auto`: for each Secret
  that the workload uses;
- `secret.reloader.stakater.com/reload: db,cache-.*`: for the Secrets of these names, each a
  regular expression for the whole name;
- `reloader.stakater.com/search: "true"`: for Secrets with `reloader.stakater.com/match: "true"`.

`reloader.stakater.com/ignore: "true"` on a Secret, and its name in
`secrets.exclude.reloader.stakater.com/reload` on the workload, go before these. What it restarts
bears its traces: a variable in the pod template that has the name of the Secret in it, or the
annotation `reloader.stakater.com/last-reloaded-from`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from fnmatch import fnmatchcase

from keyturn.domain.consumers import Workload

_DOMAIN = "reloader.stakater.com"
AUTO, SECRET_AUTO = f"{_DOMAIN}/auto", f"secret.{_DOMAIN}/auto"
SEARCH, MATCH, IGNORE = f"{_DOMAIN}/search", f"{_DOMAIN}/match", f"{_DOMAIN}/ignore"
NAMED, EXCLUDED = f"secret.{_DOMAIN}/reload", f"secrets.exclude.{_DOMAIN}/reload"
LAST = f"{_DOMAIN}/last-reloaded-from"

_ASKING = (NAMED, SEARCH, AUTO, SECRET_AUTO)
_MAX_NAMES = 64
_PATTERN = re.compile(r"(?:[a-z0-9-]|\.\*?)+")
_NO_VARIABLE = re.compile(r"[^A-Z0-9]+")


class Note(StrEnum):
    """What a native Secret says to Reloader by an annotation of its own."""

    MATCH = "match"
    IGNORE = "ignore"


def note_of(annotations: Mapping[str, str]) -> Note | None:
    """Read the annotations of a native Secret."""
    if annotations.get(IGNORE) == "true":
        return Note.IGNORE
    return Note.MATCH if annotations.get(MATCH) == "true" else None


def is_opted_in(workload: Workload, native_name: str, note: Note | None) -> bool:
    """Tell whether a workload asks to be restarted when that native Secret changes."""
    if note is Note.IGNORE:
        return False
    own, pods = workload.annotations, workload.template_annotations
    asked = pods if not _says(own) and _says(pods) else own
    if native_name in _names(asked.get(EXCLUDED, "")):
        return False
    if any(_is_named(native_name, written) for written in _names(asked.get(NAMED, ""))):
        return True
    if asked.get(SEARCH) == "true" and note is Note.MATCH:
        return True
    return asked.get(AUTO) == "true" or asked.get(SECRET_AUTO) == "true"


def is_restarted_by_reloader(workload: Workload, native_name: str) -> bool:
    """Tell whether the pod template shows that Reloader itself acts on it for that Secret."""
    variable = f"STAKATER_{_NO_VARIABLE.sub('_', native_name.upper())}_SECRET"
    return variable in workload.template_env_names or LAST in workload.template_annotations


def _says(annotations: Mapping[str, str]) -> bool:
    return any(name in annotations for name in _ASKING)


def _names(written: str) -> list[str]:
    names = (name.strip() for name in written.split(",")[:_MAX_NAMES])
    return [name for name in names if name]


def _is_named(native_name: str, written: str) -> bool:
    """Tell whether an entry means a Secret.

    Of regular expressions only `.` and `.*` are read, which is what is written there: by others
    whoever may annotate a workload could keep the operator busy for ever.

    >>> _is_named("cache-eu", "cache-.*"), _is_named("cache", "(c+)+")
    (True, False)
    """
    if _PATTERN.fullmatch(written) is None:
        return False
    return fnmatchcase(native_name, written.replace(".*", "*").replace(".", "?"))
