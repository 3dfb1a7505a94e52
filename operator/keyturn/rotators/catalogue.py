"""Finds a rotator by its name, and imports no other: each brings a driver that may be missing."""

from importlib.metadata import Distribution, EntryPoint, entry_points

from keyturn.domain.errors import InvalidSpecError
from keyturn.rotators.interface import Rotator

GROUP = "keyturn.rotators"


class Catalogue:
    """The rotators of all installed packages, those that are built in too, by entry-point name."""

    def __init__(self) -> None:
        self._entries: dict[str, list[EntryPoint]] = {}
        for entry in entry_points(group=GROUP):
            self._entries.setdefault(entry.name, []).append(entry)
        self._found: dict[str, Rotator] = {}

    def find(self, name: str) -> Rotator:
        """Return the rotator of a name; it is loaded once.

        Raises:
            InvalidSpecError: there is none, more than one package declares it, or it cannot be
                loaded; the message says what to install.
        """
        if name not in self._found:
            self._found[name] = _load(self._entry(name))
        return self._found[name]

    def _entry(self, name: str) -> EntryPoint:
        entries = self._entries.get(name, [])
        if not entries:
            known = ", ".join(sorted(self._entries))
            raise InvalidSpecError(f"there is no rotator {name!r}; there are: {known}")
        if len(entries) > 1:
            packages = " and ".join(sorted(_package(entry) for entry in entries))
            raise InvalidSpecError(
                f"the rotator {name!r} is declared by {packages}; uninstall all but one"
            )
        return entries[0]


def _load(entry: EntryPoint) -> Rotator:
    try:
        rotator: Rotator = entry.load()()
    except ModuleNotFoundError as error:
        raise InvalidSpecError(_what_is_missing(entry, error.name or "")) from None
    # A package of somebody else may fail in any way; it is no reason for the operator to fail.
    except Exception as error:
        raise InvalidSpecError(
            f"the rotator {entry.name!r} of the package {_package(entry)} cannot be loaded"
            f" ({type(error).__name__})"
        ) from error
    return rotator


def _what_is_missing(entry: EntryPoint, module: str) -> str:
    # The extra of a built-in rotator has the rotator's name; a package of others may do the same.
    if entry.name in _extras(entry.dist):
        return (
            f"the rotator {entry.name!r} needs the package extra: "
            f"pip install {_package(entry)}[{entry.name}]"
        )
    return (
        f"the rotator {entry.name!r} of the package {_package(entry)} needs the module {module!r},"
        " which is not installed"
    )


def _extras(package: Distribution | None) -> list[str]:
    return (package.metadata.get_all("Provides-Extra") if package else None) or []


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unnamed package"
