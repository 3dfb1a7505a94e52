"""The composition root: settings in, a running operator out. It opens and closes everything."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from keyturn import plugins
from keyturn.api.health import serving_health
from keyturn.api.routes import Served
from keyturn.api.server import serving
from keyturn.crypto import root_keys
from keyturn.crypto.envelope import Envelope
from keyturn.crypto.key_files import KeyFile
from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey, from_parts, to_text
from keyturn.crypto.root_keys import RootKeys
from keyturn.domain.errors import (
    DeniedError,
    InvalidParameterError,
    KeyMissingError,
    UnavailableError,
)
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.secret import Secret, SecretName
from keyturn.handlers.eyes import ManagedSecretsEye, NativeSecretsEye
from keyturn.handlers.operating import Operator
from keyturn.handlers.watching import KopfWatch
from keyturn.handlers.witness import Witness
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.default_key import DefaultKeySecret
from keyturn.kube.errors import AlreadyExistsError
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.following import Following
from keyturn.kube.kubernetes_events import KubernetesEvents
from keyturn.kube.managed_secrets import ManagedSecrets
from keyturn.kube.native_secrets import NativeSecrets
from keyturn.kube.resources import from_manifest, parse
from keyturn.kube.sources import Sources
from keyturn.services.generating import Generating
from keyturn.services.importing import Importing
from keyturn.services.lifecycle import Lifecycle, Manifests
from keyturn.services.operations import Operations
from keyturn.services.projecting import Projecting
from keyturn.services.purging import Purging
from keyturn.services.reconciling import Reconciler
from keyturn.services.scheduling import Scheduler
from keyturn.services.sightings import Sightings
from keyturn.services.sourcing import Sourcing
from keyturn.services.target_writing import TargetWriter
from keyturn.services.targets import Targets
from keyturn.services.versions import Versions
from keyturn.services.workers import Workers
from keyturn.services.workqueue import WorkQueue
from keyturn.settings import Settings
from keyturn.store.interface import StoreIdentity
from keyturn.store.sqlite import SQLiteStore

logger = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_DELAY, LAST_DELAY = 0.2, 10.0

GC_THRESHOLDS = (2_000, 20, 20)
"""So many more objects that may hold others than were freed make a look at the youngest of them,
so many looks one at the older ones, and so many of those a full one."""

SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that computes lets another one that waits go on. kopf's thread and
the store's hand over what was heard or kept, and then compute on: with the interpreter's 5 ms,
what they handed over waited for all of that."""


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


@dataclass(frozen=True, slots=True)
class Running:
    """A running operator: what people ask of it, and how it fares."""

    operations: Operations
    operator: Operator
    key: LocalKey


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Open everything, run the operator inside the `with`, and stop it cleanly.

    Raises:
        ForeignStoreError: the store belongs to another cluster.
        IntegrityError: the store, its key or both are not what they were.
        InvalidParameterError: a setting cannot be used.
    """
    async with AsyncExitStack() as stack:
        store = await SQLiteStore.open(settings.store_file)
        stack.push_async_callback(store.close)
        connection = Connection(settings.kubeconfig)
        kube = await stack.enter_async_context(KubeClient(connection))
        facts = ClusterFacts(kube)
        cluster_uid = await _patiently(facts.cluster_uid)
        # Before the key: the store of another cluster has its key there.
        await store.bind(cluster_uid)
        identity = await store.identity()
        key = await _patiently(lambda: _key(settings, store, identity, kube))
        vault = await _unlock(settings, store, key)
        stack.callback(vault.keys.close)
        yield await _started(stack, settings, vault, kube, facts, connection)


async def run(settings: Settings) -> None:
    """Run the operator, its socket and its probes until cancelled.

    Raises:
        KeyturnError: it cannot start, see `running`.
    """
    async with AsyncExitStack() as stack:
        started: list[Running] = []
        port = await stack.enter_async_context(_probes(settings, started))
        if port:
            logger.info("the probes are answered on port %d", port)
        here = await stack.enter_async_context(running(settings))
        started.append(here)
        served = Served(here.operations, partial(to_text, here.key))
        await stack.enter_async_context(serving(settings.socket, served))
        await here.operator.listed()
        logger.info("all resources are listed; the operator is at work")
        sys.setswitchinterval(SWITCH_INTERVAL)
        _settle_memory()
        await asyncio.get_running_loop().create_future()


def _settle_memory() -> None:
    """Let the collector of garbage look only at what is made from now on, and less often.

    Each full look went over the modules and tables of the start, 80,000 objects, and for 56 ms no
    thread moved. Nearly all that a reconcile makes is freed by its count of references before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@asynccontextmanager
async def _probes(settings: Settings, started: list[Running]) -> AsyncIterator[int]:
    """Answer the probes from the very start: alive, and not ready until all is running."""

    def live() -> list[str]:
        return started[0].operator.is_dead() if started else []

    def ready() -> list[str]:
        return started[0].operator.is_unready() if started else ["the operator is starting"]

    if settings.health_port < 0:
        yield 0
        return
    serving_probes = serving_health(
        settings.health_address, settings.health_port, live=live, ready=ready
    )
    async with serving_probes as port:
        yield port


@asynccontextmanager
async def offline(settings: Settings) -> AsyncIterator[Operations]:
    """Open the store that no operator holds; what needs the cluster is refused.

    Raises:
        StoreInUseError: an operator has it open.
        KeyMissingError: the default key is in the cluster, not in a file.
    """
    if not settings.store_file.exists():
        raise UnavailableError(
            f"no operator answers on {settings.socket}, and there is no store in "
            f"{settings.data_dir}; start keyturn run, or set KEYTURN_SOCKET or KEYTURN_DATA_DIR"
        )
    async with AsyncExitStack() as stack:
        store = await SQLiteStore.open(settings.store_file)
        stack.push_async_callback(store.close)
        if settings.key_file is None:
            raise KeyMissingError(
                "the default key is in the cluster; start keyturn run, or set KEYTURN_KEY_FILE"
            )
        key = await _key(settings, store, await store.identity(), None)
        vault = await _unlock(settings, store, key)
        stack.callback(vault.keys.close)
        generating = Generating(plugins.load("keyturn.generators"), None, now)
        yield _operations(vault, generating, None, lambda _: None, settings)


async def _started(
    stack: AsyncExitStack,
    settings: Settings,
    vault: Vault,
    kube: KubeClient,
    facts: ClusterFacts,
    connection: Connection,
) -> Running:
    scheduler = Scheduler()
    queue = WorkQueue(scheduler)
    resources, natives = ManagedSecrets(kube), NativeSecrets(kube)
    lifecycle = Lifecycle(vault.store, vault.manifests, facts, resources, now)
    sources = Sources(
        kube, author_checked=facts.author_checked, operator_namespace=settings.namespace
    )
    generating = Generating(plugins.load("keyturn.generators"), sources, now)
    following = Following(kube, queue.put)
    stack.push_async_callback(following.close)
    sightings = Sightings()
    targets = Targets(vault.store, vault.identity, vault.keys, facts.author_checked)
    importing = Importing(targets, vault.versions)
    writer = TargetWriter(
        vault.store,
        vault.versions,
        natives,
        targets,
        importing,
        sightings=sightings,
        keys=vault.keys,
        touched=queue.put,
    )
    reconciler = Reconciler(
        resources,
        lifecycle,
        Sourcing(
            vault.versions,
            generating,
            sources,
            importing,
            vault.keys.fingerprint,
            following.follow,
        ),
        Projecting(vault.store, natives, targets, writer, sightings),
        generating,
        KubernetesEvents(kube, instance=f"keyturn-{os.getpid()}"),
        clock=now,
        operator_namespace=settings.namespace,
    )
    scope = settings.watch_namespaces
    natives_eye = NativeSecretsEye(kube, scope, sightings, queue)
    witness = Witness()
    managed_eye = ManagedSecretsEye(kube, scope, facts, vault.store.secrets, queue, witness)
    operator = Operator(queue, reconciler, managed_eye, natives_eye, witness, vault.store.check)
    kopf = KopfWatch(connection, scope, operator.heard, facts.served)
    stack.push_async_callback(kopf.close)
    operations = _operations(vault, generating, lifecycle, queue.put, settings)
    await stack.enter_async_context(
        operator.running(
            kopf, Workers(queue, reconciler, settings.workers), scheduler, Purging(lifecycle)
        )
    )
    return Running(operations, operator, vault.key)


def _operations(
    vault: Vault,
    generating: Generating,
    lifecycle: Lifecycle | None,
    changed: Callable[[SecretName], None],
    settings: Settings,
) -> Operations:
    def resource_of(secret: Secret) -> ManagedSecret:
        body = from_manifest(vault.manifests.open(secret)[0])
        body["metadata"]["uid"] = secret.resource_uid
        return parse(body, outputs_of=generating.outputs_of, operator_namespace=settings.namespace)

    return Operations(
        vault.store,
        vault.versions,
        generating,
        vault.keys.fingerprint,
        resource_of,
        lifecycle=lifecycle,
        changed=changed,
    )


async def _unlock(settings: Settings, store: SQLiteStore, key: LocalKey) -> Vault:
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


async def _key(
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


async def _patiently(ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Ask until the cluster answers: an operator may start before its apiserver, or its roles."""
    delay = FIRST_DELAY
    while True:
        try:
            return await ask()
        except (UnavailableError, DeniedError) as error:
            logger.warning("waiting: %s", error.message)
        await asyncio.sleep(delay)
        delay = min(delay * 2, LAST_DELAY)
