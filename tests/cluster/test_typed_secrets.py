"""Secrets of Kubernetes' own types: what each needs, and which are refused."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from apiserver import Apiserver, a_managed_secret, managed_secrets
from canary import Canary
from cluster.operating import Cluster, OperatorProcess, Values, eventually

ECDSA = {"algorithm": "ECDSA"}
PASSWORD = {"key": "password", "generate": {"password": {"length": 24, "symbols": 0}}}
USERNAME = {"key": "username", "value": "orders"}


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


def typed(kind: str, *data: Any, **template: Any) -> dict[str, Any]:
    return {
        "data": list(data),
        "targets": [{"name": "app", "template": {"type": kind, **template}}],
    }


TLS = {"key": "tls.key", "generate": {"tls": {"dnsNames": ["a"], "privateKey": ECDSA}}}
SSH = {"key": "ssh-privatekey", "generate": {"sshKey": {"outputs": {"publicKey": "id.pub"}}}}
CONFIG = '{{ password | dockerconfigjson("registry.example.com", username) }}'
LEGACY = CONFIG.replace(" }}", ' | fromJson | get("auths") | toJson }}')
TYPED = {
    "Opaque": (typed("Opaque", PASSWORD), {"password"}),
    "TLS": (typed("kubernetes.io/tls", TLS), {"tls.key", "tls.crt", "ca.crt"}),
    "basic auth": (
        typed("kubernetes.io/basic-auth", USERNAME, PASSWORD),
        {"username", "password"},
    ),
    "SSH auth": (typed("kubernetes.io/ssh-auth", SSH), {"ssh-privatekey", "id.pub"}),
    "Docker's JSON": (
        typed(
            "kubernetes.io/dockerconfigjson",
            *(USERNAME, PASSWORD),
            data={".dockerconfigjson": CONFIG},
        ),
        {".dockerconfigjson"},
    ),
    "Docker's old JSON": (
        typed("kubernetes.io/dockercfg", USERNAME, PASSWORD, data={".dockercfg": LEGACY}),
        {".dockercfg"},
    ),
    "a type of one's own": (typed("example.com/login", PASSWORD), {"password"}),
}


@pytest.mark.parametrize(("spec", "keys"), TYPED.values(), ids=TYPED.keys())
def test_a_secret_is_of_the_type_that_is_asked_for(
    cluster: Cluster, values: Callable[[str], Values], spec: dict[str, Any], keys: set[str]
) -> None:
    cluster.apply("app", spec)

    assert values("app").keys() == keys
    secret = cluster.get("secrets", "app") or {}
    assert secret["type"] == spec["targets"][0]["template"]["type"]


def test_a_registry_login_is_one_that_the_kubelet_reads(
    cluster: Cluster, values: Callable[[str], Values], canary: Canary
) -> None:
    new, old = TYPED["Docker's JSON"][0], TYPED["Docker's old JSON"][0]
    targets = [new["targets"][0], {**old["targets"][0], "name": "old"}]
    cluster.apply("app", {"data": new["data"], "targets": targets})

    login = json.loads(values("app")[".dockerconfigjson"])["auths"]

    read = login["registry.example.com"]
    canary.register(read["password"].encode())
    assert base64.b64decode(read["auth"]).decode() == f"orders:{read['password']}"
    legacy = cluster.data("old")
    assert legacy is not None
    assert json.loads(base64.b64decode(legacy[".dockercfg"])) == login


MISSING = {
    "TLS without a certificate": (
        typed("kubernetes.io/tls", {"key": "tls.key", "generate": {"privateKey": ECDSA}}),
        "a Secret of type kubernetes.io/tls needs the key tls.crt; this one has tls.key",
    ),
    "TLS with an empty certificate": (
        typed(
            "kubernetes.io/tls",
            {"key": "tls.key", "generate": {"privateKey": ECDSA}},
            {"key": "tls.crt", "value": ""},
        ),
        "a Secret of type kubernetes.io/tls needs the key tls.crt",
    ),
    "basic auth without either": (
        typed("kubernetes.io/basic-auth", {"key": "token", "generate": {"hex": {}}}),
        "needs the key username or password; this one has token",
    ),
    "SSH auth of another key": (
        typed("kubernetes.io/ssh-auth", {"key": "id", "generate": {"sshKey": {}}}),
        "needs the key ssh-privatekey; this one has id, id.pub",
    ),
    "Docker's JSON of no JSON": (
        typed(
            "kubernetes.io/dockerconfigjson",
            *(USERNAME, PASSWORD),
            data={".dockerconfigjson": "{{ password }}"},
        ),
        "needs a JSON object with auths in the key .dockerconfigjson; the filter dockerconfigjson",
    ),
    "Docker's old JSON of a list": (
        typed("kubernetes.io/dockercfg", PASSWORD, data={".dockercfg": '["{{ password }}"]'}),
        "needs a JSON object in the key .dockercfg",
    ),
}


@pytest.mark.parametrize(("spec", "message"), MISSING.values(), ids=MISSING.keys())
def test_what_its_type_needs_is_told_and_no_secret_is_made(
    cluster: Cluster, spec: dict[str, Any], message: str
) -> None:
    cluster.apply("app", spec)

    condition = cluster.wait_reason("app", "InvalidSpec")
    assert condition["message"].startswith("spec.targets[app].template.type: ")
    assert message in condition["message"]
    assert cluster.data("app") is None


def test_once_its_type_has_what_it_needs_the_secret_is_made(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    key = {"key": "id", "generate": {"sshKey": {"outputs": {"publicKey": "id.pub"}}}}
    cluster.apply("app", typed("kubernetes.io/ssh-auth", {**key, "key": "private"}))
    cluster.wait_reason("app", "InvalidSpec")

    cluster.apply("app", typed("kubernetes.io/ssh-auth", SSH))

    assert values("app").keys() == {"ssh-privatekey", "id.pub"}


def test_another_type_needs_another_secret_of_the_same_values(
    cluster: Cluster, values: Callable[[str], Values]
) -> None:
    """The apiserver changes no type, so the Secret is replaced."""
    cluster.apply("app", typed("Opaque", USERNAME, PASSWORD))
    before, uid = values("app"), (cluster.get("secrets", "app") or {})["metadata"]["uid"]

    cluster.apply("app", typed("kubernetes.io/basic-auth", USERNAME, PASSWORD))

    eventually(
        lambda: (cluster.get("secrets", "app") or {}).get("type") == "kubernetes.io/basic-auth"
    )
    assert values("app") == before
    assert (cluster.get("secrets", "app") or {})["metadata"]["uid"] != uid


@pytest.mark.parametrize(
    "kind",
    [
        "kubernetes.io/service-account-token",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
        "helm.sh/anything",
    ],
)
def test_a_type_that_gives_rights_is_refused(
    apiserver: Apiserver, namespace: str, kind: str
) -> None:
    spec = typed(kind, PASSWORD)

    answer = apiserver.request("POST", managed_secrets(namespace), a_managed_secret("app", **spec))

    assert not answer.is_ok
    assert "cannot be made here; write Opaque or leave type out" in answer.message
