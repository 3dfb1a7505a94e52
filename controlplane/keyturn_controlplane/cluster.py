"""A control plane of one's own, from start to stop."""

import base64
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from keyturn_controlplane import components, kubeconfig, node_components
from keyturn_controlplane.addresses import ReservedAddresses
from keyturn_controlplane.binaries import Binaries, NodeBinaries
from keyturn_controlplane.certificates import Credentials
from keyturn_controlplane.crds import are_established
from keyturn_controlplane.endpoints import Endpoint
from keyturn_controlplane.errors import CommandFailedError, ControlPlaneError
from keyturn_controlplane.node import (
    CONTAINERD,
    KUBELET,
    NODE,
    SCHEDULER,
    Node,
    check_the_folder,
    check_the_user,
)
from keyturn_controlplane.ports import ReservedPorts
from keyturn_controlplane.processes import Processes

_ETCD_PAGE = 500

ETCD, APISERVER, CONTROLLER_MANAGER = "etcd", "kube-apiserver", "kube-controller-manager"


class ControlPlane:
    """A kube-apiserver with its etcd and controller-manager, for the length of a `with`.

    >>> from keyturn_controlplane.binaries import find_or_build
    >>> with ControlPlane(find_or_build()) as control_plane:  # doctest: +SKIP
    ...     control_plane.kubectl("get", "namespaces")

    Each has its own folder, ports and authorities, so any number run side by side. When the `with`
    is entered the apiserver is ready, the namespace `default` has its ServiceAccount and garbage
    is collected. However this process ends, nothing is left behind.

    Args:
        binaries: What to run.
        folder: Where to keep the data; it stays. A fresh folder that goes at the end if None.
        crds: Files or folders of CustomResourceDefinitions to apply before the controller-manager
            starts. It learns of custom resources at its start and then every 30 seconds: what
            such a resource owns is garbage collected without that delay if it is named here.
        durable: Whether etcd waits for the disk; only a test of a power cut needs it.
        apiserver_flags: More flags for kube-apiserver.
        controllers: The controllers to run, as kube-controller-manager names them.
        with_node: What a node runs, if there is to be one: then pods can be scheduled when the
            `with` is entered, and the controllers that they need run besides. It needs root.
    """

    def __init__(  # noqa: PLR0913 - each is a choice of its own, and has a default
        self,
        binaries: Binaries,
        *,
        folder: Path | None = None,
        crds: Sequence[Path] = (),
        durable: bool = False,
        apiserver_flags: Sequence[str] = (),
        controllers: Sequence[str] = components.CONTROLLERS,
        with_node: NodeBinaries | None = None,
    ) -> None:
        self._binaries = binaries
        self._crds = tuple(crds)
        self._durable = durable
        self._apiserver_flags = tuple(apiserver_flags)
        self._node_binaries = with_node
        self._addresses: ReservedAddresses | None = None
        more = node_components.CONTROLLERS if with_node else ()
        self._controllers = (*controllers, *more)
        self._folder_to_keep = folder

    # The life of it

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            self._prepare(undo)
            self._start()
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()

    def _prepare(self, undo: ExitStack) -> None:
        if self._node_binaries is not None:
            check_the_user(os.geteuid())
            self._addresses = undo.enter_context(ReservedAddresses())
        self._ports = undo.enter_context(ReservedPorts(3))
        self.folder = self._make_folder(undo)
        keep_folder = self._folder_to_keep is not None
        self._processes = undo.enter_context(Processes(self.folder, keep_folder=keep_folder))
        self._layout = self._lay_out()
        credentials = self._layout.credentials
        self._etcd = Endpoint(self._layout.etcd_port, credentials.etcd_ca, credentials.etcd)
        self._apiserver = Endpoint(
            self._layout.apiserver_port,
            credentials.ca,
            credentials.admin,
            self._layout.apiserver_address,
        )
        self.kubeconfig = kubeconfig.write_for_certificate(
            self.folder / "kubeconfig", self.url, self.ca_file, credentials.admin
        )
        self._node = self._make_node()

    def _lay_out(self) -> components.Layout:
        """With a node the apiserver answers where pods look for it: at its Service."""
        folder, now = self.folder / "certificates", datetime.now(UTC)
        etcd, peer, apiserver = self._ports.numbers
        if self._addresses is None:
            credentials = Credentials.create(folder, now)
            return components.Layout(self.folder, credentials, etcd, peer, apiserver)
        address, services = self._addresses.server, self._addresses.servers
        credentials = Credentials.create(folder, now, address)
        return components.Layout(
            self.folder, credentials, etcd, peer, components.HTTPS_PORT, address, services
        )

    def _make_node(self) -> Node | None:
        if self._node_binaries is None or self._addresses is None:
            return None
        check_the_folder(self.folder)
        credentials = self._layout.credentials
        self._apiserver_flags += tuple(node_components.apiserver_flags(credentials))
        layout = node_components.NodeLayout(
            self.folder / "node",
            credentials,
            self._addresses.server,
            self._addresses.pods,
            self._addresses.servers,
        )
        return Node(self._node_binaries, self._processes, layout, self._apiserver)

    def _make_folder(self, undo: ExitStack) -> Path:
        if self._folder_to_keep is not None:
            self._folder_to_keep.mkdir(mode=0o700, parents=True, exist_ok=True)
            return self._folder_to_keep.resolve()
        folder = Path(tempfile.mkdtemp(prefix="keyturn-control-plane-"))
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        return folder

    def _start(self) -> None:
        binary = self._binaries.etcd
        self._run(ETCD, components.etcd(binary, self._layout, durable=self._durable))
        self._processes.wait_for(ETCD, lambda: self._etcd.answers("/health"))
        self.start_apiserver()
        self._apply_crds()
        self._start_controller_manager()
        if self._node is not None:
            self._node.start()

    def detach(self) -> int:
        """Let it outlive this process, and the `with`.

        Returns:
            The id of the process that stops it, and removes its folder, on SIGTERM.
        """
        keeper = self._processes.detach()
        self._undo.pop_all()  # All of that is the keeper's now.
        self._ports.close()
        return keeper

    def check(self) -> None:
        """Pass if every part runs.

        Raises:
            ProcessFailedError: One ended; the message names it and shows the last of its log.
        """
        for name in (ETCD, APISERVER, CONTROLLER_MANAGER):
            self._processes.check(name)
        if self._node is not None:
            self._node.check()

    def start_apiserver(self) -> None:
        """Start the apiserver, on the port and with the data it had before, and wait for it.

        Raises:
            ProcessFailedError: It ended instead.
            NotReadyError: It did not become ready in time.
        """
        binary = self._binaries.kube_apiserver
        self._run(APISERVER, components.kube_apiserver(binary, self._layout, self._apiserver_flags))
        self._processes.wait_for(APISERVER, lambda: self._apiserver.answers("/readyz"))

    def _run(self, name: str, argv: Sequence[str]) -> None:
        self._processes.start(name, argv, components.GO_RUNTIME)

    def stop_apiserver(self, *, grace: float = 5.0) -> None:
        """Stop the apiserver only; its port stays ours, and refuses connections.

        Args:
            grace: For how many seconds it may end what it is doing; with 0 it is killed.
        """
        self._processes.stop(APISERVER, grace=grace)

    def _start_controller_manager(self) -> None:
        identity = kubeconfig.write_for_certificate(
            self.folder / "controller-manager.kubeconfig",
            self.url,
            self.ca_file,
            self._layout.credentials.controller_manager,
        )
        binary = self._binaries.kube_controller_manager
        self._run(
            CONTROLLER_MANAGER,
            components.kube_controller_manager(binary, self._layout, identity, self._controllers),
        )
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._processes.wait_for(CONTROLLER_MANAGER, lambda: self._apiserver.answers(account))
        if "garbage-collector-controller" in self._controllers:
            self._wait_for_garbage_collection()

    def _wait_for_garbage_collection(self) -> None:
        path = "/api/v1/namespaces/default/configmaps"
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "gone", "uid": "never-was"}
        orphan = {"name": "keyturn-orphan", "ownerReferences": [owner]}
        self._apiserver.post(path, {"metadata": orphan})
        self._processes.wait_for(
            CONTROLLER_MANAGER, lambda: not self._apiserver.answers(f"{path}/keyturn-orphan")
        )

    def _apply_crds(self) -> None:
        for path in self._crds:
            self.kubectl("apply", "--server-side", "-f", str(path))
        if self._crds:
            self._processes.wait_for(APISERVER, self._serves_crds)

    def _serves_crds(self) -> bool:
        return are_established(json.loads(self.kubectl("get", "crds", "-o", "json").stdout))

    # The use of it

    @property
    def node(self) -> Node:
        """The node.

        Raises:
            ControlPlaneError: It was made without one.
        """
        if self._node is None:
            raise ControlPlaneError("this control plane has no node")
        return self._node

    @property
    def logs(self) -> tuple[str, ...]:
        """The names of all logs there are."""
        of_node = (SCHEDULER, NODE, CONTAINERD, KUBELET) if self._node is not None else ()
        return (ETCD, APISERVER, CONTROLLER_MANAGER, *of_node)

    @property
    def url(self) -> str:
        return self._layout.url

    @property
    def ca_file(self) -> Path:
        """The certificate that vouches for the apiserver."""
        return self._layout.credentials.ca

    @property
    def etcd_folder(self) -> Path:
        """The data of etcd: its files hold what was deleted, too."""
        return self._layout.etcd_folder

    def log_file(self, name: str) -> Path:
        """Return a log, by one of the names in `logs`."""
        return self._processes.log_file(name)

    def kubectl(
        self,
        *arguments: str,
        input: str | bytes | None = None,  # noqa: A002 -- the name that subprocess.run gives it
        check: bool = True,
        kubeconfig_file: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, or by another kubeconfig, and return what it said.

        Raises:
            CommandFailedError: It ended with an error, and `check` is true.
        """
        completed = subprocess.run(
            [self._binaries.kubectl, *arguments],
            input=input.decode() if isinstance(input, bytes) else input,
            env=self._kubectl_environment(kubeconfig_file or self.kubeconfig),
            capture_output=True,
            text=True,
            check=False,
        )
        if check and completed.returncode != 0:
            raise CommandFailedError(f"kubectl {arguments[0]}: {completed.stderr.strip()}")
        return completed

    def _kubectl_environment(self, kubeconfig_file: Path) -> dict[str, str]:
        """Return an environment in which no file of the user has a say."""
        return {
            "PATH": os.defpath,
            "HOME": str(self.folder),
            "KUBECONFIG": str(kubeconfig_file),
            "KUBECACHEDIR": str(self.folder / "kubectl-cache"),
            "KUBERC": "off",
        }

    def kubeconfig_for_service_account(
        self, namespace: str, name: str, *, duration: str = "24h"
    ) -> Path:
        """Write a kubeconfig (mode 0600) with a fresh token of a ServiceAccount.

        Raises:
            CommandFailedError: There is no such ServiceAccount.
        """
        created = self.kubectl("create", "token", name, "-n", namespace, f"--duration={duration}")
        path = self.folder / "kubeconfigs" / f"{namespace}.{name}"
        return kubeconfig.write_for_token(path, self.url, self.ca_file, created.stdout.strip())

    def metrics(self) -> str:
        """Return the metrics of the apiserver, as Prometheus reads them."""
        return self._apiserver.get("/metrics").decode()

    def etcd_get_prefix(self, prefix: str) -> Iterator[tuple[str, bytes]]:
        """Yield the keys of etcd that begin with `prefix` and their bytes, as they are stored.

        The keys of Kubernetes begin with /registry/, as in /registry/secrets/<namespace>/<name>.
        """
        start, end = prefix.encode(), _end_of_prefix(prefix.encode())
        while True:
            query = {"key": _encoded(start), "range_end": _encoded(end), "limit": _ETCD_PAGE}
            answer = self._etcd.post("/v3/kv/range", query)
            pairs = answer.get("kvs", [])
            for pair in pairs:
                yield base64.b64decode(pair["key"]).decode(), base64.b64decode(pair["value"])
            if not answer.get("more"):
                return
            start = base64.b64decode(pairs[-1]["key"]) + b"\0"


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _end_of_prefix(prefix: bytes) -> bytes:
    """Return the first key after all that begin with an ASCII prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])
