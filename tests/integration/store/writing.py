"""Versions that can be told from their secret and number alone, so that a reader knows them."""

from dataclasses import replace
from uuid import NAMESPACE_OID, uuid5

from keyturn.domain.secret import Secret
from keyturn.domain.version import SealedVersion
from keyturn.testing.store_samples import a_version


def sealed_version(secret: str, number: int) -> SealedVersion:
    version = a_version(number, version_id=uuid5(NAMESPACE_OID, f"{secret}/{number}"))
    return replace(version, sealed=f"{secret}/{number} ".encode() * 120)


def is_newest_current(secret: Secret) -> bool:
    """Tell whether no half of an `add_version` with `promote` is seen."""
    newest = secret.newest.number if secret.newest else None
    return secret.stages.current == newest
