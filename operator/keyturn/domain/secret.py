"""A secret as the store knows it: its identity, versions, stages and targets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from keyturn.domain.errors import VersionNotFoundError
from keyturn.domain.recovery import Retention
from keyturn.domain.stage import Stages
from keyturn.domain.version import Version


@dataclass(frozen=True, slots=True, order=True)
class SecretName:
    """The name that a person uses: namespace and name of the ManagedSecret."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Claim:
    """A native Secret that a secret projects into; at most one secret holds a claim.

    An empty `key` claims the whole native Secret, any other one key of it (creation policy
    Merge). The first holder wins.
    """

    native_name: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Projected:
    """A native Secret as it was last written: the same `uid` and `resource_version` mean no drift.

    `rendered_from` is a digest of everything that went into it (the versions' numbers, the
    target's specification, the owner); `fingerprint` is a keyed digest (HMAC) of its data.
    `owned` tells whether the native Secret was made by us (else we merged keys into it).
    `keys` are the data keys that we wrote.
    """

    native_name: str
    uid: str
    resource_version: str
    version: int
    rendered_from: str
    fingerprint: str
    owned: bool = True
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """One ManagedSecret's line of versions in the store.

    The identity is (`namespace_uid`, name), so that a namespace that was deleted and made again
    inherits nothing. `resource_uid` is the ManagedSecret that it was last attached to.
    """

    id: UUID
    namespace_uid: str
    name: SecretName
    resource_uid: str
    created_at: datetime
    stages: Stages
    retention: Retention = field(default_factory=Retention)
    deleted_at: datetime | None = None
    purge_after: datetime | None = None
    versions: Sequence[Version] = ()
    """Ascending by number."""
    claims: frozenset[Claim] = frozenset()
    projected: Sequence[Projected] = ()
    sealed_manifest: bytes = b""

    @property
    def newest(self) -> Version | None:
        return self.versions[-1] if self.versions else None

    @property
    def current(self) -> Version | None:
        number = self.stages.current
        return None if number is None else self.version(number)

    def version(self, number: int) -> Version:
        """Find a version by its number.

        Raises:
            VersionNotFoundError: there is none of that number.
        """
        for version in reversed(self.versions):
            if version.number == number:
                return version
        raise VersionNotFoundError(f"{self.name} has no version {number}")

    def credential(self, number: int) -> int:
        """Tell which credential a version has, by the number of the first version that had it.

        Raises:
            VersionNotFoundError: there is none of that number.
        """
        return self.version(number).credential or number

    def is_current_credential(self, number: int | None) -> bool:
        """Tell whether a version is known to have the credential of the one that is Current."""
        current = self.stages.current
        if number is None or current is None:
            return False
        return self.credential(number) == self.credential(current)

    @property
    def with_current_credential(self) -> frozenset[int]:
        """The numbers of the versions that are known to have it, the one that is Current too."""
        numbers = (version.number for version in self.versions)
        return frozenset(number for number in numbers if self.is_current_credential(number))

    def promoted(self, number: int) -> Stages:
        """Tell the stages once a version is Current.

        One that has the credential of the version that is Current leaves Previous where it is, as
        long as that one has another: its credential may still be held, and has to be ended.
        """
        previous = self.stages.previous
        stays = self.is_current_credential(number) and not self.is_current_credential(previous)
        return self.stages.promote(number, keeps_previous=stays)

    def projection(self, native_name: str) -> Projected | None:
        return next((p for p in self.projected if p.native_name == native_name), None)
