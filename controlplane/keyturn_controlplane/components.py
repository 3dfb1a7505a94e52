"""The command lines of the parts of a control plane."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keyturn_controlplane.certificates import SERVER_ADDRESS, Credentials

CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "daemonset-controller",
    "deployment-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "replicaset-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "statefulset-controller",
    "validatingadmissionpolicy-status-controller",
)
"""What a cluster without nodes needs: what cleans up, what gives identities, what makes pods."""

HTTPS_PORT = 443
"""On which the Service `kubernetes` has the apiserver."""

GO_RUNTIME = {"GOGC": "400", "GOMEMLIMIT": "2GiB"}
"""The heap of an almost empty cluster is so small that Go would collect it many times a second."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of one control plane listen and keep their files."""

    folder: Path
    credentials: Credentials
    etcd_port: int
    etcd_peer_port: int
    apiserver_port: int
    apiserver_address: str = SERVER_ADDRESS
    services: str = "10.96.0.0/16"

    @property
    def url(self) -> str:
        return f"https://{self.apiserver_address}:{self.apiserver_port}"

    @property
    def etcd_url(self) -> str:
        return f"https://127.0.0.1:{self.etcd_port}"

    @property
    def etcd_folder(self) -> Path:
        return self.folder / "etcd"


def etcd(binary: Path, layout: Layout, *, durable: bool) -> list[str]:
    """Return the command line of etcd; unless `durable` it never waits for the disk."""
    pair, authority = layout.credentials.etcd, layout.credentials.etcd_ca
    peer_url = f"https://127.0.0.1:{layout.etcd_peer_port}"
    return [
        str(binary),
        "--name=keyturn",
        f"--data-dir={layout.etcd_folder}",
        f"--listen-client-urls={layout.etcd_url}",
        f"--advertise-client-urls={layout.etcd_url}",
        f"--listen-peer-urls={peer_url}",
        f"--initial-advertise-peer-urls={peer_url}",
        f"--initial-cluster=keyturn={peer_url}",
        f"--cert-file={pair.certificate}",
        f"--key-file={pair.key}",
        f"--trusted-ca-file={authority}",
        "--client-cert-auth",
        f"--peer-cert-file={pair.certificate}",
        f"--peer-key-file={pair.key}",
        f"--peer-trusted-ca-file={authority}",
        "--peer-client-cert-auth",
        "--socket-reuse-port",
        "--log-level=warn",
        f"--unsafe-no-fsync={'false' if durable else 'true'}",
    ]


def kube_apiserver(binary: Path, layout: Layout, extra: Sequence[str] = ()) -> list[str]:
    """Return the command line of the apiserver: Node and RBAC, service accounts, no audit log."""
    credentials = layout.credentials
    return [
        str(binary),
        f"--etcd-servers={layout.etcd_url}",
        f"--etcd-cafile={credentials.etcd_ca}",
        f"--etcd-certfile={credentials.etcd.certificate}",
        f"--etcd-keyfile={credentials.etcd.key}",
        f"--bind-address={layout.apiserver_address}",
        f"--secure-port={layout.apiserver_port}",
        "--permit-port-sharing",
        f"--tls-cert-file={credentials.apiserver.certificate}",
        f"--tls-private-key-file={credentials.apiserver.key}",
        f"--client-ca-file={credentials.ca}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={credentials.service_account.certificate}",
        f"--service-account-signing-key-file={credentials.service_account.key}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--service-cluster-ip-range={layout.services}",
        # An Endpoints object may not hold an address of loopback, so nobody writes one.
        "--endpoint-reconciler-type=none",
        # Without it a stop waits a minute for watches that nobody ends.
        "--shutdown-watch-termination-grace-period=1s",
        "--profiling=false",
        *extra,
    ]


def kube_controller_manager(
    binary: Path, layout: Layout, kubeconfig: Path, controllers: Sequence[str]
) -> list[str]:
    """Return the command line of the controller-manager, which serves nothing itself."""
    credentials = layout.credentials
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={','.join(controllers)}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={credentials.service_account.key}",
        f"--root-ca-file={credentials.ca}",
        "--secure-port=0",
        "--leader-elect=false",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--profiling=false",
    ]
