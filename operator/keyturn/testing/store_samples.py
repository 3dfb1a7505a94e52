"""Valid things to put into a store; a test varies the one thing that it is about."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from keyturn.domain.recovery import Retention
from keyturn.domain.secret import Projected, Secret, SecretName
from keyturn.domain.version import KeyOrigin, SealedVersion, Version, VersionReason
from keyturn.store.interface import Attachment, SecretStore

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
AN_HOUR = Retention(window=timedelta(hours=1))


def an_attachment(
    name: str = "database",
    *,
    namespace: str = "shop",
    namespace_uid: str = "uid-of-shop",
    resource_uid: str = "uid-of-resource",
    retention: Retention = AN_HOUR,
) -> Attachment:
    return Attachment(
        namespace_uid, SecretName(namespace, name), resource_uid, retention, b"sealed manifest"
    )


def a_version(
    number: int, *, version_id: UUID | None = None, credential: int | None = None
) -> SealedVersion:
    version = Version(
        number=number,
        id=version_id or uuid4(),
        created_at=NOW + timedelta(seconds=number),
        reason=VersionReason.CREATED,
        key_id="local-1",
        origins={"password": KeyOrigin("digest of spec", "digest of value"), "user": KeyOrigin("")},
        credential=credential,
    )
    return SealedVersion(version, f"ciphertext {number}".encode())


def a_projection(native_name: str = "database", *, version: int = 1) -> Projected:
    return Projected(
        native_name=native_name,
        uid="uid-of-native",
        resource_version="4711",
        version=version,
        rendered_from="digest of all",
        fingerprint="keyed digest",
        owned=False,
        keys=("password", "user"),
    )


async def a_secret(
    store: SecretStore, name: str = "database", *, versions: int = 0, namespace_uid: str = "shop"
) -> Secret:
    """Make a secret whose newest version is Current."""
    attachment = an_attachment(name, namespace=namespace_uid, namespace_uid=namespace_uid)
    secret = await store.attach(attachment, now=NOW)
    for number in range(1, versions + 1):
        secret = await add(store, secret, number)
    return secret


async def add(
    store: SecretStore, secret: Secret, number: int, *, promote: bool = True, limit: int = 100
) -> Secret:
    return await store.add_version(
        secret.id, a_version(number), promote=promote, history_limit=limit
    )


async def a_deleted_secret(
    store: SecretStore, name: str = "database", *, retention: Retention = AN_HOUR
) -> Secret:
    attachment = an_attachment(name, retention=retention)
    secret = await store.attach(attachment, now=NOW)
    await add(store, secret, 1)
    return await store.mark_deleted(secret.id, resource_uid=attachment.resource_uid, now=NOW)


def numbers(secret: Secret) -> list[int]:
    return [version.number for version in secret.versions]
