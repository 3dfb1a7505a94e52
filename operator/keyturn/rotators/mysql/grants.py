"""What a user may do, read from SHOW GRANTS, and the statements that make two users equal. Pure.

The server's own lines are read by their tokens, so a database that is named `a TO b` is nothing
special. What a grant is *on* is kept as the server wrote it and quoted it, and goes back as it is.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.mysql.tokens import Token, tokens, unquoted

ALL: Final = "ALL PRIVILEGES"
GRANT_OPTION: Final = "GRANT OPTION"
GLOBAL: Final = "*.*"
_PROXY: Final = "PROXY"


@dataclass(frozen=True, slots=True)
class Privilege:
    """One thing that a user may do: `name` on `on`; for a role `on` is empty.

    `passes_on` is set where the right to grant it is its own: of roles, of proxies, and of MySQL's
    dynamic privileges. Elsewhere it is one right of its own, `GRANT OPTION`, for all on `on`.
    """

    name: str
    on: str
    passes_on: bool = False

    @property
    def is_role(self) -> bool:
        return not self.on

    @property
    def is_personal(self) -> bool:
        """Tell whether the right to pass it on belongs to it alone."""
        return self.is_role or self.name == _PROXY or self._is_dynamic

    def granted_to(self, account: str) -> str:
        what = f"USAGE ON {self.on}" if self.name == GRANT_OPTION else self._what
        return f"GRANT {what} TO {account}{self._option}"

    def revoked_from(self, account: str) -> str:
        return f"REVOKE {self._what} FROM {account}"

    @property
    def _is_dynamic(self) -> bool:
        # MySQL's have underscores and no blanks; MariaDB has READ_ONLY ADMIN, which is none.
        return self.on == GLOBAL and "_" in self.name and " " not in self.name

    @property
    def _what(self) -> str:
        return self.name if self.is_role else f"{self.name} ON {self.on}"

    @property
    def _option(self) -> str:
        if self.is_role and self.passes_on:
            return " WITH ADMIN OPTION"
        return " WITH GRANT OPTION" if self.passes_on or self.name == GRANT_OPTION else ""


def read(lines: Iterable[str], username: str, host: str) -> frozenset[Privilege]:
    """Read the lines of SHOW GRANTS for a user; those for others (PUBLIC) are left out.

    Raises:
        TargetRefusedError: a line grants nothing but takes something away, as MySQL's partial
            revokes do, or cannot be understood.
    """
    found: set[Privilege] = set()
    for line in lines:
        parts = list(tokens(line))
        if parts and parts[0].is_word("SET"):  # the default role is no privilege
            continue
        if not parts or not parts[0].is_word("GRANT"):
            raise TargetRefusedError(
                "the privileges of the user cannot be copied: there is a partial revoke"
            )
        found |= set(_privileges(line, parts, (username, host)))
    return frozenset(found)


def granting(missing: Iterable[Privilege]) -> list[Privilege]:
    """Order what is to be granted: the right to pass on comes after what it belongs to."""
    return sorted(missing, key=lambda one: (one.name == GRANT_OPTION, one.on, one.name))


def revoking(surplus: Iterable[Privilege]) -> list[Privilege]:
    """Order what is to be revoked: the right to pass on comes first."""
    return sorted(surplus, key=lambda one: (one.name != GRANT_OPTION, one.on, one.name))


def names_in(on: str) -> list[str]:
    """Return the names in what a grant is on: of the database, and of the table.

    >>> names_in("`a.b`.*"), names_in("`a`.`t`"), names_in("*.*")
    (['a.b'], ['a', 't'], [])
    """
    return [unquoted(token.text) for token in tokens(on) if token.kind == "quoted"]


def _privileges(line: str, parts: Sequence[Token], grantee: tuple[str, str]) -> Iterator[Privilege]:
    to = next((place for place, token in enumerate(parts) if token.is_word("TO")), 0)
    if not to:
        raise TargetRefusedError("the privileges of the user cannot be understood")
    if _grantee(parts[to + 1 :]) != grantee:
        return
    on = next((place for place in range(to) if parts[place].is_word("ON")), to)
    target = line[parts[on].end : parts[to].start].strip() if on < to else ""
    options = {token.text.upper() for token in parts[to + 1 :] if token.kind == "word"}
    passes_on = "OPTION" in options and bool(options & {"GRANT", "ADMIN"})
    listed = _listed(line, parts[1:on])
    for name in listed:
        if name != "USAGE":
            privilege = Privilege(name, target)
            yield Privilege(name, target, passes_on and privilege.is_personal)
    if passes_on and not all(Privilege(name, target).is_personal for name in listed):
        yield Privilege(GRANT_OPTION, target)


def _grantee(after: Sequence[Token]) -> tuple[str, str]:
    names = [unquoted(token.text) for token in after[:3] if token.kind == "quoted"]
    return (names[0], names[1]) if len(names) == 2 else ("", "")  # noqa: PLR2004


def _listed(line: str, listed: Sequence[Token]) -> list[str]:
    """Split a list of privileges or roles; `SELECT (a, b)` are two, one for each column."""
    names: list[str] = []
    for part in _split(listed):
        opening = next((place for place, token in enumerate(part) if token.text == "("), None)
        if opening is None:
            names.append(line[part[0].start : part[-1].end])
            continue
        privilege = line[part[0].start : part[opening - 1].end]
        columns = (token.text for token in part[opening:] if token.kind != "mark")
        names.extend(f"{privilege} ({column})" for column in columns)
    return names


def _split(listed: Sequence[Token]) -> Iterator[Sequence[Token]]:
    part: list[Token] = []
    depth = 0
    for token in listed:
        depth += (token.text == "(") - (token.text == ")")
        if token.text == "," and not depth:
            yield part
            part = []
        else:
            part.append(token)
    if part:
        yield part
