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
        return all(
            key in payload and key in current and payload[key].matches(current[key]) for key in keys
        )


async def credential_of(
    versions: Versions, spec: ManagedSecretSpec, secret: Secret, payload: Payload
) -> int | None:
    """Tell whose credential the next version has, where there is no target; None: its own.

    There the credential is what is generated, and `spec.rotation` replaces. What was not there
    before is none that could be held.

    Raises:
        DecryptionFailedError: the current version does not open.
    """
    current = secret.current
    if spec.rotation is None or current is None:
        return None
    keys = spec.generated_keys & current.origins.keys()
    is_same = await is_current_credential(versions, secret, payload, keys)
    return secret.credential(current.number) if is_same else None
