"""The files of rbac/ say the same in each mode, but for what a mode is about."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

RBAC = Path(__file__).parents[2] / "rbac"

Right = tuple[str, str, str, str]
"""Group, resource, name (empty for all), verb."""

CLUSTER_SCOPED = ("apiextensions.k8s.io", "admissionregistration.k8s.io")


def rights(path: str, kind: str) -> set[Right]:
    """The rights of the first role of a kind in a file."""
    role = next(each for each in documents(path) if each["kind"] == kind)
    assert role["metadata"]["name"].startswith("keyturn")
    return {
        (group, resource, name, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames") or [""]
        for verb in rule["verbs"]
    }


def documents(path: str) -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all((RBAC / path).read_text())


STANDARD = rights("20-operator-roles.yaml", "ClusterRole")
READS = {("", "secrets", "", verb) for verb in ("get", "list", "watch")}


def test_caged_is_standard_without_reading_secrets() -> None:
    assert STANDARD >= READS
    assert rights("caged/20-operator-roles.yaml", "ClusterRole") == STANDARD - READS


@pytest.mark.parametrize(
    ("role", "mode"),
    [
        pytest.param("namespaced/21-standard-role.yaml", STANDARD, id="standard"),
        pytest.param("namespaced/22-caged-role.yaml", STANDARD - READS, id="caged"),
    ],
)
def test_a_role_for_a_namespace_and_the_least_of_the_cluster_are_the_mode(
    role: str, mode: set[Right]
) -> None:
    of_cluster = rights("namespaced/20-operator-roles.yaml", "ClusterRole")
    cluster_uid = ("", "namespaces", "kube-system", "get")
    cluster_rotators = rights("namespaced/30-clusterrotators.yaml", "ClusterRole")

    assert of_cluster - {cluster_uid} == {row for row in mode if row[0] in CLUSTER_SCOPED}
    assert cluster_rotators == {row for row in mode if row[1] == "clusterrotators"}
    assert rights(role, "Role") == mode - of_cluster - cluster_rotators


@pytest.mark.parametrize("path", sorted(str(p.relative_to(RBAC)) for p in RBAC.rglob("*.yaml")))
def test_each_binding_gives_a_role_of_its_name_to_the_operator(path: str) -> None:
    for each in documents(path):
        if each["kind"] in ("RoleBinding", "ClusterRoleBinding"):
            assert each["roleRef"]["name"] == each["metadata"]["name"]
            account = {"kind": "ServiceAccount", "name": "keyturn", "namespace": "keyturn-system"}
            assert each["subjects"] == [account]


@pytest.mark.parametrize("path", sorted(str(p.relative_to(RBAC)) for p in RBAC.rglob("*.yaml")))
def test_no_role_has_a_wildcard(path: str) -> None:
    for each in documents(path):
        for rule in each.get("rules") or ():
            assert "*" not in {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
