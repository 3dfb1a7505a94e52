"""The pending version of a rotation: what is new, what is carried over, whose turn it is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import Cause, RotationSpec, RotationState
from keyturn.domain.secret import Secret
from keyturn.domain.version import KeyOrigin, SealedVersion, VersionReason
from keyturn.services.next_version import Plan, RotatedKeys
from keyturn.services.rotation.aiming import Aim
from keyturn.services.rotation.roles import USERNAME, Roles, takes_turns, text_of, turn
from keyturn.services.sourcing import Sourcing
from keyturn.services.targets import NativeView
from keyturn.services.versions import Versions

Fingerprint = Callable[..., str]
"""`RootKeys.fingerprint`: a purpose and parts to a keyed digest."""


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


class PendingVersion(NamedTuple):
    """A pending version, sealed, and which user it is for."""

    sealed: SealedVersion
    base_username: str


class PendingVersions:
    """Makes pending versions; nothing is stored here."""

    def __init__(self, versions: Versions, sourcing: Sourcing, fingerprint: Fingerprint) -> None:
        self._versions = versions
        self._sourcing = sourcing
        self._fingerprint = fingerprint

    async def has_changed(
        self, resource: ManagedSecret, secret: Secret, view: NativeView, roles: Roles
    ) -> bool:
        """Tell whether a value that no rotation owns is to be another one.

        Raises:
            KeyturnError: a source cannot be read.
        """
        planned = self._sourcing.planned(
            resource, secret, view, has_failed=False, rotation=RotatedKeys(held=roles.held)
        )
        async with planned as plan:
            return plan is not None

    async def make(  # noqa: PLR0913 - all that a pending version is made of
        self,
        resource: ManagedSecret,
        secret: Secret,
        view: NativeView,
        *,
        aim: Aim,
        state: RotationState | None,
        wanted: Wanted,
        issued: Mapping[str, SecretValue],
    ) -> PendingVersion:
        """Make and seal the next version.

        `issued` are values that the target made, by the rotator's own names; they are zeroed.

        Raises:
            AwaitingInputError: a key has no value yet.
            InvalidSpecError: the user name cannot be used, or the rollback not be done.
            KeyturnError: a source cannot be read, a generator cannot run.
        """
        rotation = resource.spec.rotation or RotationSpec()
        if wanted.cause is Cause.ROLLBACK:
            payload, origins, reason = await self._older(secret, wanted)
        elif wanted.put is not None:
            payload = await self._sourcing.payload(wanted.put, resource, secret)
            origins, reason = wanted.put.origins, wanted.put.reason
        else:
            payload, origins, reason = await self._next(resource, secret, view, aim, wanted)
        with payload:
            base, username = await self._turn(secret, payload, aim, rotation, state, wanted)
            given = {aim.roles.keys[name]: value for name, value in issued.items()}
            if username is not None:
                given[aim.roles.keys[USERNAME]] = SecretValue(username.encode())
            whole = Payload({**payload, **given})
            with whole:
                sealed = await self._versions.seal(secret, whole, origins=origins, reason=reason)
        return PendingVersion(sealed, base)

    async def _next(
        self,
        resource: ManagedSecret,
        secret: Secret,
        view: NativeView,
        aim: Aim,
        wanted: Wanted,
    ) -> tuple[Payload, Mapping[str, KeyOrigin], VersionReason]:
        roles, renews = aim.roles, wanted.cause in (Cause.SCHEDULE, Cause.REQUEST)
        keys = RotatedKeys(held=roles.held)
        if renews:
            renewed = frozenset() if aim.traits.issues else roles.rotated
            keys = RotatedKeys(held=roles.held - renewed, renewed=renewed)
        planned = self._sourcing.planned(resource, secret, view, has_failed=False, rotation=keys)
        async with planned as plan:
            if plan is None:
                return await self._unchanged(secret, renews=renews)
            payload = await self._sourcing.payload(plan, resource, secret)
            return payload, plan.origins, VersionReason.ROTATED if renews else plan.reason

    async def _unchanged(
        self, secret: Secret, *, renews: bool
    ) -> tuple[Payload, Mapping[str, KeyOrigin], VersionReason]:
        current = secret.current
        if current is None:
            raise InvalidSpecError("there is no version that could be rotated")
        payload = await self._versions.open(secret, current.number)
        reason = VersionReason.ROTATED if renews else VersionReason.SPEC_CHANGED
        return payload, current.origins, reason

    async def _older(
        self, secret: Secret, wanted: Wanted
    ) -> tuple[Payload, Mapping[str, KeyOrigin], VersionReason]:
        number = wanted.back_to or 0
        older = secret.version(number)
        payload = await self._versions.open(secret, number)
        # Compared is with the newest version: with its origins nothing is rolled forward again.
        origins = secret.newest.origins if secret.newest else older.origins
        return payload, origins, VersionReason.ROLLED_BACK

    async def _turn(
        self,
        secret: Secret,
        payload: Payload,
        aim: Aim,
        rotation: RotationSpec,
        state: RotationState | None,
        wanted: Wanted,
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
        if wanted.cause is Cause.ROLLBACK:
            _require_rollback(named, username, rotation, wanted)
        if not takes_turns(rotation):
            return username, None
        base = self.base_of(username, state.base if state else "", aim)
        if wanted.cause in (Cause.ROLLBACK, Cause.CHANGE):
            return base, None
        return base, turn(username, base, aim.traits)

    def base_of(self, username: str, base_digest: str, aim: Aim) -> str:
        """Tell the base of two alternating users from either of them."""
        base = username.removesuffix(aim.traits.clone_suffix)
        is_clone = base != username and self.digest_of(base, aim) == base_digest
        return base if is_clone else username

    def digest_of(self, base_username: str, aim: Aim) -> str:
        """Make the keyed digest of a user of a target; empty where there is no user name."""
        if not base_username or aim.settings is None:
            return ""
        target = aim.settings.uid.encode()
        return self._fingerprint("rotated user", target, base_username.encode())


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
