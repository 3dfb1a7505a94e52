"""Make one account like another in all but its name and its password."""

from typing import Final

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.mysql.accounts import Account, Accounts
from keyturn.rotators.mysql.errors import StatementRefusedError
from keyturn.rotators.mysql.grants import ALL, Privilege, granting, revoking

# A privilege on a table may be revoked with those on its columns, and they are given again then.
_ROUNDS: Final = 3

_GONE: Final = frozenset({1049, 1054, 1146, 1305})
"""Unknown database, column, table, routine: a privilege may outlive what it was granted on."""

_NOT_GRANTED: Final = frozenset({1141, 1147, 1403})
"""No such grant, on anything, a table, a routine: it went with one that was revoked before."""


async def align(accounts: Accounts, source: str, original: Account, other: str) -> None:
    """Give `other` the conditions, privileges and default roles of `source`, and nothing else.

    What is missing is given before what is too much is taken away, so that whoever is connected as
    `other` can do all that both may do meanwhile.

    Raises:
        TargetRefusedError: the server refuses, or the two cannot be made equal.
    """
    await accounts.set_conditions(other, original.conditions)
    gone: frozenset[Privilege] = frozenset()
    for _ in range(_ROUNDS):
        wanted = await accounts.privileges(source) - gone
        had = await accounts.privileges(other)
        if wanted == had:
            break
        gone |= await _give(accounts, other, wanted - had)
        await _take(accounts, other, wanted - gone)
    else:
        raise TargetRefusedError(f"{other!r} cannot be given the same privileges as {source!r}")
    roles = await accounts.default_roles(source)
    if roles != await accounts.default_roles(other):
        await accounts.set_default_roles(other, roles)


async def _give(
    accounts: Accounts, username: str, missing: frozenset[Privilege]
) -> frozenset[Privilege]:
    """Grant what is missing; return what is granted on things that do not exist any more."""
    return frozenset(
        {
            privilege
            for privilege in granting(missing)
            if not await _done(accounts, privilege.granted_to(accounts.name(username)), _GONE)
        }
    )


async def _take(accounts: Accounts, username: str, wanted: frozenset[Privilege]) -> None:
    surplus = await accounts.privileges(username) - wanted
    for everything in [privilege for privilege in surplus if privilege.name == ALL]:
        # Taken one by one, so that none that stays is missing for a moment.
        surplus |= await accounts.expanded(username, everything) - wanted
        surplus -= {everything}
    for privilege in revoking(surplus):
        await _done(accounts, privilege.revoked_from(accounts.name(username)), _NOT_GRANTED)


async def _done(accounts: Accounts, statement: str, harmless: frozenset[int]) -> bool:
    """Tell whether a statement was done; False if the server refused it for a harmless reason."""
    try:
        await accounts.execute(statement)
    except StatementRefusedError as refused:
        if refused.number not in harmless:
            raise
        return False
    return True
