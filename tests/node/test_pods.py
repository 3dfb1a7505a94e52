"""Pods that a real kubelet runs use what Keyturn projects, and follow its rotations."""

import base64
import json
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, eventually
from keyturn_controlplane.cluster import ControlPlane
from node.images import busybox_image
from node.pods import Pods, a_pod
from servers import registry, wiki
from servers.certificates import Authority
from servers.ports import free_port

PASSWORD = {"key": "password", "generate": {"password": {"length": 32, "symbols": 0}}}
USERNAME = {"key": "username", "value": "orders"}
TOKEN = "keyturn.dev/rotate"

FOLLOWING = ("/files/password", "/projected/login/password")
"""The kubelet replaces these files while the pod runs."""


@pytest.fixture(autouse=True)
def started(operator: OperatorProcess) -> OperatorProcess:
    return operator


def using(secret: str) -> dict[str, Any]:
    """Make a pod that uses a Secret in every way that Kubernetes has."""
    pod = a_pod(
        "app",
        env=[
            {
                "name": "PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}},
            }
        ],
        envFrom=[{"secretRef": {"name": secret}, "prefix": "ALL_"}],
        volumeMounts=[
            {"name": "files", "mountPath": "/files", "readOnly": True},
            {"name": "projected", "mountPath": "/projected", "readOnly": True},
            {"name": "files", "mountPath": "/one", "subPath": "password"},
        ],
    )
    item = {"key": "password", "path": "login/password", "mode": 0o400}
    pod["spec"]["volumes"] = [
        {"name": "files", "secret": {"secretName": secret}},
        {
            "name": "projected",
            "projected": {"sources": [{"secret": {"name": secret, "items": [item]}}]},
        },
    ]
    return pod


def read(pods: Pods) -> dict[str, str]:
    """Read the password within the pod, by each way."""
    script = (
        'echo "PASSWORD $PASSWORD"; echo "ALL_password $ALL_password";'
        "for file in /files/password /projected/login/password /one;"
        ' do echo "$file $(cat $file)"; done'
    )
    lines = pods.exec("app", "sh", "-c", script).splitlines()
    return dict(line.split(" ", 1) for line in lines)


def password_of(cluster: Cluster, secret: str) -> str:
    data = cluster.data(secret)
    assert data is not None
    return base64.b64decode(data["password"]).decode()


def rotate(cluster: Cluster, name: str) -> str:
    """Rotate on request, wait for its end, and return the new password."""
    before = password_of(cluster, name)
    cluster.patch("managedsecrets", name, {"metadata": {"annotations": {TOKEN: "now"}}})
    eventually(lambda: password_of(cluster, name) != before, within=180, what=f"{name} is rotated")
    return password_of(cluster, name)


def test_a_running_pod_follows_a_rotation_by_its_files_and_by_the_rest_after_a_restart(
    cluster: Cluster, pods: Pods
) -> None:
    # The pod is first, as where one `kubectl apply` makes both: the kubelet waits for the Secret.
    pods.apply(using("login"))
    cluster.apply("login", {"data": [USERNAME, PASSWORD], "rotation": {"interval": "30d"}})
    pods.wait_ready("app")
    first = password_of(cluster, "login")
    assert set(read(pods).values()) == {first}
    assert pods.exec("app", "stat", "-Lc", "%a", "/projected/login/password") == "400\n"
    assert "tmpfs" in pods.exec("app", "grep", " /files ", "/proc/mounts")

    second = rotate(cluster, "login")

    eventually(
        lambda: all(read(pods)[file] == second for file in FOLLOWING),
        within=180,
        what="the files follow",
    )
    stale = {way: value for way, value in read(pods).items() if way not in FOLLOWING}
    assert set(stale) == {"PASSWORD", "ALL_password", "/one"}
    assert set(stale.values()) == {first}

    pods.delete("app")
    pods.start(using("login"))

    assert set(read(pods).values()) == {second}


def test_a_certificate_and_a_key_are_files_as_programs_want_them(
    cluster: Cluster, pods: Pods
) -> None:
    ecdsa = {"algorithm": "ECDSA"}
    tls = {"key": "tls.key", "generate": {"tls": {"dnsNames": ["app"], "privateKey": ecdsa}}}
    ssh = {"key": "ssh-privatekey", "generate": {"sshKey": {"outputs": {"publicKey": "id.pub"}}}}
    for name, kind, entry in (
        ("certificate", "kubernetes.io/tls", tls),
        ("key", "kubernetes.io/ssh-auth", ssh),
    ):
        target = {"name": name, "template": {"type": kind}}
        cluster.apply(name, {"data": [entry], "targets": [target]})
    pod = a_pod(
        "app",
        securityContext={"runAsUser": 1000, "runAsGroup": 1000},
        volumeMounts=[
            {"name": "certificate", "mountPath": "/certificate"},
            {"name": "key", "mountPath": "/key"},
        ],
    )
    pod["spec"]["securityContext"] = {"fsGroup": 1000}
    pod["spec"]["volumes"] = [
        {"name": name, "secret": {"secretName": name, "defaultMode": 0o400}}
        for name in ("certificate", "key")
    ]

    pods.start(pod)

    shown = pods.exec("app", "sh", "-c", "head -n 1 -q /certificate/tls.* /key/ssh-privatekey")
    assert shown.splitlines() == [
        "-----BEGIN CERTIFICATE-----",
        "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ]


def test_the_kubelet_pulls_by_a_projected_login(
    node: ControlPlane, cluster: Cluster, pods: Pods, tmp_path: Path
) -> None:
    # Another one than the other pods have: what was pulled by a login needs it from then on.
    image = replace(busybox_image(), folders=["/pulled"])
    archive = image.write(tmp_path / "image.tar")
    authority = Authority.create(tmp_path / "authority")
    with registry.serving(archive, node.node.address, authority) as server:
        config = f'{{{{ password | dockerconfigjson("{server.host}", username) }}}}'
        template = {"type": "kubernetes.io/dockerconfigjson"}
        targets = [
            {"name": "login"},
            {"name": "pull", "template": {**template, "data": {".dockerconfigjson": config}}},
        ]
        cluster.apply("registry", {"data": [USERNAME, PASSWORD], "targets": targets})
        cluster.wait_ready("registry")
        pod = a_pod("app", image=server.image, imagePullPolicy="Always")
        pods.apply(pod)
        eventually(lambda: "ImagePull" in waiting_for(pods, "app"), what="it may not pull")
        pods.delete("app")

        server.admit("orders", password_of(cluster, "login").encode())
        pod["spec"]["imagePullSecrets"] = [{"name": "pull"}]
        pods.start(pod)

        assert server.pulls > 0


def waiting_for(pods: Pods, name: str) -> str:
    statuses = pods.get(name).get("status", {}).get("containerStatuses", [])
    return "".join(each["state"].get("waiting", {}).get("reason", "") for each in statuses)


# A Job that rotates

SCRIPT = r"""#!/bin/sh
# The example's rotate.py, for a shell that has nothing but nc: METHOD PATH LOGIN [BODY].
call() {
    login=$(printf %s:%s "$(cat "$3/username")" "$(cat "$3/password")" | base64 | tr -d '\n')
    printf '%s %s HTTP/1.0\r\nAuthorization: Basic %s\r\nContent-Length: %s\r\n\r\n%s' \
        "$1" "$2" "$login" "${#4}" "$4" | nc -w 5 "$HOST" "$PORT" | head -n 1 | cut -d ' ' -f 2
}
cd /keyturn
case $(sed -n 's/.*"step": *"\([a-z]*\)".*/\1/p' request.json) in
test) status=$(call GET / credential) ;;
set) status=$(call PUT "/users/$(cat pending/username)" admin "$(cat pending/password)") ;;
retire)
    cat kept/*/username 2>/dev/null | grep -qx "$(cat old/username)" && exit 0
    status=$(call DELETE "/users/$(cat old/username)" admin) ;;
esac
echo "the wiki answers $status"
case $status in 200 | 204) exit 0 ;; 401) exit 10 ;; *) exit 1 ;; esac
"""


@pytest.fixture
def a_wiki(node: ControlPlane, tmp_path: Path) -> Iterator[wiki.Wiki]:
    """A wiki that pods reach."""
    with wiki.serving(tmp_path, address=node.node.address) as server:
        yield server


def rotator(server: wiki.Wiki, script: str) -> Mapping[str, Any]:
    variables = {"HOST": server.host, "PORT": str(server.port)}
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "Rotator",
        "metadata": {"name": "wiki"},
        "spec": {
            "job": {
                "image": "localhost/busybox:1",
                "command": ["/script/rotate.sh"],
                "scriptConfigMap": script,
                "env": [{"name": name, "value": value} for name, value in variables.items()],
            },
            "adminRef": {"kind": "Secret", "name": "wiki-admin"},
            "allowedUsernames": ["orders"],
        },
    }


def test_a_job_rotates_in_a_pod_without_any_right(
    node: ControlPlane, cluster: Cluster, canary: Canary, a_wiki: wiki.Wiki
) -> None:
    """In keyturn-jobs, whose pods are held to the restricted level, as who owns no file."""
    script = f"script-{secrets.token_hex(4)}"
    node.kubectl(
        *("create", "configmap", script, "-n", "keyturn-jobs"),
        f"--from-literal=rotate.sh={SCRIPT}",
    )
    user, password = wiki.ADMIN
    encoded = {
        name: base64.b64encode(value.encode()).decode()
        for name, value in {"username": user, "password": password}.items()
    }
    canary.register(password.encode())
    cluster.create("secrets", {"metadata": {"name": "wiki-admin"}, "data": encoded})
    cluster.create("rotators", dict(rotator(a_wiki, script)))
    rotation = {
        "interval": "30d",
        "strategy": "SingleUser",
        "rotatorRef": {"kind": "Rotator", "name": "wiki"},
    }

    cluster.apply("login", {"data": [USERNAME, PASSWORD], "rotation": rotation})
    cluster.wait_ready("login", within=180)
    first = password_of(cluster, "login")
    assert a_wiki.accepts("orders", first)
    second = rotate(cluster, "login")

    assert a_wiki.accepts("orders", second)
    assert not a_wiki.accepts("orders", first)
    jobs = json.loads(node.kubectl("get", "jobs", "-n", "keyturn-jobs", "-o", "json").stdout)
    assert all(job["status"].get("succeeded") == 1 for job in jobs["items"])
    logs = node.kubectl("logs", "-n", "keyturn-jobs", "-l", "batch.kubernetes.io/job-name").stdout
    assert "the wiki answers 20" in logs


# What a pod reaches

ASK = r"""
test -s /var/run/secrets/kubernetes.io/serviceaccount/token
printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 5 "$KUBERNETES_SERVICE_HOST" "$KUBERNETES_SERVICE_PORT"
"""
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def test_a_restricted_pod_reaches_the_apiserver_at_its_service(
    pods: Pods, node: ControlPlane
) -> None:
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    node.kubectl("label", "namespace", pods.namespace, enforced)
    pod = a_pod("app", securityContext=RESTRICTED)

    pods.start(pod)

    answer = pods.exec("app", "sh", "-e", "-c", ASK)
    assert "Client sent an HTTP request to an HTTPS server" in answer


@pytest.mark.parametrize("own_network", [True, False])
def test_a_probe_of_the_kubelet_reaches_a_pod(pods: Pods, own_network: bool) -> None:
    port = free_port()
    listening = ("httpd", "-f", "-p", str(port), "-h", "/bin")
    probe = {"httpGet": {"path": "/busybox", "port": port}, "periodSeconds": 1}
    pod = a_pod("app", listening, readinessProbe=probe)
    pod["spec"]["hostNetwork"] = not own_network

    pods.start(pod)
