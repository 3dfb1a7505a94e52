"""Load an entry-point group into a read-only mapping."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any


def load(group: str) -> Mapping[str, Any]:
    """Instantiate every class of the group, by entry-point name.

    Two packages that claim one name are an error, not a race.

    Raises:
        ValueError: a name is declared twice.
    """
    found: dict[str, Any] = {}
    for entry in sorted(entry_points(group=group), key=lambda entry: entry.name):
        if entry.name in found:
            raise ValueError(f"two packages declare the {group} plugin {entry.name!r}")
        found[entry.name] = entry.load()()
    return MappingProxyType(found)
