"""Requests to the apiserver as anybody, and its answers, errors too."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from itertools import product
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, Self

import pykube

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"

Right = tuple[str, str, str, str]
"""Group, resource, name (empty for all), verb."""

_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the apiserver said: a status, and an object or an error."""

    status: int
    body: dict[str, Any]

    @property
    def is_ok(self) -> bool:
        return self.status < HTTPStatus.BAD_REQUEST

    @property
    def is_forbidden(self) -> bool:
        return self.status == HTTPStatus.FORBIDDEN

    @property
    def message(self) -> str:
        return "" if self.is_ok else str(self.body.get("message"))


@dataclass(frozen=True, slots=True)
class Apiserver:
    """The apiserver as one identity sees it: the client's own or, for the administrator, any."""

    client: pykube.HTTPClient
    user: str = ""
    group: str = ""

    def as_user(self, user: str, group: str = "") -> Self:
        return type(self)(self.client, user, group)

    def request(
        self, method: str, path: str, body: Any = None, *, patch: str = MERGE_PATCH, **query: str
    ) -> Answer:
        """Send a request; the body goes as JSON."""
        headers = {"Content-Type": patch if method == "PATCH" else "application/json"}
        if self.user:
            headers["Impersonate-User"] = self.user
        if self.group:
            headers["Impersonate-Group"] = self.group
        url = f"{self.client.url.rstrip('/')}{path}"
        answer = self.client.session.request(
            method, url, json=body, params=query, headers=headers, timeout=_SECONDS
        )
        # A watch answers with a line for each event, or none: the first tells enough.
        first, _, _ = answer.text.partition("\n")
        return Answer(answer.status_code, json.loads(first or "{}"))

    def apply(self, path: str, body: Any, *, manager: str) -> Answer:
        """Apply on the server's side, by force."""
        return self.request(
            "PATCH", path, body, patch=APPLY_PATCH, fieldManager=manager, force="true"
        )

    def may(self, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
        """Ask what `kubectl auth can-i` asks; a resource is `plural[/subresource][.group]`."""
        path, _, group = resource.partition(".")
        plural, _, subresource = path.partition("/")
        attributes = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace,
            "name": name,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = self.request(
            "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review
        )
        return bool(answer.body["status"]["allowed"])

    def rights(self, namespace: str) -> set[Right]:
        """List the rights in a namespace, those of the cluster included."""
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectRulesReview",
            "spec": {"namespace": namespace},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
        status = self.request("POST", path, review).body["status"]
        assert not status["incomplete"]
        return {right for rule in status["resourceRules"] for right in rights_of(rule)}


@contextmanager
def connected(kubeconfig: Path) -> Iterator[Apiserver]:
    """Reach an apiserver as whom a kubeconfig says, by a client that is no part of Keyturn."""
    client = pykube.HTTPClient(pykube.KubeConfig.from_file(str(kubeconfig)))
    try:
        yield Apiserver(client)
    finally:
        client.session.close()


@contextmanager
def a_namespace(apiserver: Apiserver) -> Iterator[str]:
    """Make a namespace; nobody waits for its end."""
    name = f"test-{token_hex(5)}"
    made = apiserver.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert made.is_ok, made.message
    try:
        yield name
    finally:
        apiserver.request("DELETE", f"/api/v1/namespaces/{name}")


def rights_of(rule: Mapping[str, Any]) -> set[Right]:
    """Take a rule of RBAC apart."""
    names = rule.get("resourceNames") or [""]
    return set(product(rule["apiGroups"], rule["resources"], names, rule["verbs"]))


def managed_secrets(namespace: str, name: str = "") -> str:
    """Return the path of the ManagedSecrets of a namespace, or of one."""
    path = f"/apis/keyturn.dev/v1alpha1/namespaces/{namespace}/managedsecrets"
    return f"{path}/{name}" if name else path


def core(plural: str, namespace: str, name: str = "") -> str:
    """Return the path of the objects of a core kind in a namespace, or of one."""
    path = f"/api/v1/namespaces/{namespace}/{plural}"
    return f"{path}/{name}" if name else path


def a_managed_secret(name: str = "orders", **spec: Any) -> dict[str, Any]:
    """Make a valid ManagedSecret; fields of its spec replace the one key that it has."""
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ManagedSecret",
        "metadata": {"name": name},
        "spec": {"data": [{"key": "user", "value": "orders"}], **spec},
    }
