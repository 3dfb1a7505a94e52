"""What a run is about: the name by which the target knows it, and the credentials it may need."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple
from uuid import UUID, uuid4, uuid5

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.payload import Payload
from keyturn.domain.rotation import Rotation, RotationState, Strategy
from keyturn.domain.secret import Secret
from keyturn.rotators.interface import Credential, Order
from keyturn.services.rotation.aiming import Aim
from keyturn.services.rotation.identifying import Identities
from keyturn.services.rotation.pending import Intended
from keyturn.services.rotation.roles import USERNAME, text_of
from keyturn.services.versions import Versions


class Errand(NamedTuple):
    """One thing that is done in the target, however often it is tried: its name is the same.

    `number` is that of the pending version; None where there is none. `retires` tells that it ends
    the previous credential.
    """

    id: UUID
    number: int | None = None
    retires: bool = False

    @classmethod
    def of(cls, rotation: Rotation) -> "Errand":
        return cls(rotation.id, rotation.number)

    @classmethod
    def issuing(cls, secret: Secret) -> "Errand":
        """Name a rotation whose values the target makes, which hears of it before the journal.

        So the name is made of what is durable: the version that is replaced, and the number of the
        next, which no other version ever has.
        """
        number = secret.newest.number + 1 if secret.newest else 1
        replaced = secret.current.id if secret.current else secret.id
        return cls(uuid5(replaced, f"rotation {number}"))

    @classmethod
    def retiring(cls, secret: Secret, number: int) -> "Errand":
        """Name the retirement of a version, which has no row in the journal."""
        return cls(uuid5(secret.version(number).id, "retirement"), retires=True)


def new_errand() -> Errand:
    """Name a rotation that the journal keeps before the target hears of it.

    Nothing else is as sure to be new: after the store was restored, a number may come again.
    """
    return Errand(uuid4())


class Ordering:
    """Makes the orders of runs."""

    def __init__(self, versions: Versions, identities: Identities) -> None:
        self._versions = versions
        self._identities = identities

    @asynccontextmanager
    async def order(
        self,
        asked: Strategy,
        aim: Aim,
        secret: Secret,
        state: RotationState | None,
        errand: Errand,
    ) -> AsyncIterator[Order]:
        """Open the credentials that a run may need; they are zeroed when the `with` ends.

        Raises:
            InvalidSpecError: the pending version is of another user than the current one.
            KeyturnError: a version cannot be opened.
        """
        stages = secret.stages
        payloads: list[Payload] = []
        try:
            credentials: list[Credential | None] = []
            for number in (errand.number, stages.current, stages.previous):
                if number is None:
                    credentials.append(None)
                    continue
                payloads.append(await self._versions.open(secret, number))
                credentials.append(aim.roles.credential(number, payloads[-1]))
            pending, current, previous = credentials
            base = self._base(pending or current, state, aim)
            if self._base(previous, state, aim) != base:
                # Of another user, it proves nothing, and is not to be touched.
                previous = None
            if current is not None and self._base(current, state, aim) != base:
                raise InvalidSpecError(
                    "the pending version is of another user than the current one: put "
                    "spec.rotation back as it was until the rotation is over"
                )
            yield Order(
                secret_id=secret.id,
                rotation_id=errand.id,
                strategy=aim.strategy(asked, previous if errand.retires else pending, current),
                base_username=base,
                pending=pending,
                current=current,
                previous=previous,
            )
        finally:
            for payload in payloads:
                payload.zero()

    async def would_forget(self, aim: Aim, secret: Secret, intended: Intended) -> bool:
        """Tell whether the target would take the previous credential when none knows it any more.

        One of a user that has one password ends with the next one of that user. So it is with that
        of the user who is current: it was replaced already.
        """
        current, previous = secret.stages.current, secret.stages.previous
        if previous is None or current is None or intended.is_current_credential:
            return False
        users = {intended.username, await self._username(aim, secret, current)}
        return aim.traits.coexists or await self._username(aim, secret, previous) not in users

    async def _username(self, aim: Aim, secret: Secret, number: int) -> str:
        with await self._versions.open(secret, number) as payload:
            value = aim.roles.credential(number, payload).values.get(USERNAME)
            return "" if value is None else text_of(value)

    def _base(self, credential: Credential | None, state: RotationState | None, aim: Aim) -> str:
        if credential is None or aim.roles.username is None:
            return ""
        value = credential.values.get(USERNAME)
        if value is None:
            return ""
        return self._identities.base_of(text_of(value), state, aim)
