from collections.abc import Mapping
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest

from keyturn.domain.errors import InvalidParameterError, InvalidSpecError, UnknownFormatError
from keyturn.domain.managed_secret import (
    AdoptionPolicy,
    ConfigMapKey,
    CreationPolicy,
    DriftPolicy,
    Generate,
    Input,
    Literal,
    ManagedSecret,
    MergePolicy,
    ProjectedStage,
    SecretKey,
    Source,
)
from keyturn.domain.recovery import ReclaimPolicy
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stage
from keyturn.kube.resources import from_manifest, parse, to_manifest

CANARY = "canary-value-never-shown"


def a_resource(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ManagedSecret",
        "metadata": {
            "name": "orders-db",
            "namespace": "shop",
            "uid": "6b1f",
            "generation": 4,
            "resourceVersion": "12",
        },
        "spec": {"data": [{"key": "password", "input": {}}], **spec},
    }


def with_data(*items: Mapping[str, Any]) -> dict[str, Any]:
    return a_resource(data=list(items))


def with_target(**target: Any) -> dict[str, Any]:
    return a_resource(targets=[{"name": "app", **target}])


def outputs_of(generator: str, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
    if generator == "sshKey":
        outputs = parameters.get("outputs", {})
        return {"privateKey": key, "publicKey": outputs.get("publicKey", f"{key}.pub")}
    if parameters.get("length") == 0:
        raise InvalidParameterError("length is out of bounds; write 1 to 4096")
    return {generator: key}


def parsed(body: Mapping[str, Any]) -> ManagedSecret:
    return parse(body, outputs_of=outputs_of)


def refusal(body: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        parsed(body)
    return str(caught.value)


def test_the_defaults_are_resolved() -> None:
    resource = parsed(a_resource())

    assert resource.name == SecretName("shop", "orders-db")
    assert (resource.uid, resource.generation, resource.resource_version) == ("6b1f", 4, "12")
    assert not resource.deleting
    assert resource.spec.encryption_key == "default"
    assert resource.spec.adoption_policy is AdoptionPolicy.FAIL
    assert resource.spec.retention.policy is ReclaimPolicy.RECOVER
    assert resource.spec.retention.window == timedelta(days=14)
    assert resource.spec.history_limit == 10
    (target,) = resource.effective_targets
    assert (target.name, target.creation_policy) == ("orders-db", CreationPolicy.OWNER)
    assert (target.drift, target.immutable) == (DriftPolicy.CORRECT, False)
    assert target.stages == (ProjectedStage(Stage.CURRENT),)
    assert target.template.type == "Opaque"


def test_what_the_author_wrote_is_read() -> None:
    body = a_resource(
        description="a login",
        encryptionKeyRef={"name": "default"},
        adoptionPolicy="Import",
        reclaimPolicy="Retain",
        recoveryWindow="36h",
        revisionHistoryLimit=3,
        targets=[
            {
                "name": "app",
                "creationPolicy": "Orphan",
                "drift": "Report",
                "stages": [{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_old"}],
                "template": {
                    "type": "example.com/login",
                    "mergePolicy": "Merge",
                    "metadata": {"labels": {"app": "shop"}, "annotations": {"a": "b"}},
                    "data": {"url": "{{ password }}"},
                },
            }
        ],
    )

    spec = parsed(body).spec

    (target,) = spec.targets
    assert spec.description == "a login"
    assert spec.adoption_policy is AdoptionPolicy.IMPORT
    assert (spec.retention.policy, spec.retention.window) == (
        ReclaimPolicy.RETAIN,
        timedelta(hours=36),
    )
    assert spec.history_limit == 3
    assert (target.creation_policy, target.drift) == (CreationPolicy.ORPHAN, DriftPolicy.REPORT)
    assert target.stages == ((Stage.CURRENT, ""), (Stage.PREVIOUS, "_old"))
    assert target.template.type == "example.com/login"
    assert target.template.merge_policy is MergePolicy.MERGE
    assert target.template.labels == {"app": "shop"}
    assert target.template.annotations == {"a": "b"}
    assert target.template.data == {"url": "{{ password }}"}


@pytest.mark.parametrize(
    ("item", "source"),
    [
        ({"value": "orders"}, Literal("orders")),
        ({"value": ""}, Literal("")),
        ({"input": {}}, Input()),
        ({"generate": {"uuid": {}}}, Generate("uuid", {})),
        ({"generate": {"password": {"length": 9}}}, Generate("password", {"length": 9})),
        (
            {"generate": {"plugin": {"name": "acme", "parameters": {"a": "b"}}}},
            Generate("acme", {"a": "b"}),
        ),
        ({"valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}, ConfigMapKey("c", "k")),
        ({"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, SecretKey("s", "k")),
    ],
)
def test_each_source_is_read(item: dict[str, Any], source: Source) -> None:
    (entry,) = parsed(with_data({"key": "it", **item})).spec.data

    assert (entry.key, entry.source, entry.fills) == ("it", source, ("it",))


def test_a_resource_that_is_being_deleted_says_so() -> None:
    body = a_resource()
    body["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"

    assert parsed(body).deleting


def test_the_status_that_stands_is_kept_as_it_is() -> None:
    assert parsed({**a_resource(), "status": {"currentVersion": 7}}).status == {"currentVersion": 7}


def test_a_generator_fills_all_its_outputs() -> None:
    (entry,) = parsed(with_data({"key": "id", "generate": {"sshKey": {}}})).spec.data

    assert entry.fills == ("id", "id.pub")


def test_two_sources_that_fill_one_key_are_refused() -> None:
    body = with_data({"key": "id", "generate": {"sshKey": {}}}, {"key": "id.pub", "value": CANARY})

    assert refusal(body) == (
        "spec.data[id.pub] fills the key id.pub, and so does spec.data[id]; rename one"
    )


def test_one_source_that_fills_a_key_twice_is_refused() -> None:
    body = with_data({"key": "id", "generate": {"sshKey": {"outputs": {"publicKey": "id"}}}})

    assert "spec.data[id] fills the key id" in refusal(body)


def test_a_key_that_is_there_twice_is_refused() -> None:
    body = with_data({"key": "a", "value": CANARY}, {"key": "a", "input": {}})

    assert "fills the key a" in refusal(body)


def test_an_output_that_is_no_key_is_refused() -> None:
    body = with_data({"key": "id", "generate": {"sshKey": {"outputs": {"publicKey": "../id"}}}})

    assert "names a key that is none" in refusal(body)


def test_what_a_generator_says_of_its_parameters_names_the_field() -> None:
    body = with_data({"key": "p", "generate": {"password": {"length": 0}}})

    assert refusal(body) == (
        "spec.data[p].generate.password: length is out of bounds; write 1 to 4096"
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "spec.data[it] needs exactly one source"),
        ({"value": CANARY, "input": {}}, "spec.data[it] needs exactly one source"),
        ({"somethingNewer": {}}, "spec.data[it] needs exactly one source"),
        ({"value": CANARY * 400}, "spec.data[it].value is wrong"),
        ({"value": [CANARY]}, "spec.data[it].value is wrong"),
        ({"value": 5}, "spec.data[it].value is wrong"),
        ({"input": {"a": CANARY}}, "write input: {}"),
        ({"generate": {}}, "needs exactly one generator"),
        ({"generate": {"a": {}, "b": {}}}, "needs exactly one generator"),
        ({"generate": {"plugin": {}}}, "spec.data[it].generate.plugin needs a name"),
        ({"generate": {"plugin": {"name": "a", "parameters": {"a": 1}}}}, "that are texts"),
        ({"generate": {"plugin": {"name": "password"}}}, "write password: {} without plugin"),
        ({"valueFrom": {}}, "needs exactly one of configMapKeyRef and secretKeyRef"),
        (
            {
                "valueFrom": {
                    "configMapKeyRef": {"name": "c", "key": "k"},
                    "secretKeyRef": {"name": "c", "key": "k"},
                }
            },
            "needs exactly one of configMapKeyRef and secretKeyRef",
        ),
        ({"valueFrom": {"secretKeyRef": {"key": "k"}}}, "secretKeyRef.name is missing"),
        ({"valueFrom": {"secretKeyRef": {"name": "../x", "key": "k"}}}, "secretKeyRef.name is"),
        ({"valueFrom": {"secretKeyRef": {"name": "x", "key": ".."}}}, "secretKeyRef.key is"),
        (
            {"valueFrom": {"secretKeyRef": {"name": "keyturn-default-key", "key": "key"}}},
            "reserved for Keyturn",
        ),
        (
            {"generate": {"tls": {"caSecretRef": {"name": "keyturn-default-key"}}}},
            "reserved for Keyturn",
        ),
        ({"valueFrom": {"secretKeyRef": {"name": "orders-db", "key": "k"}}}, "adoptionPolicy"),
    ],
)
def test_a_wrong_source_is_refused_by_its_name_and_without_its_value(
    item: dict[str, Any], message: str
) -> None:
    said = refusal(with_data({"key": "it", **item}))

    assert message in said
    assert CANARY not in said


def test_no_error_in_the_chain_holds_the_value() -> None:
    with pytest.raises(InvalidSpecError) as caught:
        parsed(with_data({"key": "it", "value": [CANARY]}))

    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("key", ["", ".", "..", "..a", "a b", "a/b", "ä", "k" * 254])
def test_what_is_no_key_is_refused(key: str) -> None:
    assert ".key is wrong" in refusal(with_data({"key": key, "value": CANARY}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"data": []}, "spec.data is wrong: List should have at least 1 item"),
        ({"data": [{"key": f"k{n}", "input": {}} for n in range(65)]}, "spec.data is wrong"),
        ({"encryptionKeyRef": {"name": "other"}}, "spec.encryptionKeyRef.name is wrong"),
        ({"adoptionPolicy": "Steal"}, "Input should be 'Import' or 'Fail'"),
        ({"reclaimPolicy": "Shred"}, "spec.reclaimPolicy is wrong"),
        ({"recoveryWindow": "soon"}, "spec.recoveryWindow is no duration; write for example"),
        ({"recoveryWindow": "59m"}, "spec.recoveryWindow is out of bounds; write 1h to 365d"),
        ({"recoveryWindow": "366d"}, "spec.recoveryWindow is out of bounds; write 1h to 365d"),
        ({"revisionHistoryLimit": 0}, "spec.revisionHistoryLimit is wrong"),
        ({"revisionHistoryLimit": 101}, "spec.revisionHistoryLimit is wrong"),
        ({"revisionHistoryLimit": "3"}, "spec.revisionHistoryLimit is wrong"),
        ({"description": "d" * 1025}, "spec.description is wrong"),
        ({"targets": [{"name": "a"}, {"name": "a"}]}, "spec.targets[a] is there twice"),
        ({"targets": [{"name": f"t{n}"} for n in range(9)]}, "spec.targets is wrong"),
    ],
)
def test_a_wrong_specification_is_refused(spec: dict[str, Any], message: str) -> None:
    assert message in refusal(a_resource(**spec))


@pytest.mark.parametrize("namespace", ["keyturn-system", "keyturn-jobs"])
def test_a_resource_in_the_operators_own_namespaces_is_refused(namespace: str) -> None:
    body = a_resource()
    body["metadata"]["namespace"] = namespace

    assert "metadata.namespace is the operator's own" in refusal(body)


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease"])
def test_a_resource_in_a_namespace_of_the_cluster_is_refused(namespace: str) -> None:
    body = a_resource()
    body["metadata"]["namespace"] = namespace

    assert "metadata.namespace is the cluster's own" in refusal(body)


def test_fields_of_a_newer_release_are_ignored() -> None:
    assert parsed(a_resource(consumerz={"action": "Restart"})).spec == parsed(a_resource()).spec


def test_a_manifest_holds_what_the_author_wrote_and_no_more() -> None:
    body = {**a_resource(description="a login"), "status": {"currentVersion": 7}}
    body["metadata"]["labels"] = {"app": "shop"}
    body["metadata"]["annotations"] = {
        "kubectl.kubernetes.io/last-applied-configuration": CANARY,
        "team": "orders",
    }
    body["metadata"]["managedFields"] = [{"manager": "kubectl"}]

    assert from_manifest(to_manifest(body)) == {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ManagedSecret",
        "metadata": {
            "name": "orders-db",
            "namespace": "shop",
            "labels": {"app": "shop"},
            "annotations": {"team": "orders"},
        },
        "spec": body["spec"],
    }


def test_a_manifest_does_not_change_its_resource() -> None:
    body = a_resource()
    body["metadata"]["annotations"] = {"kubectl.kubernetes.io/last-applied-configuration": "x"}
    before = deepcopy(body)

    to_manifest(body)

    assert body == before


def test_the_same_resource_gives_the_same_manifest_whatever_the_order() -> None:
    body = a_resource(description="d", adoptionPolicy="Fail")
    turned = {**body, "spec": dict(reversed(body["spec"].items()))}

    assert to_manifest(body) == to_manifest(turned)


@pytest.mark.parametrize("manifest", [b"", b"{", b"[]", b'{"kind":"Secret"}'])
def test_what_is_no_manifest_is_refused(manifest: bytes) -> None:
    with pytest.raises(UnknownFormatError):
        from_manifest(manifest)


ROTATED = [{"key": "password", "generate": {"password": {}}}]


def test_without_rotation_a_secret_is_not_rotated() -> None:
    assert parsed(a_resource()).spec.rotation is None


def test_rotation_is_read_with_the_rest() -> None:
    rotation = parsed(a_resource(data=ROTATED, rotation={"schedule": "0 3 * * 6"})).spec.rotation

    assert rotation is not None
    assert rotation.timing.schedule == "0 3 * * 6"


@pytest.mark.parametrize(
    ("rotation", "what"),
    [
        ({"schedule": "0 3 * *"}, "spec.rotation.schedule has 4 fields"),
        ({"schedule": 3}, "spec.rotation.schedule is wrong"),
        ({"strategy": "Guess"}, "spec.rotation.strategy is wrong"),
        ({"suspend": "yes"}, "spec.rotation.suspend is wrong"),
        ({"maxFailures": 0}, "spec.rotation.maxFailures is wrong"),
        ({"maxFailures": 101}, "spec.rotation.maxFailures is wrong"),
        ({"rotatorRef": {"kind": "Rotator"}}, "spec.rotation.rotatorRef.name is missing"),
        ({"rotatorRef": {"kind": "Job", "name": "a"}}, "spec.rotation.rotatorRef.kind is wrong"),
        ({"rotatorRef": {"kind": "Rotator", "name": "../a"}}, "rotatorRef.name is wrong"),
        ({"keys": {"user name": "a"}}, "spec.rotation.keys.user name is wrong"),
        ({"keys": {"username": ".."}}, "spec.rotation.keys.username is wrong"),
        ({"keys": {f"k{n}": "a" for n in range(17)}}, "spec.rotation.keys is wrong"),
    ],
)
def test_a_wrong_rotation_is_refused_with_its_field(rotation: dict[str, Any], what: str) -> None:
    assert what in refusal(a_resource(data=ROTATED, rotation=rotation))
