"""From a ManagedSecret to its target: the rotator, its parameters, and the admin credential."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from keyturn.domain.errors import InvalidParameterError, InvalidSpecError, SourceNotFoundError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import RotationSpec, RotatorRef, Strategy
from keyturn.domain.rotator import NAMESPACED_KIND, RotatorSettings, allows_username
from keyturn.domain.secret import SecretName
from keyturn.kube.following import FollowedObject
from keyturn.kube.rotators import Rotators, followed
from keyturn.rotators.catalogue import Catalogue
from keyturn.rotators.interface import Credential, JobRunner, Rotator, Target, Traits
from keyturn.services.rotation.no_target import NOWHERE, NoTarget
from keyturn.services.rotation.roles import USERNAME, Roles, regenerated, roles_of
from keyturn.services.versions import Versions
from keyturn.store.interface import SecretStore


@dataclass(frozen=True, slots=True)
class Aim:
    """Where a secret is rotated; `settings` is None where there is no target system.

    `namespace` is that of the rotator's resource; empty for a ClusterRotator.
    """

    rotator: Rotator
    target: Target
    traits: Traits
    roles: Roles
    settings: RotatorSettings | None = None
    namespace: str = ""

    def may_set(self, username: str) -> bool:
        """Tell whether a user may be set although the secret did not prove that it owns it.

        Where no admin credential is used, the target itself decides that.
        """
        if self.settings is None or self.settings.admin is None or not username:
            return True
        return allows_username(self.settings, username)

    def strategy(
        self, asked: Strategy, other: Credential | None, current: Credential | None
    ) -> Strategy:
        """Tell how a rotation that has begun goes on; the resource may ask for another way.

        Two users that differ take turns; the same one again does not. `other` is the pending
        credential, or the previous one that is to be retired.
        """
        if other is None or current is None:
            return asked
        users = other.values.get(USERNAME), current.values.get(USERNAME)
        if users[0] is None or users[1] is None:
            return asked
        differ = not users[0].matches(users[1])
        begun = Strategy.ALTERNATING_USERS if differ else Strategy.SINGLE_USER
        return begun if begun in self.traits.strategies else asked


class Aiming:
    """Reads the rotators that resources name, and what these need."""

    def __init__(
        self,
        catalogue: Catalogue,
        rotators: Rotators,
        store: SecretStore,
        versions: Versions,
        jobs: JobRunner | None,
    ) -> None:
        self._catalogue = catalogue
        self._rotators = rotators
        self._store = store
        self._versions = versions
        self._jobs = jobs

    async def settings(self, name: SecretName, ref: RotatorRef) -> RotatorSettings:
        """Read the rotator that a resource names. Raises: as `Rotators.read`."""
        return await self._rotators.read(name, ref)

    def to_follow(
        self, name: SecretName, ref: RotatorRef, settings: RotatorSettings | None
    ) -> frozenset[FollowedObject]:
        """Name the objects whose change may end the trouble of a rotation."""
        return followed(name, ref, settings)

    def match(
        self, resource: ManagedSecret, rotation: RotationSpec, settings: RotatorSettings | None
    ) -> tuple[Rotator, Traits, Roles]:
        """Find the rotator, and hold the resource against what it needs.

        Raises:
            InvalidSpecError: they do not fit.
        """
        if settings is None:
            rotator: Rotator = NoTarget()
            return rotator, rotator.traits({}), regenerated(resource.spec)
        rotator = self._catalogue.find(settings.type)
        try:
            rotator.check(settings.parameters)
        except InvalidParameterError as error:
            raise InvalidSpecError(
                f"the {settings.ref.kind} {settings.ref.name!r}: {error}"
            ) from error
        traits = rotator.traits(settings.parameters)
        return rotator, traits, roles_of(resource, rotation, traits)

    @asynccontextmanager
    async def aim(
        self, resource: ManagedSecret, rotation: RotationSpec, settings: RotatorSettings | None
    ) -> AsyncIterator[Aim]:
        """Read what a run needs; the admin credential is zeroed when the `with` ends.

        Raises:
            InvalidSpecError, SourceNotFoundError, DeniedError: something does not fit, is missing
                or may not be read.
        """
        rotator, traits, roles = self.match(resource, rotation, settings)
        if settings is None:
            yield Aim(rotator, NOWHERE, traits, roles)
            return
        admin, authority = await self._rotators.target_materials(settings, self._managed)
        with admin:
            target = Target(
                settings.parameters, admin, authority, settings.timeout, jobs=self._jobs
            )
            namespace = resource.namespace if settings.ref.kind == NAMESPACED_KIND else ""
            yield Aim(rotator, target, traits, roles, settings, namespace)

    async def _managed(self, name: SecretName) -> Mapping[str, SecretValue]:
        """Give copies of the current values of a ManagedSecret that is an admin credential."""
        found = await self._store.lookup(name)
        secret = next((each for each in found if each.deleted_at is None), None)
        if secret is None or secret.stages.current is None:
            raise SourceNotFoundError(f"the ManagedSecret {name} has no current version yet")
        payload = await self._versions.open(secret, secret.stages.current)
        return dict(payload)
