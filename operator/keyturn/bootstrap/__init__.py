"""The composition root: settings in, a running operator out. It opens and closes everything."""

import gc
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from keyturn import plugins
from keyturn.api.health import serving_health
from keyturn.api.routes import Served
from keyturn.api.server import serving
from keyturn.bootstrap.assembling import Running, operations_of, started
from keyturn.bootstrap.starting import Starting
from keyturn.bootstrap.vault import default_key, now, patiently, unlock
from keyturn.crypto.local_key import to_text
from keyturn.domain.errors import LeadershipLostError, UnavailableError
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.observability import failpoints
from keyturn.services.generating import Generating
from keyturn.services.operations import Operations
from keyturn.settings import Settings
from keyturn.store.sqlite import SQLiteStore

logger = logging.getLogger(__name__)

GC_THRESHOLDS = (2_000, 20, 20)
"""So many more objects that may hold others than were freed make a look at the youngest of them,
so many looks one at the older ones, and so many of those a full one."""

SWITCH_INTERVAL = 0.001
"""Seconds after which a thread that computes lets another one that waits go on. kopf's thread and
the store's hand over what was heard or kept, and then compute on: with the interpreter's 5 ms,
what they handed over waited for all of that."""


@asynccontextmanager
async def running(settings: Settings, starting: Starting) -> AsyncIterator[Running]:
    """Open everything, run the operator inside the `with`, and stop it cleanly.

    Raises:
        StoreInUseError: another process has the store open, and still has after the wait for it.
        ForeignStoreError: the store belongs to another cluster.
        IntegrityError: the store, its key or both are not what they were.
        InvalidParameterError: a setting cannot be used.
    """
    failpoints.arm(settings.failpoint)
    async with AsyncExitStack() as stack:
        store = await starting.open_store(settings)
        stack.push_async_callback(store.close)
        connection = Connection(settings.kubeconfig)
        kube = await stack.enter_async_context(KubeClient(connection))
        facts = ClusterFacts(kube)
        cluster_uid = await patiently(facts.cluster_uid)
        # Before the key: the store of another cluster has its key there.
        await store.bind(cluster_uid)
        identity = await store.identity()
        key = await patiently(lambda: default_key(settings, store, identity, kube))
        vault = await unlock(settings, store, key)
        stack.callback(vault.keys.close)
        yield await started(stack, settings, vault, kube, facts, connection)


async def run(settings: Settings) -> None:
    """Run the operator, its socket and its probes until cancelled.

    Raises:
        KeyturnError: it cannot start, see `running`.
    """
    async with AsyncExitStack() as stack:
        starting, started = Starting(), list[Running]()
        port = await stack.enter_async_context(_probes(settings, starting, started))
        if port:
            logger.info("the probes are answered on port %d", port)
        here = await stack.enter_async_context(running(settings, starting))
        started.append(here)
        served = Served(here.operations, partial(to_text, here.key), here.consumers)
        await stack.enter_async_context(serving(settings.socket, served))
        await here.operator.listed()
        logger.info("all resources are listed; the operator is at work")
        sys.setswitchinterval(SWITCH_INTERVAL)
        _settle_memory()
        await here.replaced.wait()
        raise LeadershipLostError("another operator has taken over; this one ends")


def _settle_memory() -> None:
    """Let the collector of garbage look only at what is made from now on, and less often.

    Each full look went over the modules and tables of the start, 80,000 objects, and for 56 ms no
    thread moved. Nearly all that a reconcile makes is freed by its count of references before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


@asynccontextmanager
async def _probes(
    settings: Settings, starting: Starting, started: list[Running]
) -> AsyncIterator[int]:
    """Answer the probes from the very start: alive, and not ready until all is running."""

    def live() -> list[str]:
        return started[0].operator.is_dead() if started else []

    def ready() -> list[str]:
        return started[0].operator.is_unready() if started else [starting.problem]

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
        UnavailableError: the default key is in the cluster, not in a file.
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
            raise UnavailableError(
                "the default key is in the cluster; start keyturn run, or set KEYTURN_KEY_FILE"
            )
        key = await default_key(settings, store, await store.identity(), None)
        vault = await unlock(settings, store, key)
        stack.callback(vault.keys.close)
        generating = Generating(plugins.load("keyturn.generators"), None, now)
        yield operations_of(vault, generating, None, lambda _: None, settings)
