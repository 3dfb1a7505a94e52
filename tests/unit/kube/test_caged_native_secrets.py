"""Whose a Secret is that may not be patched: only the cage's own refusal tells."""

from typing import Any

import pytest

from keyturn.domain.errors import DeniedError, TargetOwnedByOtherError
from keyturn.kube.caged_native_secrets import CagedNativeSecrets

REFUSALS = {
    "a right is missing": (
        'secrets "db" is forbidden: User "system:serviceaccount:keyturn-system:keyturn" cannot '
        'patch resource "secrets" in API group "" in the namespace "shop"',
        DeniedError,
    ),
    "another policy refuses": (
        "secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'no-dry-runs' with binding 'all' "
        "denied request: not now",
        DeniedError,
    ),
    "the cage refuses": (
        "secrets \"db\" is forbidden: ValidatingAdmissionPolicy 'keyturn-cage' with binding "
        "'keyturn-cage' denied request: this Secret belongs to somebody else",
        TargetOwnedByOtherError,
    ),
}


class Refusing:
    """An apiserver that refuses every request with the same words."""

    def __init__(self, message: str) -> None:
        self._message = message

    async def request(self, *_: Any, **__: Any) -> Any:
        raise DeniedError(self._message)


@pytest.mark.parametrize(("message", "expected"), REFUSALS.values(), ids=REFUSALS)
async def test_what_a_refusal_says_of_the_owner(
    message: str, expected: type[DeniedError | TargetOwnedByOtherError]
) -> None:
    natives = CagedNativeSecrets(Refusing(message))  # type: ignore[arg-type]

    with pytest.raises(expected) as caught:
        await natives.get("shop", "db")

    assert type(caught.value) is expected
