"""helm installs, upgrades, rolls back and uninstalls it in a real cluster, and nothing is lost."""

import json
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver import Apiserver, Right, a_managed_secret, connected, core, managed_secrets
from chart.helming import Helm, HelmError
from chart.releasing import KEPT, Release
from chart.rights import ELSEWHERE, HOME, JOBS, VARIANTS, WATCHED, expected
from cluster.operating import Cluster, OperatorProcess, eventually
from cluster.people import an_account, wait_for_policies
from keyturn_controlplane.cluster import ControlPlane

STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "slow"},
    "provisioner": "example.com/none",
}
DEFAULT = {"storageclass.kubernetes.io/is-default-class": "true"}
DEFAULT_OF_OLD = {"storageclass.beta.kubernetes.io/is-default-class": "true"}

EPHEMERAL: dict[str, Any] = {"persistence": {"ephemeral": True}}

PER_NAMESPACE: dict[str, Any] = {"crds": {"install": False}, "policies": {"install": False}}
"""For tests that are not about CRDs and policies, which cost the apiserver most of its work."""


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
    with connected(bare.kubeconfig) as apiserver:
        yield apiserver


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
    # The cluster knows a default class by the annotation of old, too.
    release.apply({**STORAGE_CLASS, "metadata": {"name": "slow", "annotations": DEFAULT_OF_OLD}})
    release.install({}, "--dry-run=server")
    release.control_plane.kubectl("delete", "storageclass", "slow")


def test_the_namespace_of_the_release_is_made_as_rbac_has_it_and_that_for_jobs_is_left_as_it_is(
    release: Release,
) -> None:
    kubectl, jobs = release.control_plane.kubectl, f"{release.name}-jobs"
    values = {**jobs_of(release), **EPHEMERAL, **PER_NAMESPACE, "namespace": {"create": True}}
    kubectl("create", "namespace", jobs)
    # As if it were of a release of the same name, in another namespace.
    mark = ("meta.helm.sh/release-name", "meta.helm.sh/release-namespace")
    kubectl("annotate", "namespace", jobs, f"{mark[0]}={release.name}", f"{mark[1]}=elsewhere")

    # Helm keeps its record of the release there before it makes anything.
    with pytest.raises(HelmError, match=f'namespaces "{release.namespace}" not found'):
        release.install(values, create_namespace=False)
    release.install(values)

    assert release.get("roles", jobs)
    assert release.get("namespaces").keys() == {f"Namespace/{release.namespace}"}
    level = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}"
    assert kubectl("get", "namespace", release.namespace, "-o", level).stdout == "restricted"
    release.uninstall()
    kubectl("delete", "namespace", jobs, "--wait=false")


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

    release.uninstall()
    assert release.get(IN_PLACE) == {claim: installed[claim]}
    assert release.get(KEPT) == of_the_cluster
    assert release.get("namespaces").keys() == {f"Namespace/{release.name}-jobs"}

    release.install(jobs_of(release))
    assert release.get(IN_PLACE)[claim] == installed[claim]
    assert release.get(IN_PLACE).keys() == installed.keys()
    assert release.get(KEPT) == of_the_cluster


def refusal(release: Release, values: dict[str, Any]) -> str:
    """Give what an upgrade that is refused says."""
    with pytest.raises(HelmError, match="an upgrade cannot") as refused:
        release.upgrade(values)
    return str(refused.value)


def follow(release: Release, told: str) -> None:
    """Do what a refusal says, word for word."""
    command = re.search("`kubectl (delete [^`]+)`", told)
    assert command is not None
    release.control_plane.kubectl(*command[1].split())


def pod_of(release: Release) -> tuple[str, str]:
    """Give the UID of the pod, and the claim that its store is in; nothing where there is none."""
    place = ("-n", release.namespace, "-o", "json", "--ignore-not-found")
    found = release.control_plane.kubectl("get", "pod", f"{release.account[1]}-0", *place).stdout
    if not found:
        return "", ""
    pod = json.loads(found)
    (data,) = (each for each in pod["spec"]["volumes"] if each["name"] == "data")
    return pod["metadata"]["uid"], data.get("persistentVolumeClaim", {}).get("claimName", "")


def test_what_no_upgrade_can_change_is_refused_with_the_way_to_change_it(
    release: Release, default_class: None
) -> None:
    claim = f"data-{release.account[1]}-0"
    values = {**jobs_of(release), **PER_NAMESPACE}
    release.install(values)
    eventually(lambda: pod_of(release)[1] == claim, what="the pod is made")
    claims, pod = release.get("persistentvolumeclaims"), pod_of(release)

    # All of it at once: the pod stays, and the claim.
    persistence = {
        "size": "2Gi",
        "accessMode": "ReadWriteOnce",
        "storageClass": "-",
        "annotations": {"a": "b"},
    }
    values |= {"persistence": persistence, "podManagementPolicy": "OrderedReady"}
    told = refusal(release, values)
    assert set(re.findall(r"(\w+) \([^)]+, now ", told)) == {*persistence, "podManagementPolicy"}
    assert 'persistence.storageClass ("", now "-")' in told
    follow(release, told)
    release.upgrade(values)
    # By then the controller has looked at the pod.
    name, adopted = f"statefulset/{release.account[1]}", "jsonpath={.status.replicas}=1"
    release.control_plane.kubectl(
        *("wait", name, "-n", release.namespace, f"--for={adopted}", "--timeout=60s")
    )
    assert pod_of(release) == pod

    # The store goes from its claim into memory, from there into another claim, and back.
    away = {**values, **EPHEMERAL}
    told = refusal(release, away)
    assert f"The claim {claim} stays" in told
    follow(release, told)
    release.upgrade(away)
    eventually(lambda: pod_of(release)[0] not in ("", pod[0]), what="another pod is made")
    assert pod_of(release)[1] == ""
    assert "lost with the pod" in refusal(release, values)
    release.upgrade({**values, "persistence": {"existingClaim": "mine"}})
    told = refusal(release, values)
    assert "The claim mine stays" in told
    follow(release, told)
    release.upgrade(values)
    eventually(lambda: pod_of(release)[1] == claim, what="the store is in its claim again")
    assert release.get("persistentvolumeclaims") == claims


def test_a_reinstall_in_a_namespace_of_ones_own_has_the_values_again(
    release: Release, administrator: Apiserver, tmp_path: Path
) -> None:
    people = Cluster(administrator.client, f"{release.name}-shop")
    values = {**jobs_of(release), **EPHEMERAL}
    release.install(values)
    with an_account(release.control_plane, *release.account) as the_operator:
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
    values = {**jobs_of(release), **EPHEMERAL, **PER_NAMESPACE}
    release.install(values)

    with (
        an_account(release.control_plane, *release.account) as operator,
        an_account(release.control_plane, "default", "default") as anybody,
    ):
        for variant in VARIANTS:
            mode = "caged" if "caged" in variant else "standard"
            watch = {"namespaces": [shop] if "namespaced" in variant else []}
            if variant != "standard":  # As it is installed.
                # An upgrade takes back what the mode before had.
                release.upgrade({**values, "mode": mode, "watch": watch})
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
