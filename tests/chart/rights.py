"""The rights that the files of rbac/ give in each mode."""

from collections.abc import Iterator
from typing import Any, Final

import yaml

from apiserver import Right, rights_of
from documents import ROOT

WATCHED, ELSEWHERE, HOME, JOBS = "watched", "elsewhere", "home", "jobs"

_EVERYWHERE: Final = {
    "standard": ("20-operator-roles",),
    "caged": ("caged/20-operator-roles",),
    "namespaced": ("namespaced/20-operator-roles", "namespaced/30-clusterrotators"),
    "namespaced and caged": ("namespaced/20-operator-roles", "namespaced/30-clusterrotators"),
}
_IN_EACH_NAMESPACE: Final = {
    "namespaced": ("namespaced/21-standard-role",),
    "namespaced and caged": ("namespaced/22-caged-role",),
}

VARIANTS: Final = tuple(_EVERYWHERE)


def expected(variant: str) -> dict[str, set[Right]]:
    """Give the rights of the operator by the place."""
    everywhere = _rights(_EVERYWHERE[variant], "ClusterRole")
    own = ("20-operator-roles",)
    return {
        ELSEWHERE: everywhere,
        WATCHED: everywhere | _rights(_IN_EACH_NAMESPACE.get(variant, ()), "Role"),
        HOME: everywhere | _rights(own, "Role", "keyturn-system"),
        JOBS: everywhere | _rights(own, "Role", "keyturn-jobs"),
    }


def _rights(files: tuple[str, ...], kind: str, namespace: str = "") -> set[Right]:
    return {
        right
        for each in _objects(files)
        if each["kind"] == kind and namespace in ("", each["metadata"].get("namespace"))
        for rule in each["rules"]
        for right in rights_of(rule)
    }


def _objects(files: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    for name in files:
        yield from yaml.safe_load_all((ROOT / "rbac" / f"{name}.yaml").read_text())
