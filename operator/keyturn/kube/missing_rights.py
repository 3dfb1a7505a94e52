"""What a person has to run, so that the operator may read one object."""

import re

from keyturn.domain.errors import DeniedError

_ASKED = re.compile(r'User "(?P<user>[^"]+)" cannot get resource "(?P<plural>[^"]+)"')
"""So the authorizer's refusal begins to say who may not do what; see `kube.errors`."""

_GROUPS = {"rotators": ".keyturn.dev", "clusterrotators": ".keyturn.dev"}


def name_the_role(error: DeniedError, namespace: str, name: str) -> DeniedError:
    """Say which Role lets the operator get the object that it was refused.

    RBAC gives a right to one name; the namespace is empty for an object that is in none. A refusal
    that is not the authorizer's stays as it is.
    """
    asked = _ASKED.search(error.message)
    if asked is None:
        return error
    plural, user = asked["plural"], asked["user"]
    kind, where = ("role", f" -n {namespace}") if namespace else ("clusterrole", "")
    role = f"keyturn-get-{name}"
    there = f" in {namespace}" if namespace else ""
    return DeniedError(
        f"the operator may not get {name!r} of the {plural}{there}; an administrator lets it by: "
        f"kubectl create {kind}{where} {role} --verb=get "
        f"--resource={plural}{_GROUPS.get(plural, '')} --resource-name={name} && kubectl create "
        f"{kind}binding{where} {role} --{kind}={role} --user={user}"
    )
