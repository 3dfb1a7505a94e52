"""helm installs, upgrades, rolls back and uninstalls it in a real cluster, and nothing is lost."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pykube
import pytest

from apiserver import Apiserver, Right, a_managed_secret, core, managed_secrets
from chart.helming import Helm, HelmError
from chart.releasing import KEPT, Release
from chart.rights import ELSEWHERE, HOME, JOBS, VARIANTS, WATCHED, expected
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.people import wait_for_policies
from keyturn_controlplane.cluster import ControlPlane

STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "slow"},
    "provisioner": "example.com/none",
}
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}

EPHEMERAL: dict[str, Any] = {"persistence": {"ephemeral": True}}


@pytest.fixture
def release(bare: ControlPlane, helm_here: Helm) -> Iterator[Release]:
    """A release with a name of its own, not installed yet."""
    name = f"r{secrets.token_hex(3)}"
    release = Release(helm_here, bare, name, f"{name}-vaults")
    yield release
    release.forget()


@pytest.fixture
def default_class(bare: ControlPlane) -> Iterator[None]:
    """The cluster has a default StorageClass."""
    body = {**STORAGE_CLASS, "metadata": {"name": "quick", "annotations": DEFAULT}}
    bare.kubectl("apply", "-f", "-", input=json.dumps(body))
    yield
    bare.kubectl("delete", "storageclass", "quick")


@pytest.fixture
def administrator(bare: ControlPlane) -> Iterator[Apiserver]:
    client = pykube.HTTPClient(pykube.KubeConfig.from_file(str(bare.kubeconfig)))
    yield Apiserver(client)
    client.session.close()


@contextmanager
def seen_by(control_plane: ControlPlane, namespace: str, account: str) -> Iterator[Apiserver]:
    """The apiserver as a ServiceAccount sees it."""
    path = control_plane.kubeconfig_for_service_account(namespace, account)
    client = pykube.HTTPClient(pykube.KubeConfig.from_file(str(path)))
    yield Apiserver(client)
    client.session.close()


def jobs_of(release: Release) -> dict[str, Any]:
    """A namespace for Jobs that no other test uses."""
    return {"jobs": {"namespace": f"{release.name}-jobs"}}


def test_without_a_storage_class_the_install_says_what_to_set(release: Release) -> None:
    with pytest.raises(HelmError) as none_at_all:
        release.install({})
    release.apply(STORAGE_CLASS)
    with pytest.raises(HelmError) as no_default:
        release.install({})

    assert "no default StorageClass (it has none at all)" in str(none_at_all.value)
    assert "no default StorageClass (it has slow)" in str(no_default.value)
    for setting in (
        "persistence.storageClass",
        "persistence.existingClaim",
        "persistence.ephemeral",
    ):
        assert setting in str(none_at_all.value)
    for persistence in (
        {"ephemeral": True},
        {"storageClass": "slow"},
        {"storageClass": "-"},
        {"existingClaim": "mine"},
    ):
        release.install({"persistence": persistence}, "--dry-run=server")


def test_a_namespace_for_jobs_that_exists_is_left_as_it_is(release: Release) -> None:
    release.control_plane.kubectl("create", "namespace", f"{release.name}-jobs")

    release.install({**jobs_of(release), **EPHEMERAL})

    assert release.get("roles", f"{release.name}-jobs")
    assert release.get("namespaces") == {}
    release.uninstall()
    release.control_plane.kubectl("delete", "namespace", f"{release.name}-jobs", "--wait=false")


IN_PLACE = "statefulsets,serviceaccounts,roles,rolebindings,persistentvolumeclaims,networkpolicies"


def environment_of(release: Release) -> dict[str, str]:
    """The settings that the chart gave to the pod, for a process in its place."""
    name = f"statefulset/{release.account[1]}"
    found = release.control_plane.kubectl("get", name, "-n", release.namespace, "-o", "json")
    container = json.loads(found.stdout)["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each["value"] for each in container["env"]}


def operator_of(release: Release, folder: Path) -> OperatorProcess:
    """A process in the place of the pod, with the account and the settings of the release."""
    kubeconfig = release.control_plane.kubeconfig_for_service_account(*release.account)
    here = {"KEYTURN_HEALTH_ADDRESS": "127.0.0.1", "KEYTURN_HEALTH_PORT": "0"}
    environment = {**environment_of(release), **here}
    return OperatorProcess(
        release.control_plane, folder, kubeconfig=kubeconfig, environment=environment
    )


def test_nothing_is_replaced_or_lost_from_install_to_reinstall(
    release: Release, default_class: None
) -> None:
    claim = f"PersistentVolumeClaim/data-{release.account[1]}-0"
    release.install(jobs_of(release))
    eventually(lambda: claim in release.get(IN_PLACE), what="the claim is made")
    installed, of_the_cluster = release.get(IN_PLACE), release.get(KEPT)

    # An upgrade and a rollback change objects, and replace none.
    release.upgrade({**jobs_of(release), "workers": 3, "commonLabels": {"team": "platform"}})
    assert environment_of(release)["KEYTURN_WORKERS"] == "3"
    assert (release.get(IN_PLACE), release.get(KEPT)) == (installed, of_the_cluster)
    release.rollback(1)
    assert environment_of(release)["KEYTURN_WORKERS"] == "64"
    assert (release.get(IN_PLACE), release.get(KEPT)) == (installed, of_the_cluster)

    # The same size is no other one, however it is written.
    release.upgrade({**jobs_of(release), "persistence": {"size": "1024Mi"}})
    assert (release.get(IN_PLACE), release.get(KEPT)) == (installed, of_the_cluster)

    # Another size is refused in words that help.
    with pytest.raises(HelmError, match="the claim of a StatefulSet cannot be changed"):
        release.upgrade({**jobs_of(release), "persistence": {"size": "2Gi"}})

    release.uninstall()
    assert release.get(IN_PLACE) == {claim: installed[claim]}
    assert release.get(KEPT) == of_the_cluster
    assert release.get("namespaces").keys() == {f"Namespace/{release.name}-jobs"}

    release.install(jobs_of(release))
    assert release.get(IN_PLACE)[claim] == installed[claim]
    assert release.get(IN_PLACE).keys() == installed.keys()
    assert release.get(KEPT) == of_the_cluster


def test_a_reinstall_in_a_namespace_of_ones_own_has_the_values_again(
    release: Release, administrator: Apiserver, tmp_path: Path
) -> None:
    people = Cluster(administrator.client, f"{release.name}-shop")
    values = {**jobs_of(release), **EPHEMERAL}
    release.install(values)
    with seen_by(release.control_plane, *release.account) as the_operator:
        wait_for_policies(administrator, the_operator)
    release.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": people.namespace}})
    wanted = a_managed_secret(data=[{"key": "password", "generate": {"password": {}}}])
    administrator.request("POST", managed_secrets(people.namespace), wanted)
    with operator_of(release, tmp_path):
        people.wait_ready("orders")
    made = people.data("orders")
    assert made

    release.uninstall()
    assert people.data("orders") == made
    release.install(values)
    # The key is not the release's, and the store is what its claim would hold.
    administrator.request("DELETE", core("secrets", people.namespace, "orders"))
    with operator_of(release, tmp_path):
        eventually(lambda: people.data("orders") == made, what="the same values are back")


def test_the_rights_are_those_of_the_mode_and_the_namespaces(release: Release) -> None:
    shop, jobs = f"{release.name}-shop", f"{release.name}-jobs"
    places = {WATCHED: shop, ELSEWHERE: "default", HOME: release.namespace, JOBS: jobs}
    release.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": shop}})
    release.install({**jobs_of(release), **EPHEMERAL})

    with (
        seen_by(release.control_plane, *release.account) as operator,
        seen_by(release.control_plane, "default", "default") as anybody,
    ):
        for variant in VARIANTS:
            mode = "caged" if "caged" in variant else "standard"
            watch = {"namespaces": [shop] if "namespaced" in variant else []}
            # An upgrade takes back what the mode before had.
            release.upgrade({**jobs_of(release), **EPHEMERAL, "mode": mode, "watch": watch})
            wanted = expected(variant)

            def are_given(wanted: dict[str, set[Right]] = wanted) -> bool:
                return wanted == {
                    where: operator.rights(place) - anybody.rights(place)
                    for where, place in places.items()
                }

            eventually(
                are_given,
                what=f"the rights are those of rbac/ for {variant}",
            )
