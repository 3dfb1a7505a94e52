"""The rules of a user, as ACL GETUSER tells them and ACL SETUSER takes them. Pure.

The form is that of Redis 7, which Valkey shares: https://redis.io/docs/latest/operate/oss_and_stack/
management/security/acl/. The reply is read in the second version of the protocol, as a flat list
of names and values, and whatever it says that is not known here is refused: a clone that lacks a
rule of its original could do more than it.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from keyturn.domain.errors import TargetRefusedError

Reply = bytes | Sequence["Reply"]

_PASSWORD = re.compile(r"[0-9a-f]{64}")
_SKIP_SANITIZE, _SANITIZE = "skip-sanitize-payload", "sanitize-payload"
_NO_PASSWORD = "nopass"  # noqa: S105 - the name of a flag
_FLAGS = frozenset({"on", "off", _NO_PASSWORD, _SKIP_SANITIZE, _SANITIZE})
_RULES = ("commands", "keys", "channels", "databases")
_REQUIRED = frozenset({"commands", "keys", "channels"})
_USER = frozenset({"flags", "passwords", "selectors", *_RULES})


@dataclass(frozen=True, slots=True)
class Permissions:
    """One set of rules, each as its modifiers in order; `databases` is None in Redis."""

    commands: tuple[str, ...]
    keys: tuple[str, ...]
    channels: tuple[str, ...]
    databases: tuple[str, ...] | None

    @property
    def modifiers(self) -> tuple[str, ...]:
        return (*self.commands, *self.keys, *self.channels, *(self.databases or ()))


@dataclass(frozen=True, slots=True)
class Rules:
    """What a user may do; all of it but its passwords."""

    on: bool
    sanitize: bool
    root: Permissions
    selectors: tuple[Permissions, ...]


@dataclass(frozen=True, slots=True)
class User:
    """A user of the ACL: its rules, and the SHA-256 of each password that it has, in hex.

    `open` says that it takes any password, whatever it has.
    """

    rules: Rules
    passwords: frozenset[str]
    open: bool


def digest(password: bytes) -> str:
    """Hash a password as the server does: it never has to see more than this."""
    return hashlib.sha256(password).hexdigest()


def read_user(reply: Reply) -> User:
    """Read what ACL GETUSER replied.

    Raises:
        TargetRefusedError: it says what is not known here.
    """
    fields = _fields(reply)
    if not _REQUIRED | {"flags", "passwords"} <= fields.keys() <= _USER:
        raise _unknown()
    flags = {_text(flag) for flag in _items(fields["flags"])}
    passwords = frozenset(_text(password) for password in _items(fields["passwords"]))
    known = flags <= _FLAGS and all(map(_PASSWORD.fullmatch, passwords))
    if not known:
        raise _unknown()
    selectors = [_permissions(_fields(each)) for each in _items(fields.get("selectors", ()))]
    rules = Rules(
        on="on" in flags,
        sanitize=_SKIP_SANITIZE not in flags,
        root=_permissions(fields),
        selectors=tuple(selectors),
    )
    return User(rules, passwords, _NO_PASSWORD in flags)


def modifiers_of(rules: Rules) -> list[str]:
    """Write the modifiers that give a user these rules and no others, whatever it had.

    Passwords stay as they are, and so no `reset` is among them: ACL SETUSER does all its modifiers
    or none, and nobody sees the user between two of them.
    """
    databases = ["resetdbs"] if rules.root.databases is not None else []
    return [
        "on" if rules.on else "off",
        _SANITIZE if rules.sanitize else _SKIP_SANITIZE,
        "-@all",
        "resetkeys",
        "resetchannels",
        *databases,
        "clearselectors",
        *rules.root.modifiers,
        *(f"({' '.join(selector.modifiers)})" for selector in rules.selectors),
    ]


def passwords_of(add: str, remove: Iterable[str] = ()) -> list[str]:
    """Write the modifiers that add one password and remove others, all by their hashes."""
    return [f"#{add}", *(f"!{each}" for each in sorted(remove))]


def _permissions(fields: Mapping[str, Reply]) -> Permissions:
    if not fields.keys() >= _REQUIRED or not fields.keys() <= _USER:
        raise _unknown()
    rules = {name: _modifiers(fields[name]) for name in _RULES if name in fields}
    return Permissions(rules["commands"], rules["keys"], rules["channels"], rules.get("databases"))


def are_same(one: Rules, other: Rules) -> bool:
    """Tell whether two sets of rules allow the same, in whatever order the server lists them."""
    return _without_order(one) == _without_order(other)


def _without_order(rules: Rules) -> Rules:
    root, *selectors = (
        replace(each, commands=_in_order(each.commands)) for each in (rules.root, *rules.selectors)
    )
    return replace(rules, root=root, selectors=tuple(selectors))


def _in_order(commands: Sequence[str]) -> tuple[str, ...]:
    """Put the commands between two categories into the order of their names.

    Redis 7.0 lists commands, and the subcommands of each, in the order of its hash tables, which
    differs from server to server and while a table grows: two users with the same rules would
    differ. Where the last one holds they stay: categories, a whole command and its subcommands,
    the modifiers of one subcommand.

    >>> _in_order(("+@all", "-sort", "-config", "+config|set", "+config|get", "-keys"))
    ('+@all', '-config', '+config|get', '+config|set', '-keys', '-sort')
    """
    ordered: list[str] = []
    block: list[str] = []
    for modifier in commands:
        if modifier[1:2] == "@":
            ordered += [*_block_in_order(block), modifier]
            block = []
        else:
            block.append(modifier)
    return (*ordered, *_block_in_order(block))


def _block_in_order(block: Iterable[str]) -> list[str]:
    """Sort by command; within one, by subcommand between two modifiers of the whole command."""
    wholes: Counter[str] = Counter()
    keyed: list[tuple[tuple[str, int, str], str]] = []
    for modifier in block:
        command, _, subcommand = modifier[1:].partition("|")
        wholes[command] += not subcommand
        keyed.append(((command, wholes[command], subcommand), modifier))
    return [modifier for _, modifier in sorted(keyed, key=itemgetter(0))]


def _modifiers(written: Reply) -> tuple[str, ...]:
    """Split a rule; no pattern of Redis can hold a space."""
    return tuple(_text(written).split())


def _fields(reply: Reply) -> Mapping[str, Reply]:
    items = _items(reply)
    if len(items) % 2:
        raise _unknown()
    return {_text(name): value for name, value in zip(items[::2], items[1::2], strict=True)}


def _items(reply: Reply) -> Sequence[Reply]:
    if isinstance(reply, bytes):
        raise _unknown()
    return reply


def _text(reply: Reply) -> str:
    if not isinstance(reply, bytes):
        raise _unknown()
    # Patterns may be of any bytes; they go back as they came.
    return reply.decode("utf-8", "surrogateescape")


def _unknown() -> TargetRefusedError:
    return TargetRefusedError(
        "the server tells the rules of a user in a form that this release does not know; "
        "it knows Redis from 7.0 and Valkey"
    )
