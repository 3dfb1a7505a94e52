from collections.abc import Mapping
from typing import Any

import pytest

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.kube.resources import parse


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


def with_target(**target: Any) -> dict[str, Any]:
    return a_resource(targets=[{"name": "app", **target}])


def parsed(body: Mapping[str, Any]) -> ManagedSecret:
    return parse(body, outputs_of=lambda generator, key, _: {generator: key})


def refusal(body: Mapping[str, Any]) -> str:
    with pytest.raises(InvalidSpecError) as caught:
        parsed(body)
    return str(caught.value)


def test_a_resource_may_read_the_secret_that_it_only_merges_into() -> None:
    body = a_resource(
        data=[{"key": "copy", "valueFrom": {"secretKeyRef": {"name": "app", "key": "k"}}}],
        targets=[{"name": "app", "creationPolicy": "Merge"}],
    )

    assert parsed(body).spec.keys == ("copy",)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ({"name": "Upper"}, "spec.targets[Upper].name is wrong"),
        ({"name": "keyturn-default-key"}, "reserved for Keyturn"),
        ({"creationPolicy": "Take"}, "spec.targets[app].creationPolicy is wrong"),
        ({"drift": "Undo"}, "spec.targets[app].drift is wrong"),
        ({"immutable": "yes"}, "spec.targets[app].immutable is wrong"),
        ({"immutable": True, "creationPolicy": "Orphan"}, "needs creationPolicy: Owner"),
        ({"stages": []}, "spec.targets[app].stages is wrong"),
        ({"stages": [{"stage": "Pending"}]}, "stages[Pending].stage is wrong"),
        (
            {"stages": [{"stage": "Current"}, {"stage": "Current", "keySuffix": "_2"}]},
            "spec.targets[app].stages holds a stage twice",
        ),
        (
            {"stages": [{"stage": "Current"}, {"stage": "Previous"}]},
            "stages[Previous].keySuffix makes the key password, which is written by",
        ),
        ({"stages": [{"stage": "Current", "keySuffix": "a/b"}]}, "keySuffix is wrong"),
        ({"template": {"type": "kubernetes.io/service-account-token"}}, "gives rights"),
        ({"template": {"type": "bootstrap.kubernetes.io/token"}}, "gives rights"),
        ({"template": {"type": "helm.sh/release.v1"}}, "gives rights"),
        ({"template": {"data": {"a b": "x"}}}, "spec.targets[app].template.data.a b is wrong"),
        ({"template": {"data": {"a": "x" * 4097}}}, "spec.targets[app].template.data.a is wrong"),
        ({"template": {"data": {f"k{n}": "" for n in range(65)}}}, "template.data is wrong"),
        (
            {"template": {"metadata": {"labels": {"keyturn.dev/secret-id": "x"}}}},
            "use a prefix of your own",
        ),
        (
            {"template": {"metadata": {"labels": {"a.keyturn.dev/x": "x"}}}},
            "use a prefix of your own",
        ),
        (
            {"template": {"metadata": {"labels": {"app.kubernetes.io/managed-by": "x"}}}},
            "use a prefix of your own",
        ),
        (
            {"template": {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "x"}}}},
            "use a prefix of your own",
        ),
        ({"template": {"metadata": {"labels": {"meta.helm.sh/x": "x"}}}}, "prefix of your own"),
        (
            {"creationPolicy": "Merge", "template": {"type": "kubernetes.io/tls"}},
            "cannot be changed by creationPolicy: Merge",
        ),
        (
            {"template": {"metadata": {"annotations": {"kubernetes.io/x": "x"}}}},
            "use a prefix of your own",
        ),
        (
            {"template": {"metadata": {"annotations": {"node.k8s.io/x": "x"}}}},
            "use a prefix of your own",
        ),
    ],
)
def test_a_wrong_target_is_refused(target: dict[str, Any], message: str) -> None:
    assert message in refusal(with_target(**target))


@pytest.mark.parametrize(
    "name", ["app", "app.kubernetes.io/part-of", "argocd.argoproj.io/secret-type", "notk8s.io/x"]
)
def test_labels_that_no_other_program_acts_on_are_let_through(name: str) -> None:
    (target,) = parsed(with_target(template={"metadata": {"labels": {name: "x"}}})).spec.targets

    assert target.template.labels == {name: "x"}


def test_a_suffix_that_meets_another_key_is_refused() -> None:
    body = a_resource(
        data=[{"key": "a", "input": {}}, {"key": "a_old", "input": {}}],
        targets=[
            {
                "name": "t",
                "stages": [{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_old"}],
            }
        ],
    )

    assert "makes the key a_old, which is written by" in refusal(body)


def test_a_suffix_meets_only_the_keys_that_are_shown() -> None:
    body = a_resource(
        data=[{"key": "a", "input": {}}, {"key": "a_old", "input": {}}],
        targets=[
            {
                "name": "t",
                "stages": [{"stage": "Current"}, {"stage": "Previous", "keySuffix": "_old"}],
                "template": {"data": {"url": "{{ a }}"}},
            }
        ],
    )

    assert len(parsed(body).spec.targets) == 1


def test_a_suffix_that_makes_a_key_too_long_is_refused() -> None:
    body = a_resource(
        data=[{"key": "k" * 250, "input": {}}],
        targets=[{"name": "t", "stages": [{"stage": "Current", "keySuffix": "_new"}]}],
    )

    assert "which is too long" in refusal(body)


def test_values_and_templates_together_are_bounded() -> None:
    body = a_resource(data=[{"key": f"k{n}", "value": "x" * 8192} for n in range(9)])

    assert refusal(body) == "spec holds 73728 bytes of values and templates; the limit is 65536"


def test_the_default_target_of_a_resource_with_a_reserved_name_is_refused() -> None:
    body = a_resource()
    body["metadata"]["name"] = "keyturn-default-key"

    assert "reserved for Keyturn" in refusal(body)
