"""What the chart makes of its values: the facts that people rely on."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from chart.helming import ANYWHERE, Helm, Object, Rendered, identity
from chart.sets import VALUES
from documents import ROOT

KEEP = ("helm.sh/resource-policy", "keep")


@pytest.fixture(scope="module")
def rendered(helm: Helm) -> Rendered:
    return helm.template()


@pytest.fixture(scope="module")
def elsewhere(helm: Helm) -> Rendered:
    """A release of another name, in another namespace, with another namespace for Jobs."""
    values = {"jobs": {"namespace": "keyturn-system-jobs"}}
    return helm.template(values, release="red", namespace="vaults")


def files(*folders: str) -> list[Object]:
    paths = [path for folder in folders for path in sorted((ROOT / folder).glob("*.yaml"))]
    return [each for path in paths for each in yaml.safe_load_all(path.read_text())]


def essence(each: Object) -> Object:
    """An object without what a release adds to it."""
    metadata = {
        **{key: value for key, value in each["metadata"].items() if key != "annotations"},
        "labels": {
            name: value
            for name, value in each["metadata"].get("labels", {}).items()
            if name.startswith("rbac.")
        },
    }
    return {**each, "metadata": metadata}


def by_identity(objects: list[Object]) -> dict[tuple[str, str, str], Object]:
    return {identity(each): essence(each) for each in objects}


KINDS = (
    "Namespace",
    "ServiceAccount",
    "ClusterRole",
    "ClusterRoleBinding",
    "Role",
    "RoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "CustomResourceDefinition",
)


def test_the_release_is_rbac_and_crds_to_the_letter(helm: Helm) -> None:
    made = helm.template({"namespace": {"create": True}})

    assert by_identity(made.of(*KINDS)) == by_identity(files("rbac", "crds"))


def test_caged_is_rbac_caged_to_the_letter(helm: Helm) -> None:
    made = helm.template({"mode": "caged", "namespace": {"create": True}})

    instead = by_identity(files("rbac/caged"))
    assert by_identity(made.of(*KINDS)) == by_identity(files("rbac", "crds")) | instead


@pytest.mark.parametrize(("mode", "file"), [("standard", "21"), ("caged", "22")])
def test_each_watched_namespace_has_a_role_and_nothing_else_is_given(
    helm: Helm, mode: str, file: str
) -> None:
    made = helm.template({"mode": mode, "watch": {"namespaces": ["shop", "web"]}})

    folder = ROOT / "rbac" / "namespaced"
    instead = [path for path in folder.glob("*.yaml") if path.name[:2] in ("20", "30")]
    (role,) = folder.glob(f"{file}-*.yaml")
    texts = [path.read_text() for path in instead]
    texts += [role.read_text().replace("watched-namespace", name) for name in ("shop", "web")]
    expected = [each for text in texts for each in yaml.safe_load_all(text)]
    kinds = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")
    base = [each for each in files("rbac") if each["kind"] in kinds]
    assert by_identity(made.of(*kinds)) == by_identity(base) | by_identity(expected)


def test_cluster_rotators_are_left_out_where_nobody_uses_them(helm: Helm) -> None:
    made = helm.template({"watch": {"namespaces": ["shop"], "clusterRotators": False}})

    names = {each["metadata"]["name"] for each in made.of("ClusterRole", "ClusterRoleBinding")}
    assert "keyturn-clusterrotators" not in names


def test_another_release_is_nowhere_called_by_the_names_of_the_files(elsewhere: Rendered) -> None:
    for each in elsewhere.installed:
        each["metadata"].pop("labels", None)
    text = re.sub(r"keyturn-system-jobs", "", elsewhere.text())

    assert "keyturn-system" not in text
    assert "keyturn-jobs" not in text
    assert "system:serviceaccount:vaults:red-keyturn'" in text
    assert "serviceaccount:vaults:keyturn" not in text


def test_another_release_reserves_its_own_namespaces(elsewhere: Rendered) -> None:
    policy = elsewhere.one("ValidatingAdmissionPolicy", "keyturn-author")

    first = policy["spec"]["validations"][0]["expression"]
    assert "'kube-node-lease', 'vaults', 'keyturn-system-jobs'" in first


def test_another_release_gives_the_rights_to_its_own_account(elsewhere: Rendered) -> None:
    bindings = elsewhere.of("RoleBinding", "ClusterRoleBinding")

    subjects = [subject for each in bindings for subject in each["subjects"]]
    assert {(subject["namespace"], subject["name"]) for subject in subjects} == {
        ("vaults", "red-keyturn")
    }
    roles = {identity(each) for each in elsewhere.of("Role", "ClusterRole")}
    for each in bindings:
        where = each["metadata"].get("namespace", "") * (each["roleRef"]["kind"] == "Role")
        assert (each["roleRef"]["kind"], where, each["roleRef"]["name"]) in roles
    assert elsewhere.pod["serviceAccountName"] == "red-keyturn"
    assert elsewhere.environment["KEYTURN_NAMESPACE"] == "vaults"
    assert elsewhere.environment["KEYTURN_JOBS_NAMESPACE"] == "keyturn-system-jobs"


def test_what_holds_values_or_rules_over_them_outlives_the_release(rendered: Rendered) -> None:
    kept = {
        each["kind"]
        for each in rendered.installed
        if KEEP in each["metadata"].get("annotations", {}).items()
    }

    assert kept == {
        "CustomResourceDefinition",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "Namespace",
    }


def test_nothing_waits_for_a_hook_and_nothing_has_a_finalizer(rendered: Rendered) -> None:
    hooks = {
        each["metadata"]["annotations"]["helm.sh/hook"]
        for each in rendered
        if each not in rendered.installed
    }

    assert hooks == {"test"}
    assert not [each for each in rendered if "finalizers" in each["metadata"]]


def test_the_store_is_a_claim_of_one_pod_that_is_kept(rendered: Rendered) -> None:
    spec = rendered.one("StatefulSet")["spec"]

    assert spec["replicas"] == 1
    assert spec["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "volumeMode": "Filesystem",
        "resources": {"requests": {"storage": "1Gi"}},
    }


def test_nothing_that_an_upgrade_may_not_change_tells_the_release(helm: Helm) -> None:
    spec = helm.template({"commonLabels": {"team": "a"}}).one("StatefulSet")["spec"]

    labels = spec["volumeClaimTemplates"][0]["metadata"]["labels"]
    assert labels == spec["selector"]["matchLabels"]
    assert labels == {
        "app.kubernetes.io/name": "keyturn",
        "app.kubernetes.io/instance": "keyturn",
    }


@pytest.mark.parametrize(
    ("persistence", "volume"),
    [
        (
            {"ephemeral": True},
            {"name": "data", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}},
        ),
        (
            {"existingClaim": "mine"},
            {"name": "data", "persistentVolumeClaim": {"claimName": "mine"}},
        ),
    ],
)
def test_a_store_elsewhere_has_no_claim(helm: Helm, persistence: Object, volume: Object) -> None:
    made = helm.template({"persistence": persistence})

    assert "volumeClaimTemplates" not in made.one("StatefulSet")["spec"]
    assert volume in made.pod["volumes"]


@pytest.mark.parametrize(("given", "found"), [("-", ""), ("fast", "fast")])
def test_the_class_is_named_or_none_is_wanted(helm: Helm, given: str, found: str) -> None:
    spec = helm.template({"persistence": {"storageClass": given}}).one("StatefulSet")["spec"]

    assert spec["volumeClaimTemplates"][0]["spec"]["storageClassName"] == found


def test_the_pod_meets_the_level_restricted(rendered: Rendered) -> None:
    for pod in (rendered.pod, rendered.test_pod["spec"]):
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 65532
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_openshift_gives_out_users_itself(helm: Helm) -> None:
    there = helm.template(flags=["--api-versions=security.openshift.io/v1"])
    here = helm.template({"openshift": {"adaptSecurityContext": "disabled"}})

    assert not {"runAsUser", "runAsGroup", "fsGroup"} & there.pod["securityContext"].keys()
    assert there.pod["securityContext"]["runAsNonRoot"] is True
    assert here.pod["securityContext"]["fsGroup"] == 65532


def test_the_probes_reach_the_operator(helm: Helm) -> None:
    made = helm.template({"health": {"port": 9000}, "livenessProbe": {"periodSeconds": 7}})

    paths = {
        name: made.container[name]["httpGet"]["path"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": "/livez",
        "livenessProbe": "/livez",
        "readinessProbe": "/readyz",
    }
    assert made.container["livenessProbe"]["periodSeconds"] == 7
    assert made.environment["KEYTURN_HEALTH_ADDRESS"] == ANYWHERE
    assert made.environment["KEYTURN_HEALTH_PORT"] == "9000"
    assert made.container["ports"] == [{"name": "health", "containerPort": 9000}]


def test_a_drain_never_hangs_at_the_budget(rendered: Rendered) -> None:
    spec = rendered.one("PodDisruptionBudget")["spec"]

    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_nothing_gets_in_but_to_the_probes(rendered: Rendered) -> None:
    spec = rendered.one("NetworkPolicy")["spec"]

    assert spec["policyTypes"] == ["Ingress"]
    assert spec["ingress"] == [{"ports": [{"port": "health", "protocol": "TCP"}]}]
    assert "egress" not in spec


def test_the_way_out_is_closed_by_rules_for_it(helm: Helm) -> None:
    rules = [{"ports": [{"port": 5432}]}]

    spec = helm.template({"networkPolicy": {"egress": rules}}).one("NetworkPolicy")["spec"]

    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["egress"] == rules


def test_the_pod_of_the_test_is_none_of_the_operators(rendered: Rendered) -> None:
    selector = rendered.one("StatefulSet")["spec"]["selector"]["matchLabels"]

    assert not selector.items() <= rendered.test_pod["metadata"]["labels"].items()
    assert rendered.test_pod["spec"]["automountServiceAccountToken"] is False


def test_the_pod_of_the_test_asks_the_operators_pod_by_its_name_in_the_service(
    elsewhere: Rendered,
) -> None:
    stateful_set, service = elsewhere.one("StatefulSet"), elsewhere.one("Service")
    pod, domain = f"{stateful_set['metadata']['name']}-0", service["metadata"]["name"]
    (port,) = service["spec"]["ports"]

    (url,) = elsewhere.test_pod["spec"]["containers"][0]["env"]
    assert url == {"name": "URL", "value": f"http://{pod}.{domain}.vaults:{port['port']}/readyz"}
    # A pod has that name in the Service that its StatefulSet names, if the Service selects it.
    assert stateful_set["spec"]["serviceName"] == domain
    labels = stateful_set["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert service["spec"]["clusterIP"] == "None"
    # No Service of that kind changes a port.
    assert elsewhere.container["ports"] == [{"name": port["name"], "containerPort": port["port"]}]
    assert port["targetPort"] == port["name"]


def test_the_pod_of_the_test_asks_for_as_much_as_the_operators(helm: Helm) -> None:
    made = helm.template({"resources": {"limits": {"cpu": "1"}}})

    (container,) = made.test_pod["spec"]["containers"]
    assert container["resources"] == made.container["resources"]
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "512Mi"}


def test_a_variable_of_the_user_takes_the_place_of_the_charts(helm: Helm) -> None:
    values = VALUES["more of everything"]

    made = helm.template(values)

    assert made.environment["KEYTURN_WORKERS"] == "3"
    assert made.container["args"] == ["run", "--log-level=debug"]
    assert identity(made.one("ConfigMap", "keyturn-a"))


def test_common_labels_are_on_everything(helm: Helm) -> None:
    made = helm.template({"commonLabels": {"team": "platform"}})

    without = [
        identity(each) for each in made if each["metadata"]["labels"].get("team") != "platform"
    ]
    assert without == []


def test_people_get_their_rights_only_where_that_is_wanted(helm: Helm) -> None:
    values = {"rbac": {"aggregateToView": False, "aggregateToAdmin": False}}

    made = helm.template(values)

    assert {
        name: any(
            "aggregate" in label for label in made.one("ClusterRole", name)["metadata"]["labels"]
        )
        for name in ("keyturn-view", "keyturn-edit", "keyturn-admin")
    } == {"keyturn-view": False, "keyturn-edit": True, "keyturn-admin": False}


def test_the_same_values_make_the_same_objects(helm: Helm, rendered: Rendered) -> None:
    assert helm.template().text() == rendered.text()


def notes(helm: Helm, values: Mapping[str, Any]) -> str:
    done = helm(
        *("install", "keyturn", ROOT / "charts" / "keyturn", "--namespace", "keyturn-system"),
        "--dry-run=client",
        values=values,
    )
    return done.stdout.partition("NOTES:\n")[2]


def test_the_notes_say_where_the_default_key_is(helm: Helm) -> None:
    said = notes(helm, {})

    assert "keyturn-default-key" in said
    assert "kubectl exec -n keyturn-system statefulset/keyturn -- keyturn key export" in said
    assert "storageclass" in said
    assert "EPHEMERAL" not in said


def test_the_notes_shout_at_an_ephemeral_store(helm: Helm) -> None:
    said = notes(helm, {"persistence": {"ephemeral": True}})

    assert "THE STORE IS EPHEMERAL" in said
    assert "kubectl delete statefulset keyturn -n keyturn-system" in said
