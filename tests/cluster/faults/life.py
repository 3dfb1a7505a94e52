"""What goes on around an operator while the apiserver is in trouble."""

import base64
import re

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, eventually
from keyturn.api import routes, schemas
from keyturn.api.routes import Asked
from keyturn.cli.client import ask_operator
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stage
from keyturn.settings import Settings
from keyturn_controlplane.cluster import ControlPlane

SPEC = {"data": [{"key": "password", "generate": {"password": {"length": 24}}}]}

HEALED = 60.0
"""Within so many seconds after the end of a fault everything has to be in place."""


def token_of(control_plane: ControlPlane) -> str:
    """Ask for a new token of the operator's ServiceAccount."""
    return control_plane.kubectl(
        "create", "token", "keyturn", "-n", "keyturn-system"
    ).stdout.strip()


def live(operator: OperatorProcess) -> tuple[int, str]:
    """Ask whether the operator that was started last is alive."""
    ports = re.findall(r"the probes are answered on port (\d+)", operator.log)
    return operator.probe(int(ports[-1]), "livez")


class Life:
    """What goes on in a namespace while the apiserver is in trouble, and what must come of it."""

    def __init__(self, cluster: Cluster, operator: OperatorProcess, canary: Canary) -> None:
        self._cluster = cluster
        self._operator = operator
        self._canary = canary
        self._settings = Settings.load(operator.environment)
        self._before: dict[str, dict[str, str]] = {}

    def begin(self) -> None:
        """Make what is there before the trouble."""
        for name in ("edited", "stripped", "deleted", "left"):
            self._cluster.apply(name, SPEC)
        for name in ("edited", "stripped", "deleted", "left"):
            self._cluster.wait_ready(name)
            self._before[name] = self.data(name)

    def go_on(self) -> None:
        """Change something of each kind, while the operator cannot see it or act on it."""
        self._cluster.apply("made", SPEC)
        forged = base64.b64encode(b"edited by hand").decode()
        self._cluster.patch("secrets", "edited", {"data": {"password": forged}})
        self._cluster.delete("secrets", "stripped")
        self._cluster.delete("managedsecrets", "deleted")

    def comes_right(self, *, within: float = HEALED) -> None:
        """Wait until all is in place, and see that nothing was lost or made twice."""
        self._cluster.wait_ready("made", within=within)
        for name in ("edited", "stripped", "left"):
            self._has_its_value(name, within)
        # Not the going of its Secret: that is the garbage collector's, with pauses of its own.
        eventually(
            lambda: self._is_deleted("deleted"), within=within, what="the deletion is recorded"
        )
        self._cluster.apply("deleted", SPEC)
        self._has_its_value("deleted", within)
        for name in ("made", "edited", "stripped", "deleted", "left"):
            self.is_version_1(name)

    def _has_its_value(self, name: str, within: float) -> None:
        eventually(
            lambda: self._cluster.data(name) == self._before[name],
            within=within,
            what=f"{name} has its value again",
        )

    def _is_deleted(self, name: str) -> bool:
        asked = Asked(namespace=self._cluster.namespace)
        answer = ask_operator(self._settings, routes.LIST, asked)
        assert answer is not None
        states = {secret["name"]: secret["state"] for secret in answer["items"]}
        return bool(states[name] == "Deleted")

    def is_version_1(self, name: str) -> None:
        """See that a secret has one version, and its native Secret the value of it."""
        self._cluster.wait_ready(name)
        resource = self._cluster.get("managedsecrets", name)
        assert resource is not None
        assert resource["status"]["currentVersion"] == 1
        assert self.data(name) == self.stored(name)

    def data(self, name: str) -> dict[str, str]:
        """Return the data of a native Secret; each value is a canary from then."""
        data = self._cluster.data(name)
        assert data is not None
        for value in data.values():
            self._canary.register(base64.b64decode(value))
        return data

    def stored(self, name: str) -> dict[str, str]:
        """Return what the store holds, by the way that `keyturn get --reveal` takes."""
        asked = Asked(
            SecretName(self._cluster.namespace, name),
            body=schemas.encode(schemas.get_request(None, Stage.CURRENT, reveal_values=True)),
        )
        answer = ask_operator(self._settings, routes.GET, asked)
        assert answer is not None
        values = schemas.values_of(answer)
        return {key: base64.b64encode(value.reveal()).decode() for key, value in values.items()}
