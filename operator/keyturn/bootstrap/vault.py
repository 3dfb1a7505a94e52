"""The vault: an open store and the keys to it, and how the default key is found or made."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from keyturn.crypto import root_keys
from keyturn.crypto.envelope import Envelope
from keyturn.crypto.key_files import KeyFile
from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey, from_parts
from keyturn.crypto.root_keys import RootKeys
from keyturn.domain.errors import (
    DeniedError,
    InvalidParameterError,
    KeyMissingError,
    UnavailableError,
)
from keyturn.kube.client import KubeClient
from keyturn.kube.default_key import DefaultKeySecret
from keyturn.kube.errors import AlreadyExistsError
from keyturn.services.lifecycle import Manifests
from keyturn.services.versions import Versions
from keyturn.settings import Settings
from keyturn.store.interface import StoreIdentity
from keyturn.store.sqlite import SQLiteStore

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY, LAST_DELAY = 0.2, 10.0


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Vault:
    """An open store and the keys to it: all that works without a cluster."""

    store: SQLiteStore
    identity: StoreIdentity
    key: LocalKey
    keys: RootKeys
    versions: Versions
    manifests: Manifests


async def unlock(settings: Settings, store: SQLiteStore, key: LocalKey) -> Vault:
    provider = LocalKeyProvider(key)
    identity = await store.identity()
    sealed = identity.sealed_root
    if not sealed:
        made = await root_keys.make_sealed_root(
            identity.store_id, provider, holds_data=await store.count() > 0
        )
        sealed = await store.set_sealed_root(made)
    keys = await root_keys.open_root(sealed, identity.store_id, provider)
    envelope = Envelope(provider, limit=settings.payload_limit)
    versions = Versions(store, envelope, identity.store_id, now)
    return Vault(store, identity, key, keys, versions, Manifests(keys))


async def default_key(
    settings: Settings, store: SQLiteStore, identity: StoreIdentity, kube: KubeClient | None
) -> LocalKey:
    """Read the default key, or make it on first use; never when the store holds data already."""
    holds_data = bool(identity.sealed_root) or await store.count() > 0
    if settings.key_file is not None:
        file = KeyFile(settings.key_file, settings.data_dir)
        key, is_new = file.load_or_create(store_holds_data=holds_data)
        where = str(settings.key_file)
    else:
        if kube is None:
            raise KeyMissingError("the default key is in the cluster, which cannot be reached")
        key, is_new = await _key_in_cluster(
            DefaultKeySecret(kube, settings.namespace), holds_data=holds_data
        )
        where = f"the Secret keyturn-default-key of the namespace {settings.namespace}"
    if is_new:
        logger.warning(
            "the default key is new and lies in %s: without it the store cannot be read; keep a "
            "copy apart from the store: keyturn key export",
            where,
        )
    return key


async def _key_in_cluster(secret: DefaultKeySecret, *, holds_data: bool) -> tuple[LocalKey, bool]:
    for _ in range(2):
        found = await secret.read()
        if found is not None:
            try:
                return from_parts(*found), False
            except InvalidParameterError as error:
                raise KeyMissingError(
                    "the Secret keyturn-default-key was changed and is no key any more; restore it "
                    "from the line of keyturn key export"
                ) from error
        if holds_data:
            raise KeyMissingError(
                "the Secret keyturn-default-key is gone, but the store holds data that only it "
                "opens; restore it from the line of keyturn key export. No new key is made"
            )
        key = LocalKey.generate()
        try:
            await secret.create(key.id, key.material.reveal())
        except AlreadyExistsError:
            key.close()
            continue
        return key, True
    raise KeyMissingError("the Secret keyturn-default-key comes and goes; look who changes it")


async def patiently(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Ask until the cluster answers: an operator may start before its apiserver, or its roles."""
    delay = FIRST_DELAY
    while True:
        try:
            return await ask()
        except (UnavailableError, DeniedError) as error:
            logger.warning("waiting: %s", error.message)
        await asyncio.sleep(delay)
        delay = min(delay * 2, LAST_DELAY)
