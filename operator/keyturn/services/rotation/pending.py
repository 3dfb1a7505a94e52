"""The pending version of a rotation: what is new, what is carried over, whose turn it is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import Cause, RotationSpec, RotationState
from keyturn.domain.secret import Secret
from keyturn.domain.version import KeyOrigin, SealedVersion, VersionReason
from keyturn.services.credentials import is_current_credential
from keyturn.services.next_version import Fingerprint, Plan, RotatedKeys, newest_but
from keyturn.services.rotation.aiming import Aim
from keyturn.services.rotation.identifying import Identities
from keyturn.services.rotation.roles import USERNAME, takes_turns, text_of, turn
from keyturn.services.sourcing import Sourcing
from keyturn.services.targets import NativeView
from keyturn.services.versions import Versions
from keyturn.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Wanted:
    """A rotation that is to begin.

    `back_to` is the version that a rollback goes back to; `put` is the version that a person gave
    values for.
    """

    cause: Cause
    requested_by: str = ""
    token: str = ""
    back_to: int | None = None
    put: Plan | None = None


class Intended(NamedTuple):
    """Who the next version is for: the user's name, empty where there is none.

    `is_current_credential` tells that only values beside the credential are to be others.
    """

    username: str
    is_current_credential: bool


class PendingVersion(NamedTuple):
    """A pending version, sealed, and which user it is for."""

    sealed: SealedVersion
    base_username: str


class PendingVersions:
    """Makes pending versions; nothing is stored here."""

    def __init__(self, versions: Versions, sourcing: Sourcing, fingerprint: Fingerprint) -> None:
        self._versions = versions
        self._sourcing = sourcing
        self.identities = Identities(fingerprint)

    async def has_changed(
        self,
        resource: ManagedSecret,
        secret: Secret,
        view: NativeView,
        *,
        held: frozenset[str],
        abandoned: frozenset[int],
    ) -> bool:
        """Tell whether a value that no rotation owns is to be another one, and was not tried yet.

        What a rotation tried that was given up is not tried again by itself.

        Raises:
            KeyturnError: a source cannot be read.
        """
        newest = secret.newest
        was_given_up = newest is not None and newest.number in abandoned
        for passed_over in (frozenset[int](), abandoned) if was_given_up else (abandoned,):
            keys = RotatedKeys(held=held, abandoned=passed_over)
            planned = self._sourcing.planned(
                resource, secret, view, has_failed=False, rotation=keys
            )
            async with planned as plan:
                if plan is None:
                    return False
        return True

    async def is_outdated(
        self, resource: ManagedSecret, secret: Secret, view: NativeView, number: int
    ) -> bool:
        """Tell whether the first version would be another one if it were made now.

        Raises:
            KeyturnError: a source cannot be read.
        """
        if await self.has_changed(resource, secret, view, held=frozenset(), abandoned=frozenset()):
            return True
        anew = RotatedKeys(abandoned=frozenset({number}))
        planned = self._sourcing.planned(resource, secret, view, has_failed=False, rotation=anew)
        async with planned as plan:
            # What would be generated says nothing; what was imported may have been mended.
            imported = Payload(plan.given if plan else {})
            with imported as given, await self._versions.open(secret, number) as pending:
                return any(
                    key not in pending or not pending[key].matches(given[key]) for key in given
                )

    async def make(  # noqa: PLR0913 - all that a pending version is made of
        self,
        resource: ManagedSecret,
        secret: Secret,
        view: NativeView,
        *,
        aim: Aim,
        journal: Journal,
        wanted: Wanted,
        prepare: Callable[[Intended], Awaitable[Mapping[str, SecretValue]]],
    ) -> PendingVersion:
        """Make and seal the next version.

        `prepare` makes room for it in the target, and may let that make values, by the rotator's
        own names. It is called last: from then on the target may take no others, and each error
        would lose them.

        Raises:
            AwaitingInputError: a key has no value yet.
            InvalidSpecError: the user name cannot be used, or the rollback not be done.
            KeyturnError: a source cannot be read, a generator cannot run.
        """
        rotation = resource.spec.rotation or RotationSpec()
        if wanted.cause.goes_back:
            if aim.traits.issues:
                raise InvalidSpecError(
                    "what the target issued before is spent, and cannot be gone back to; rotate, "
                    "or put what a person was given anew"
                )
            payload, origins, reason = await self._older(secret, wanted)
        elif wanted.put is not None:
            payload = await self._sourcing.payload(wanted.put, resource, secret)
            origins, reason = wanted.put.origins, wanted.put.reason
        else:
            keys = _keys(aim, wanted, journal)
            payload, origins, reason = await self._next(resource, secret, view, keys)
        with payload:
            is_same = not wanted.cause.renews and await is_current_credential(
                self._versions, secret, payload, aim.roles.credential_keys
            )
            base, username = await self._turn(
                secret, payload, aim, rotation, journal.state, wanted, is_same=is_same
            )
            intended = Intended(username or _username_in(payload, aim), is_same)
            with Payload(await prepare(intended)) as issued:
                # A value that the resource has no key for is of no use to it.
                keys_of = aim.roles.keys
                given = {keys_of[name]: issued[name] for name in issued if name in keys_of}
                if username is not None:
                    given[keys_of[USERNAME]] = SecretValue(username.encode())
                with Payload({**payload, **given}) as whole:
                    sealed = await self._versions.seal(
                        secret,
                        whole,
                        origins=origins,
                        reason=reason,
                        credential=_credential_of(secret, wanted, is_same=is_same),
                    )
        return PendingVersion(sealed, base)

    async def _next(
        self,
        resource: ManagedSecret,
        secret: Secret,
        view: NativeView,
        keys: "_Keys",
    ) -> tuple[Payload, Mapping[str, KeyOrigin], VersionReason]:
        rotated, renews = keys
        planned = self._sourcing.planned(resource, secret, view, has_failed=False, rotation=rotated)
        async with planned as changed:
            plan = changed or _unchanged(secret, rotated)
            payload = await self._sourcing.payload(plan, resource, secret)
            return payload, plan.origins, VersionReason.ROTATED if renews else plan.reason

    async def _older(
        self, secret: Secret, wanted: Wanted
    ) -> tuple[Payload, Mapping[str, KeyOrigin], VersionReason]:
        number = wanted.back_to or 0
        older = secret.version(number)
        missing = sorted(_origins_of_current(secret) - older.origins.keys())
        # Of a person it was asked already, where the target needs the whole.
        if missing and wanted.cause is Cause.HEALTH:
            raise InvalidSpecError(
                f"version {number} of {secret.name} has no {missing[0]}; only whole versions can "
                "be gone back to"
            )
        payload = await self._versions.open(secret, number)
        # Compared is with the newest version: with its origins nothing is rolled forward again.
        origins = secret.newest.origins if secret.newest else older.origins
        return payload, origins, VersionReason.ROLLED_BACK

    async def _turn(  # noqa: PLR0913 - all that it depends on whose turn it is
        self,
        secret: Secret,
        payload: Payload,
        aim: Aim,
        rotation: RotationSpec,
        state: RotationState | None,
        wanted: Wanted,
        *,
        is_same: bool,
    ) -> tuple[str, str | None]:
        """Tell the base user, and the user name to put into the payload if it is another one."""
        key = aim.roles.username
        if key is None or key not in payload:
            return "", None
        named = text_of(payload[key])
        if secret.stages.current is None:
            return named, None
        with await self._versions.open(secret, secret.stages.current) as current:
            username = text_of(current[key])
        if wanted.cause.goes_back and not is_same:
            _require_rollback(named, username, rotation, wanted)
        if not takes_turns(rotation) and not is_same:
            return username, None
        base = self.identities.base_of(username, state, aim)
        if wanted.cause.goes_back or wanted.cause is Cause.CHANGE:
            return base, None
        return base, turn(username, base, aim.traits)


class _Keys(NamedTuple):
    """Which keys of the next version are new, and whether the credential is among them."""

    rotated: RotatedKeys
    renews: bool


def _keys(aim: Aim, wanted: Wanted, journal: Journal) -> _Keys:
    roles, renews = aim.roles, wanted.cause.renews
    renewed = roles.rotated if renews and not aim.traits.issues else frozenset[str]()
    return _Keys(RotatedKeys(roles.held - renewed, renewed, journal.abandoned), renews)


def _unchanged(secret: Secret, rotated: RotatedKeys) -> Plan:
    """Plan a version in which nothing is made here: what is new in it comes from the target."""
    compared = newest_but(secret, rotated.abandoned)
    if compared is None:
        raise InvalidSpecError("there is no version that could be rotated")
    return Plan((), compared.origins, VersionReason.SPEC_CHANGED, compared.number)


def _origins_of_current(secret: Secret) -> frozenset[str]:
    return frozenset(secret.current.origins) if secret.current is not None else frozenset()


def _username_in(payload: Payload, aim: Aim) -> str:
    key = aim.roles.username
    return text_of(payload[key]) if key is not None and key in payload else ""


def _credential_of(secret: Secret, wanted: Wanted, *, is_same: bool) -> int | None:
    """Tell which version had the credential first; None: it is the next version's own."""
    number = secret.stages.current if is_same else wanted.back_to
    return None if number is None else secret.credential(number)


def _require_rollback(named: str, username: str, rotation: RotationSpec, wanted: Wanted) -> None:
    if takes_turns(rotation):
        if named == username:
            raise InvalidSpecError(
                f"version {wanted.back_to} is of the user that is current, whose password would "
                "change under its consumers; go back to the previous version, or rotate"
            )
    elif named != username:
        raise InvalidSpecError(
            f"version {wanted.back_to} is of another user; only AlternatingUsers may change it"
        )
