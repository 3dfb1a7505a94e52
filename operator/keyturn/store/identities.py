"""The tables of who rotates whom; each function runs on the writer's thread, see `writing`.

At most one secret holds a user of a target: two that changed its password would lock each other
out.
"""

from dataclasses import replace
from uuid import UUID

from apsw import Connection

from keyturn.domain.errors import TargetOwnedByOtherError
from keyturn.domain.rotation import RotationState
from keyturn.domain.secret import Secret
from keyturn.store import reading

_REMEMBER = (
    "INSERT OR REPLACE INTO former_identities"
    " (secret_id, base, rotator, base_user, left_behind, identity) VALUES (?1, ?2, ?3, ?4, ?5,"
    " (SELECT identity FROM rotated_identities WHERE secret_id = ?1))"
)
_FORMER = (
    "SELECT base, rotator, base_user, left_behind, identity FROM former_identities"
    " WHERE secret_id = ?"
)


def remember(connection: Connection, secret_id: UUID, state: RotationState) -> None:
    """Remember whom a secret rotates, before its next rotation says whom from now on."""
    former = (state.base, state.rotator, state.base_user, state.left_behind)
    connection.execute(_REMEMBER, (secret_id.bytes, *former))


def put_back(connection: Connection, secret: Secret, state: RotationState) -> RotationState:
    """Return the state as it was remembered: what was not promoted says nothing of a target.

    It stays as it is where another secret took the user meanwhile, so that nothing of that one is
    retired, and where an older release began the rotation.
    """
    row = connection.execute(_FORMER, (secret.id.bytes,)).fetchone()
    if row is None:
        return state
    base, rotator, base_user, left_behind, identity = row
    if identity is None:
        connection.execute("DELETE FROM rotated_identities WHERE secret_id = ?", (secret.id.bytes,))
    else:
        try:
            claim(connection, secret, identity)
        except TargetOwnedByOtherError:
            return state
    return replace(state, base=base, rotator=rotator, base_user=base_user, left_behind=left_behind)


def require(connection: Connection, secret_id: UUID, state: RotationState | None) -> None:
    """Hold the user that is rotated: while the secret was deleted another may have taken it.

    Raises:
        TargetOwnedByOtherError: it has.
    """
    taken = "SELECT 1 FROM rotated_identities WHERE identity = ? AND secret_id != ?"
    if state is not None and connection.execute(taken, (state.base, secret_id.bytes)).fetchone():
        claim(connection, reading.get(connection, secret_id), state.base)


def claim(connection: Connection, secret: Secret, identity: str) -> None:
    """Let a secret hold a user, and none else.

    Raises:
        TargetOwnedByOtherError: another secret holds it.
    """
    row = connection.execute(
        "SELECT secret_id FROM rotated_identities WHERE identity = ?", (identity,)
    ).fetchone()
    if row is not None and row[0] != secret.id.bytes:
        other = reading.get(connection, UUID(bytes=row[0]))
        if other.deleted_at is None:
            raise TargetOwnedByOtherError(
                f"{other.name} rotates the same user of the same target: two would lock each "
                "other out; delete one of them"
            )
        connection.execute("DELETE FROM rotated_identities WHERE identity = ?", (identity,))
    connection.execute(
        "INSERT OR REPLACE INTO rotated_identities VALUES (?, ?)", (identity, secret.id.bytes)
    )
