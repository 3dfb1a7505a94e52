import shlex

import pytest

from keyturn.domain.errors import DeniedError
from keyturn.kube.missing_rights import name_the_role

USER = "system:serviceaccount:keyturn-system:keyturn"


def refusal(resource: str, group: str = "", place: str = "shop") -> DeniedError:
    """The authorizer's words, as kube-apiserver 1.37 says them."""
    where = f'in the namespace "{place}"' if place else "at the cluster scope"
    return DeniedError(
        f'{resource} "stripe" is forbidden: User "{USER}" cannot get resource "{resource}" '
        f'in API group "{group}" {where}'
    )


def commands(error: DeniedError) -> list[list[str]]:
    _, _, told = error.message.partition("lets it by: ")
    return [shlex.split(command) for command in told.split(" && ")]


def test_the_role_is_for_one_name() -> None:
    role, binding = commands(name_the_role(refusal("secrets"), "shop", "stripe"))

    assert role == [
        *("kubectl", "create", "role", "-n", "shop", "keyturn-get-stripe"),
        *("--verb=get", "--resource=secrets", "--resource-name=stripe"),
    ]
    assert binding == [
        *("kubectl", "create", "rolebinding", "-n", "shop", "keyturn-get-stripe"),
        *("--role=keyturn-get-stripe", f"--user={USER}"),
    ]


def test_what_is_in_no_namespace_needs_a_cluster_role() -> None:
    refused = refusal("clusterrotators", "keyturn.dev", "")

    role, binding = commands(name_the_role(refused, "", "stripe"))

    assert role[2] == "clusterrole"
    assert "--resource=clusterrotators.keyturn.dev" in role
    assert binding[2:] == [
        *("clusterrolebinding", "keyturn-get-stripe"),
        *("--clusterrole=keyturn-get-stripe", f"--user={USER}"),
    ]


@pytest.mark.parametrize("words", ["a policy refuses it", "a right is missing"])
def test_another_refusal_stays_as_it_is(words: str) -> None:
    error = DeniedError(words)

    assert name_the_role(error, "shop", "stripe") is error
