"""An operator's local half: a real store, real keys and the real API, without a cluster."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest

from forked_commands import ForkedCommands
from keyturn import plugins
from keyturn.api.routes import Served
from keyturn.api.server import serving
from keyturn.crypto import root_keys
from keyturn.crypto.envelope import Envelope
from keyturn.crypto.key_files import KeyFile
from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import to_text
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.recovery import Retention
from keyturn.domain.secret import Secret, SecretName
from keyturn.kube.resources import from_manifest, parse, to_manifest
from keyturn.services.generating import Generating
from keyturn.services.lifecycle import Manifests
from keyturn.services.operations import Operations
from keyturn.services.versions import Versions
from keyturn.store.interface import Attachment
from keyturn.store.sqlite import SQLiteStore

T = TypeVar("T")
Completed = subprocess.CompletedProcess[bytes]

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")

BECOME_NOBODY = "import os, socket, sys; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
"""The begin of a program that another user runs: Python itself may lie where only root reads."""


def open_to_all(folder: Path, *more: Path) -> None:
    """Let other users into a folder that pytest made, and those above it, and more."""
    closed = [above for above in (folder, *folder.parents) if not above.stat().st_mode & 0o001]
    for each in (folder, *closed, *more):
        each.chmod(0o755)


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Local:
    """What an operator holds open."""

    store: SQLiteStore
    operations: Operations
    manifests: Manifests
    served: Served

    async def apply(self, name: str, *inputs: str, namespace: str = "default") -> Secret:
        """Attach a resource whose keys wait for values, as a reconcile does."""
        spec = {"data": [{"key": key, "input": {}} for key in inputs]}
        return await self.attach(name, spec, namespace=namespace)

    async def attach(
        self, name: str, spec: Mapping[str, Any], *, namespace: str = "default", **metadata: Any
    ) -> Secret:
        """Attach a resource, as a reconcile does."""
        named_so = {"name": name, "namespace": namespace, "uid": str(uuid4())}
        body: dict[str, Any] = {"metadata": {**named_so, **metadata}, "spec": spec}
        named, uid = SecretName(namespace, name), f"uid-of-{namespace}"
        sealed = self.manifests.seal(to_manifest(body), "uid-of-crd", uid, named)
        attachment = Attachment(uid, named, body["metadata"]["uid"], Retention(), sealed)
        return await self.store.attach(attachment, now=now())

    async def delete(self, name: str, *, namespace: str = "default") -> None:
        secret = await self.operations.find(SecretName(namespace, name))
        await self.store.mark_deleted(secret.id, resource_uid=secret.resource_uid, now=now())


@asynccontextmanager
async def opened(data_dir: Path, key_file: Path) -> AsyncIterator[Local]:
    """Open the store as the composition root does, with a file for the key."""
    store = await SQLiteStore.open(data_dir / "store.sqlite3")
    try:
        identity = await store.identity()
        holds_data = bool(identity.sealed_root)
        key, _ = KeyFile(key_file, data_dir).load_or_create(store_holds_data=holds_data)
        provider = LocalKeyProvider(key)
        sealed = identity.sealed_root or await store.set_sealed_root(
            await root_keys.make_sealed_root(identity.store_id, provider, holds_data=False)
        )
        keys = await root_keys.open_root(sealed, identity.store_id, provider)
        generating = Generating(plugins.load("keyturn.generators"), None, now)
        manifests = Manifests(keys)

        def resource_of(secret: Secret) -> ManagedSecret:
            body: dict[str, Any] = from_manifest(manifests.open(secret)[0])
            body["metadata"]["uid"] = secret.resource_uid
            return parse(body, outputs_of=generating.outputs_of)

        operations = Operations(
            store,
            Versions(store, Envelope(provider), identity.store_id, now),
            generating,
            keys.fingerprint,
            resource_of,
            lifecycle=None,
            rotations=None,
            changed=lambda _: None,
            clock=now,
        )
        yield Local(store, operations, manifests, Served(operations, lambda: to_text(key)))
        keys.close()
        provider.close()
    finally:
        await store.close()


class Office:
    """A folder with a store; an operator that answers there for a while; commands that ask it."""

    def __init__(self, folder: Path, commands: ForkedCommands) -> None:
        self._commands = commands
        self.data_dir = folder / "data"
        self.key_file = folder / "key"
        self.socket = self.data_dir / "run" / "keyturn.sock"
        self._loop: asyncio.AbstractEventLoop | None = None
        self._local: Local | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "KEYTURN_DATA_DIR": str(self.data_dir),
            "KEYTURN_KEY_FILE": str(self.key_file),
        }

    def start(self, *, answering: bool = True) -> None:
        """Hold the store open in a thread, and answer on the socket."""
        ready, failures = threading.Event(), list[BaseException]()

        async def hold() -> None:
            self._loop, self._stopping = asyncio.get_running_loop(), asyncio.Event()
            async with opened(self.data_dir, self.key_file) as self._local:
                if not answering:
                    ready.set()
                    await self._stopping.wait()
                    return
                async with serving(self.socket, self._local.served):
                    ready.set()
                    await self._stopping.wait()

        def work() -> None:
            try:
                asyncio.run(hold())
            except BaseException as error:
                failures.append(error)
                ready.set()
                raise

        self._thread = threading.Thread(target=work)
        self._thread.start()
        assert ready.wait(60)
        assert not failures

    def stop(self) -> None:
        if self._thread is not None:
            assert self._loop is not None
            assert self._stopping is not None
            self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(60)
            self._thread = None

    def do(self, work: Callable[[Local], Awaitable[T]]) -> T:
        """Do something inside the operator."""
        assert self._loop is not None
        assert self._local is not None
        local = self._local

        async def done() -> T:
            return await work(local)

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(60)

    def apply(self, name: str, *inputs: str, namespace: str = "default") -> None:
        self.do(lambda local: local.apply(name, *inputs, namespace=namespace))

    def keyturn(
        self, *arguments: str, stdin: bytes = b"", environment: Mapping[str, str] | None = None
    ) -> Completed:
        """Run a command in a process of its own."""
        return self._commands.run(arguments, {**self.environment, **(environment or {})}, stdin)

    def command(self, *arguments: str) -> list[str]:
        """Give what starts a command from the beginning, as a person does."""
        return [sys.executable, "-m", "keyturn", *arguments]
