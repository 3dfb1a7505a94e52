"""Whether a version has the credential of the one that is Current, told by the values themselves.

Then the version before is still the one whose credential may be held, and stays Previous.
"""

from collections.abc import Collection

from keyturn.domain.managed_secret import ManagedSecretSpec
from keyturn.domain.payload import Payload
from keyturn.domain.secret import Secret
from keyturn.services.versions import Versions


async def is_current_credential(
    versions: Versions, secret: Secret, payload: Payload, keys: Collection[str]
) -> bool:
    """Tell whether a payload has the same values for the keys of the credential.

    Raises:
        DecryptionFailedError: the current version does not open.
    """
    number = secret.stages.current
    if number is None or not keys:
        return False
    with await versions.open(secret, number) as current:
        return _is_same(current, payload, keys)


async def credential_of(
    versions: Versions, spec: ManagedSecretSpec, secret: Secret, payload: Payload
) -> int | None:
    """Tell whose credential the next version has, where there is no target; None: its own.

    There the credential is what is generated, and `spec.rotation` replaces. What the current
    version has no value of is none that could be held.

    Raises:
        DecryptionFailedError: the current version does not open.
    """
    current = secret.current
    if spec.rotation is None or current is None:
        return None
    with await versions.open(secret, current.number) as stood:
        held = [key for key in spec.generated_keys if key in stood]
        is_same = bool(held) and _is_same(stood, payload, held)
    return secret.credential(current.number) if is_same else None


def _is_same(one: Payload, other: Payload, keys: Collection[str]) -> bool:
    return all(key in one and key in other and one[key].matches(other[key]) for key in keys)
