"""Each file of examples/ does on a real cluster what it says."""

import base64
import json
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from canary import Canary
from cluster.operating import Cluster, OperatorProcess, eventually
from keyturn_controlplane.cluster import ControlPlane

EXAMPLES = Path(__file__).parents[2] / "examples"
FILES = sorted(path.name for path in EXAMPLES.glob("*.yaml"))

API_TOKEN = "api-token.yaml"


@pytest.fixture(autouse=True)
def operator(shared_operator: OperatorProcess) -> OperatorProcess:
    return shared_operator


class Applied:
    """An example that was applied."""

    def __init__(self, control_plane: ControlPlane, cluster: Cluster, file: str) -> None:
        self.cluster = cluster
        documents: list[Any] = list(yaml.safe_load_all((EXAMPLES / file).read_text()))
        self.names = [d["metadata"]["name"] for d in documents if d["kind"] == "ManagedSecret"]
        self.targets = [
            target["name"]
            for d in documents
            if d["kind"] == "ManagedSecret"
            for target in d["spec"].get("targets", [{"name": d["metadata"]["name"]}])
        ]
        control_plane.kubectl(
            *("apply", "--server-side", "-n", cluster.namespace, "-f", str(EXAMPLES / file))
        )

    def wait_ready(self) -> None:
        for name in self.names:
            self.cluster.wait_ready(name)

    def values(self, name: str) -> dict[str, bytes]:
        data = self.cluster.data(name)
        assert data is not None
        return {key: base64.b64decode(value) for key, value in data.items()}


@pytest.fixture
def applied(
    control_plane: ControlPlane, cluster: Cluster, request: pytest.FixtureRequest
) -> Applied:
    return Applied(control_plane, cluster, request.param)


def example(file: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("applied", [file], indirect=True, ids=[Path(file).stem])


@pytest.mark.parametrize(
    "applied", [f for f in FILES if f != API_TOKEN], indirect=True, ids=lambda f: Path(f).stem
)
def test_an_example_becomes_ready_and_its_secrets_are_there(applied: Applied) -> None:
    applied.wait_ready()

    assert all(applied.values(target) for target in applied.targets)


@example(API_TOKEN)
def test_the_token_is_awaited_and_then_given(
    applied: Applied, operator: OperatorProcess, canary: Canary
) -> None:
    value, namespace = canary.make(), applied.cluster.namespace
    condition = applied.cluster.wait_reason("payments-api", "AwaitingInput")
    assert "keyturn put payments-api" in condition["message"]

    operator.keyturn("put", "payments-api", "-n", namespace, "--key", "apiToken", stdin=value)

    applied.wait_ready()
    assert applied.values("payments-api")["apiToken"] == value


@example("database-login.yaml")
def test_the_database_url_holds_the_password(applied: Applied) -> None:
    applied.wait_ready()

    values = applied.values("orders-db")
    password = values["password"].decode()
    url = f"postgres://orders:{password}@postgres.databases.svc/orders"
    assert values["DATABASE_URL"].decode() == url
    assert set(values) == {"DATABASE_URL", "username", "host", "password"}


@example("certificate.yaml")
def test_the_authority_signed_the_certificate_of_the_server(applied: Applied) -> None:
    applied.wait_ready()

    authority = x509.load_pem_x509_certificate(applied.values("shop-ca")["tls.crt"])
    server = applied.values("shop-tls")
    x509.load_pem_x509_certificate(server["tls.crt"]).verify_directly_issued_by(authority)
    assert x509.load_pem_x509_certificate(server["ca.crt"]) == authority


@example("ssh-key.yaml")
def test_the_public_ssh_key_is_that_of_the_private_one(applied: Applied) -> None:
    applied.wait_ready()

    values = applied.values("deploy-key")
    private = load_ssh_private_key(values["ssh-privatekey"], password=None)
    assert values["ssh-publickey"].endswith(b" deploy@shop")
    assert load_ssh_public_key(values["ssh-publickey"]) == private.public_key()


@example("existing-secret.yaml")
def test_the_existing_secret_is_taken_over_as_it_was(applied: Applied) -> None:
    applied.wait_ready()

    assert applied.values("legacy-login") == {"password": b"made-by-hand-in-2019"}
    resource = applied.cluster.get("managedsecrets", "legacy-login") or {}
    assert resource["status"]["history"][0]["reason"] == "Imported"


@example("values-from.yaml")
def test_values_of_others_are_followed(applied: Applied) -> None:
    applied.wait_ready()
    before = applied.values("reports")

    applied.cluster.patch("configmaps", "reports", {"data": {"host": "moved.databases.svc"}})

    eventually(lambda: applied.values("reports")["host"] == b"moved.databases.svc")
    assert before["license"] == b"license-0123-4567-89ab-cdef"
    assert applied.values("reports")["sessionKey"] == before["sessionKey"]


@example("registry-login.yaml")
def test_the_registry_login_is_one_that_pods_can_use(applied: Applied) -> None:
    applied.wait_ready()

    login = json.loads(applied.values("registry-login")[".dockerconfigjson"])["auths"]
    shop = login["registry.example.com"]
    assert base64.b64decode(shop["auth"]).decode() == f"shop:{shop['password']}"
    secret = applied.cluster.get("secrets", "registry-login") or {}
    assert secret["type"] == "kubernetes.io/dockerconfigjson"


@example("previous-version.yaml")
def test_the_previous_key_stands_beside_the_current_one(
    applied: Applied, operator: OperatorProcess
) -> None:
    applied.wait_ready()
    first = applied.values("session-key")["signingKey"]

    operator.keyturn("rotate", "session-key", "-n", applied.cluster.namespace)

    eventually(lambda: applied.values("session-key").get("signingKey.previous") == first)
    assert applied.values("session-key")["signingKey"] != first


@example("restart-after-rotation.yaml")
def test_the_key_before_goes_when_nobody_runs_with_it(
    applied: Applied, operator: OperatorProcess
) -> None:
    applied.wait_ready()
    first = applied.values("webhook-key")["key"]

    operator.keyturn("rotate", "webhook-key", "-n", applied.cluster.namespace)

    eventually(lambda: applied.values("webhook-key").get("key_previous") == first)
    # No pod uses it, and that is known a while after the new one was projected.
    eventually(lambda: "key_previous" not in applied.values("webhook-key"), within=60)


@example("htpasswd.yaml")
def test_the_hash_is_that_of_the_password(applied: Applied) -> None:
    applied.wait_ready()

    password = applied.values("metrics-password")["password"]
    user, _, hashed = applied.values("metrics-login")["auth"].strip().partition(b":")
    assert user == b"shop"
    assert bcrypt.checkpw(password, hashed)
    assert set(applied.values("metrics-login")) == {"auth"}


def test_the_readme_tells_of_each_example() -> None:
    told = (EXAMPLES / "README.md").read_text()

    assert [file for file in FILES if f"[{file}]({file})" not in told] == []
