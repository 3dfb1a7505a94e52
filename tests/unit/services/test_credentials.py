"""Whose credential a version has, where it is what is generated."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from keyturn.bootstrap.vault import Vault, now
from keyturn.domain.managed_secret import ManagedSecretSpec
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.recovery import Retention
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import KeyOrigin, VersionReason
from keyturn.kube.resources import parse
from keyturn.services.credentials import credential_of
from keyturn.store.interface import Attachment
from vaults import opened

SPEC = {
    "data": [
        {"key": "password", "generate": {"password": {}}},
        {"key": "pin", "generate": {"password": {}}},
        {"key": "host", "value": "db"},
    ],
    "rotation": {"interval": "30d"},
}
BOTH = {"password": "one", "pin": "two"}


@pytest.fixture
async def vault(tmp_path: Path) -> AsyncIterator[Vault]:
    async with opened(tmp_path) as vault:
        yield vault


def a_spec() -> ManagedSecretSpec:
    metadata = {"name": "db", "namespace": "shop", "uid": "uid"}
    body = {"metadata": metadata, "spec": SPEC}
    return parse(body, outputs_of=lambda _, key, __: {"password": key}).spec


def a_payload(values: Mapping[str, str]) -> Payload:
    return Payload({key: SecretValue(value.encode()) for key, value in values.items()})


async def a_secret(vault: Vault, values: Mapping[str, str]) -> Secret:
    """Make one whose version 1 has these values, and an origin for each key of the resource."""
    named = SecretName("shop", "db")
    attachment = Attachment("uid-of-shop", named, str(uuid4()), Retention(), b"manifest")
    secret = await vault.store.attach(attachment, now=now())
    with a_payload(values) as payload:
        return await vault.versions.add(
            secret,
            payload,
            origins={key: KeyOrigin("source") for key in ("password", "pin", "host")},
            reason=VersionReason.CREATED,
            history_limit=10,
        )


@pytest.mark.parametrize(
    ("current", "following", "credential"),
    [
        (BOTH, {**BOTH, "host": "another"}, 1),
        (BOTH, {**BOTH, "pin": "new"}, None),
        (BOTH, {"password": "one"}, None),
        # A key that a version has an origin of and no value for: older releases made such ones
        ({"password": "one"}, BOTH, 1),
        ({"password": "one"}, {**BOTH, "password": "new"}, None),
        ({"host": "db"}, BOTH, None),
    ],
)
async def test_it_is_that_of_the_current_one_if_all_is_the_same_that_can_be_held(
    vault: Vault, current: Mapping[str, str], following: Mapping[str, str], credential: int | None
) -> None:
    secret = await a_secret(vault, current)

    with a_payload(following) as payload:
        assert await credential_of(vault.versions, a_spec(), secret, payload) == credential
