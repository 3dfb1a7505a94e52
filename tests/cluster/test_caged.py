"""The mode caged: the operator does its work, and reads no Secret but its own.

The apiserver's audit log is the witness: it notes each request of the operator's account.
"""

import base64
import re
import shlex
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from apiserver import Apiserver, connected
from canary import Canary
from cluster.auditing import Asked, Audited
from cluster.operating import eventually
from cluster.people import OPERATOR, a_secret, rotators, the_operator, wait_for_policies
from cluster.site import LONGER, PASSWORD, TOKEN, Site, history, keep_copy, put_back, reasons
from keyturn.domain.errors import DeniedError, TargetOwnedByOtherError
from keyturn.domain.managed_secret import OWN_NAMESPACES
from keyturn.domain.rotation import RotatorRef
from keyturn.domain.secret import SecretName
from keyturn.kube.caged_native_secrets import CagedNativeSecrets
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.facts import ClusterFacts
from keyturn.kube.rotators import Rotators

INTERVAL = 2.0
"""Seconds after which the operators of these tests look again."""

CAGED = {"KEYTURN_MODE": "caged", "KEYTURN_REAPPLY_INTERVAL": f"{INTERVAL:.0f}s"}


@pytest.fixture(scope="module")
def identity(caged: Audited) -> Iterator[Apiserver]:
    """The operator's account, once all policies are enforced."""
    control_plane = caged.control_plane
    with (
        connected(control_plane.kubeconfig) as administrator,
        the_operator(control_plane) as operator,
    ):
        wait_for_policies(administrator, operator)
        yield operator


@pytest.fixture
def site(caged: Audited, identity: Apiserver, tmp_path: Path) -> Iterator[Site]:
    with Site.opened(caged.control_plane, tmp_path) as site:
        yield site


def asked(audited: Audited, site: Site) -> list[Asked]:
    """What the operator has asked about the Secrets of a namespace, or of all."""
    return [
        each
        for each in audited.audit.of(OPERATOR)
        if each.resource == "secrets" and each.namespace in ("", site.namespace)
    ]


def writes(audited: Audited, site: Site) -> int:
    """How often it has written a Secret of the namespace."""
    return sum("dryRun" not in each.uri for each in asked(audited, site))


def rounds(audited: Audited, site: Site) -> int:
    """How often it has looked at a Secret of the namespace."""
    return sum("dryRun" in each.uri for each in asked(audited, site))


def wait_for_rounds(audited: Audited, site: Site, more: int) -> None:
    before = rounds(audited, site)
    eventually(lambda: rounds(audited, site) >= before + more, what="it looks again")


def labels(site: Site, name: str = "db") -> dict[str, str]:
    secret = site.cluster.get("secrets", name)
    assert secret is not None
    found: dict[str, str] = secret["metadata"].get("labels", {})
    return found


def test_it_projects_and_reads_nothing(caged: Audited, site: Site) -> None:
    site.started(**CAGED)

    before = site.applied()
    resource_version = site.resource_version()
    wait_for_rounds(caged, site, 3)

    verbs = {each.verb for each in asked(caged, site)}
    assert verbs <= {"create", "patch"}
    # Looked at again and again, and not once written again.
    assert writes(caged, site) == 1
    assert site.data() == before
    assert site.resource_version() == resource_version


def test_a_change_of_the_spec_is_written_at_once(site: Site) -> None:
    operator = site.started(**{**CAGED, "KEYTURN_REAPPLY_INTERVAL": "1h"})
    before = site.applied()

    after = site.applied(data=[LONGER, TOKEN], targets=[{"name": "db"}, {"name": "copy"}])

    assert len(after["password"]) > len(before["password"])
    assert site.data("copy") == after
    assert [item["version"] for item in history(operator, site.namespace)] == [2, 1]


def test_drift_is_put_right_in_its_turn(caged: Audited, site: Site) -> None:
    site.started(**CAGED)
    before = site.applied()
    forged = base64.b64encode(b"edited by hand").decode()

    site.cluster.patch("secrets", "db", {"data": {"password": forged, "more": forged}})
    eventually(lambda: site.data()["password"] == before["password"], what="it is put right")
    site.cluster.patch("secrets", "db", {"metadata": {"labels": None}})
    eventually(lambda: "keyturn.dev/secret-id" in labels(site), what="its labels are put back")
    site.cluster.delete("secrets", "db")
    eventually(lambda: site.cluster.data("db") is not None, what="it is made again")

    assert site.data() == before
    assert {each.verb for each in asked(caged, site)} <= {"create", "patch"}


def test_drift_that_is_to_be_reported_is_reported_and_stays(site: Site) -> None:
    site.started(**CAGED)
    site.applied(targets=[{"name": "db", "drift": "Report"}])
    forged = base64.b64encode(b"edited by hand").decode()

    site.cluster.patch("secrets", "db", {"data": {"password": forged}})

    def reported() -> bool:
        return site.cluster.condition("db", "Drifted").get("reason") == "SecretDataDrift"

    eventually(reported, what="the drift is reported")
    assert site.data()["password"] == forged


def test_a_restart_writes_nothing(caged: Audited, site: Site) -> None:
    operator = site.started(**CAGED)
    site.applied()
    operator.stop()
    before = site.resource_version(), writes(caged, site)

    operator.start()
    wait_for_rounds(caged, site, 2)

    assert (site.resource_version(), writes(caged, site)) == before


def test_what_is_immutable_is_replaced_and_what_is_left_goes(site: Site) -> None:
    site.started(**CAGED)
    site.applied(targets=[{"name": "db", "immutable": True}, {"name": "old"}])
    before = site.data()

    site.cluster.apply("db", {"data": [LONGER], "targets": [{"name": "db", "immutable": True}]})

    replaced = "the immutable one is replaced"
    eventually(lambda: site.cluster.data("db") not in (None, before), what=replaced)
    eventually(lambda: site.cluster.data("old") is None, what="the other goes")
    site.cluster.wait_ready("db")


def test_a_secret_of_somebody_else_is_neither_read_nor_written(
    caged: Audited, site: Site, canary: Canary
) -> None:
    token = base64.b64encode(canary.make()).decode()
    theirs = site.cluster.create("secrets", a_secret("db", data={"password": token}))
    operator = site.started(**CAGED)

    site.cluster.apply("db", {"data": [PASSWORD]})
    condition = site.cluster.wait_reason("db", "TargetOwnedByOther")
    wait_for_rounds(caged, site, 2)

    how = f"kubectl annotate secret -n {site.namespace} db keyturn.dev/allow="
    assert how in condition["message"]
    assert site.cluster.get("secrets", "db") == theirs
    assert canary.scan_text(operator.log) == []
    assert {each.status for each in asked(caged, site)} == {403}


def test_its_owner_lets_it_be_taken_over(site: Site) -> None:
    before = {"password": base64.b64encode(b"theirs").decode()}
    site.cluster.create("secrets", a_secret("db", data=before))
    site.started(**CAGED)
    site.cluster.apply("db", {"data": [PASSWORD], "adoptionPolicy": "Import"})
    site.cluster.wait_reason("db", "TargetOwnedByOther")

    consent = {"metadata": {"annotations": {"keyturn.dev/allow": "db"}}}
    site.cluster.patch("secrets", "db", consent)

    site.cluster.wait_ready("db")
    assert site.data() == before
    assert labels(site)["keyturn.dev/managed"] == "true"


def test_its_owner_lets_keys_be_merged_into_it(site: Site) -> None:
    theirs = {"theirs": base64.b64encode(b"x").decode()}
    consent = {"keyturn.dev/allow": "app"}
    site.cluster.create("secrets", a_secret("shared", data=theirs, annotations=consent))
    site.started(**CAGED)
    targets = [{"name": "shared", "creationPolicy": "Merge"}]

    site.cluster.apply("app", {"data": [PASSWORD], "targets": targets})
    site.cluster.wait_ready("app")
    before = site.data("shared")
    site.cluster.patch("secrets", "shared", {"data": {"password": None}})

    eventually(lambda: site.data("shared") == before, what="our key is put back")
    assert before["theirs"] == theirs["theirs"]


def test_a_lost_store_takes_its_values_from_the_secrets(site: Site) -> None:
    operator = site.started(**CAGED)
    before = site.applied()
    operator.stop()
    shutil.rmtree(operator.data_dir)

    operator.start()

    eventually(lambda: reasons(operator, site) == ["Imported"])
    site.cluster.wait_ready("db")
    assert site.data() == before


def test_an_older_store_does_not_touch_the_secret(site: Site) -> None:
    operator = site.started(**CAGED)
    site.applied()
    operator.stop()
    copy = keep_copy(operator, "older")
    operator.start()
    newer = site.applied(data=[LONGER])
    operator.stop()
    put_back(operator, copy)

    operator.start()

    site.cluster.wait_reason("db", "StoreRollback")
    assert site.data() == newer


def test_a_source_needs_a_role_for_its_name(site: Site, canary: Canary) -> None:
    """The condition has the commands; they are run as they stand."""
    token = base64.b64encode(canary.make()).decode()
    site.cluster.create("secrets", a_secret("stripe", data={"token": token}))
    site.cluster.create("secrets", a_secret("other", data={"token": token}))
    site.started(**CAGED)
    source = {"secretKeyRef": {"name": "stripe", "key": "token"}}

    site.cluster.apply("app", {"data": [{"key": "token", "valueFrom": source}]})
    condition = site.cluster.wait_reason("app", "Denied")
    for command in commands_in(condition["message"]):
        site.control_plane.kubectl(*command)

    site.cluster.wait_ready("app")
    assert site.data("app") == {"token": token}


def commands_in(message: str) -> list[list[str]]:
    """The arguments of kubectl in each command that a message tells."""
    _, _, commands = message.partition("lets it by: ")
    return [shlex.split(command)[1:] for command in commands.split(" && ")]


@pytest.fixture
async def kube(caged: Audited, identity: Apiserver) -> AsyncIterator[KubeClient]:
    control_plane = caged.control_plane
    kubeconfig = control_plane.kubeconfig_for_service_account("keyturn-system", "keyturn")
    async with KubeClient(Connection(kubeconfig)) as kube:
        yield kube


async def test_an_admin_credential_needs_a_role_for_its_name(kube: KubeClient, site: Site) -> None:
    facts = ClusterFacts(kube)
    reading = Rotators(
        kube,
        author_checked=facts.author_checked,
        rotator_author_checked=facts.rotator_author_checked,
        own_namespaces=OWN_NAMESPACES,
    )
    site.cluster.create("secrets", a_secret("admin", stringData={"password": "x"}))
    body = {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "Rotator",
        "metadata": {"name": "cache"},
        "spec": {"redis": {"host": "redis"}, "adminRef": {"kind": "Secret", "name": "admin"}},
    }
    made = Apiserver(site.cluster._api).request("POST", rotators(site.namespace), body)
    assert made.is_ok, made.message
    site.cluster.apply("app", {"data": [PASSWORD]})
    settings = await reading.read(SecretName(site.namespace, "app"), RotatorRef("Rotator", "cache"))

    async def nobody(_: SecretName) -> dict[str, Any]:
        return {}

    with pytest.raises(DeniedError) as raised:
        await reading.target_materials(settings, nobody)
    for command in commands_in(raised.value.message):
        site.control_plane.kubectl(*command)
    with the_operator(site.control_plane) as operator:
        eventually(lambda: operator.may("get", "secrets", site.namespace, "admin"))

    materials = await reading.target_materials(settings, nobody)
    with materials.admin as admin:
        assert set(admin) == {"password"}


async def test_what_a_patch_shows_is_what_stands(kube: KubeClient, site: Site) -> None:
    site.started(**{**CAGED, "KEYTURN_REAPPLY_INTERVAL": "1h"})
    site.applied()

    for change in (
        {},
        {"annotations": {"by": "somebody"}},
        {"labels": {"team": "shop"}},
        LABELLESS,
    ):
        stands = site.cluster.patch("secrets", "db", {"metadata": change})
        seen = await CagedNativeSecrets(kube).get(site.namespace, "db")
        assert without_the_dry_run(seen) == stands


LABELLESS = {"labels": {"keyturn.dev/managed": None, "keyturn.dev/secret-id": None}}


def without_the_dry_run(secret: dict[str, Any]) -> dict[str, Any]:
    """Leave out what the labels of the dry run add to the history of the fields."""
    entries = [e for e in secret["metadata"]["managedFields"] if e["manager"] != "keyturn"]
    return {**secret, "metadata": {**secret["metadata"], "managedFields": entries}}


@pytest.mark.parametrize("native_type", ["Opaque", "helm.sh/release.v1"])
async def test_no_patch_shows_what_is_somebody_elses(
    kube: KubeClient, site: Site, native_type: str
) -> None:
    site.cluster.create("secrets", a_secret("theirs", type=native_type))

    with pytest.raises(TargetOwnedByOtherError, match="somebody else's"):
        await CagedNativeSecrets(kube).get(site.namespace, "theirs")


def test_all_that_it_asked_about_secrets(caged: Audited, site: Site) -> None:
    """Over all tests of this file: no list, no watch, and get only where a Role gives it."""
    got = {
        (each.namespace, each.name)
        for each in caged.audit.of(OPERATOR)
        if each.resource == "secrets" and each.verb in ("get", "list", "watch")
        if each.namespace != "keyturn-jobs" and each.status < 400
    }
    listed = [
        each
        for each in caged.audit.of(OPERATOR)
        if each.resource == "secrets" and each.verb in ("list", "watch")
        if each.namespace != "keyturn-jobs"
    ]

    assert not listed
    assert {name for place, name in got if place == "keyturn-system"} == {"keyturn-default-key"}
    assert {name for place, name in got if re.match("test-", place)} <= {"stripe", "admin"}
