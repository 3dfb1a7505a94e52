"""What is wrong is refused, with words that say what to write instead."""

from collections.abc import Mapping
from typing import Any

import pytest

from chart.helming import Helm, HelmError
from chart.sets import VALUES
from make_chart import CHART


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_the_chart_is_free_of_lint(helm: Helm, values: Mapping[str, Any]) -> None:
    helm("lint", "--strict", CHART, values=values)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "additional properties 'replicas' not allowed"),
        ({"image": {"name": "x"}}, "additional properties 'name' not allowed"),
        ({"replicaCount": 2}, "at '/replicaCount': maximum: got 2, want 1"),
        ({"mode": "open"}, "value must be one of 'standard', 'caged'"),
        ({"persistence": {"size": 3}}, "at '/persistence/size': got number, want string"),
        ({"persistence": {"size": "a lot"}}, "at '/persistence/size': 'a lot' does not match"),
        ({"persistence": {"accessMode": "ReadWriteMany"}}, "'ReadWriteOncePod', 'ReadWriteOnce'"),
        ({"watch": {"namespaces": "shop"}}, "got string, want array"),
        ({"watch": {"namespaces": ["a,b"]}}, "at '/watch/namespaces/0': 'a,b' does not match"),
        ({"podDisruptionBudget": {"maxUnavailable": 0}}, "minimum: got 0, want 1"),
        ({"image": {"digest": "latest"}}, "at '/image/digest': 'latest' does not match"),
        ({"storeWait": ""}, "at '/storeWait'"),
        (
            {"serviceAccount": {"create": False}},
            "set serviceAccount.name to an account that nothing else uses",
        ),
        (
            {"persistence": {"ephemeral": True, "existingClaim": "x"}},
            "exclude each other: take one of them away",
        ),
        (
            {"watch": {"namespaces": ["shop", "kube-system"]}},
            "Keyturn projects no Secrets into kube-system; take it away",
        ),
        (
            {"jobs": {"namespace": "keyturn-system"}},
            "take another namespace than that of the release",
        ),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_wrong_is_refused(helm: Helm, values: Mapping[str, Any], said: str) -> None:
    with pytest.raises(HelmError) as refused:
        helm.template(values)

    assert said in str(refused.value)


def test_a_parent_chart_may_hand_down_its_global_values(helm: Helm) -> None:
    assert helm.template({"global": {"imageRegistry": "x"}}).objects


def test_an_older_cluster_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmError, match="kubeVersion"):
        helm.template(flags=["--kube-version=1.31.0"])
