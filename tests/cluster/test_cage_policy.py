"""The cage: of all Secrets, the operator's identity writes, and so reads by a write, only its own.

Each request is sent by hand with a token of the operator's ServiceAccount, as somebody would who
had taken over its pod. What its own code would never send counts too.
"""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from apiserver import APPLY_PATCH, MERGE_PATCH, Answer, Apiserver, core
from canary import Canary
from cluster.people import a_secret

JSON_PATCH = "application/json-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"

SECRET_ID = "6f0f33f5-5a0b-4c63-8a3c-2b8b1f1f0c11"
MANAGER = f"keyturn-{SECRET_ID}"
MARKS = {"keyturn.dev/managed": "true", "keyturn.dev/secret-id": SECRET_ID}
MERGED = {"keyturn.dev/managed": "merge"}
FOR_A_JOB = {"keyturn.dev/managed": "job"}

CAGE = "ValidatingAdmissionPolicy 'keyturn-cage'"
ALLOW = "keyturn.dev/allow"

Foreign = Callable[..., str]


@pytest.fixture(autouse=True)
def both_policies(enforced: None) -> None:
    """No request is sent before the policies are enforced."""


@pytest.fixture
def operator(operator_identity: Apiserver) -> Apiserver:
    return operator_identity


@pytest.fixture
def foreign(apiserver: Apiserver, namespace: str, canary: Canary) -> Foreign:
    """Make a Secret of somebody else, `theirs`, with the key `token`; return its path."""

    def make(**more: Any) -> str:
        data = {"token": encoded(canary.make())}
        body = a_secret("theirs", data=data, **more)
        made = apiserver.request("POST", core("secrets", namespace), body, fieldManager="them")
        assert made.is_ok, made.message
        return core("secrets", namespace, "theirs")

    return make


@pytest.fixture
def ours(operator: Apiserver, namespace: str) -> str:
    """Let the operator make a Secret of its own, as its code does; return its path."""
    body = a_secret("ours", labels=MARKS, data={"password": encoded(b"made")}, type="Opaque")
    path = core("secrets", namespace)
    made = operator.request("POST", path, body, fieldManager=MANAGER)
    assert made.is_ok, made.message
    return f"{path}/ours"


def encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def owner(name: str, kind: str = "ManagedSecret") -> dict[str, str]:
    return {"apiVersion": "keyturn.dev/v1alpha1", "kind": kind, "name": name, "uid": "6b1f"}


def applied(name: str, **more: Any) -> dict[str, Any]:
    return a_secret(name, **{"labels": MARKS, "type": "Opaque", **more})


def refusal(answer: Answer, canary: Canary) -> str:
    """Return why the cage refused, and see to it that the answer shows nothing."""
    assert answer.is_forbidden, answer.status
    assert CAGE in answer.message
    assert canary.scan_text(json.dumps(answer.body)) == []
    return answer.message


LOGIN = {"kubernetes.io/service-account.name": "default"}

CREATED = {
    "without our labels": ("shop", a_secret()),
    "with one of two labels": ("shop", a_secret(labels={"keyturn.dev/managed": "true"})),
    "with the other label": ("shop", a_secret(labels={"keyturn.dev/secret-id": SECRET_ID})),
    "with the mark of a merge": ("shop", a_secret(labels=MERGED)),
    "with an id that is none": ("shop", a_secret(labels={**MARKS, "keyturn.dev/secret-id": "x"})),
    "a login of a ServiceAccount": (
        "shop",
        applied("db", type="kubernetes.io/service-account-token", annotations=LOGIN),
    ),
    "a login of a new node": ("shop", applied("db", type="bootstrap.kubernetes.io/token")),
    "a record of Helm": ("shop", applied("db", type="helm.sh/release.v1")),
    "in kube-system": ("kube-system", applied("db")),
    "in kube-public": ("kube-public", applied("db")),
    "in kube-node-lease": ("kube-node-lease", applied("db")),
    "in the operator's namespace": ("keyturn-system", applied("db")),
    "a second key in the operator's namespace": ("keyturn-system", a_secret("keyturn-other-key")),
    "a key of another type": ("keyturn-system", a_secret("keyturn-default-key", type="x/y")),
    "a key in another namespace": ("shop", a_secret("keyturn-default-key")),
    "where Jobs run, as for a ManagedSecret": ("keyturn-jobs", applied("db")),
    "where Jobs run, without our label": ("keyturn-jobs", a_secret()),
    "for a Job that is a login": (
        "keyturn-jobs",
        a_secret(labels=FOR_A_JOB, type="kubernetes.io/service-account-token", annotations=LOGIN),
    ),
    "for a Job that runs nowhere": ("shop", a_secret(labels=FOR_A_JOB)),
}


# Once an operator ran here its key exists, and an apply is a change of that.
APPLIED = {name: case for name, case in CREATED.items() if name != "a key of another type"}


@pytest.mark.parametrize(
    ("how", "place", "body"),
    [
        pytest.param(how, *case, id=f"{how}-{name}")
        for how, cases in (("created", CREATED), ("applied", APPLIED))
        for name, case in cases.items()
    ],
)
def test_refuses_to_create(
    operator: Apiserver,
    namespace: str,
    canary: Canary,
    how: str,
    place: str,
    body: dict[str, Any],
) -> None:
    path = core("secrets", namespace if place == "shop" else place)

    if how == "created":
        answer = operator.request("POST", path, body, dryRun="All")
    else:
        name = body["metadata"]["name"]
        answer = operator.request(
            "PATCH", f"{path}/{name}", body, patch=APPLY_PATCH, fieldManager="x", dryRun="All"
        )

    assert refusal(answer, canary)


OWN = {
    "opaque": applied("db"),
    "of another type": applied(
        "db", type="kubernetes.io/basic-auth", stringData={"username": "orders"}
    ),
    "of a type of the owner's own": applied("db", type="example.com/license"),
    "with an owner": applied("db", ownerReferences=[owner("db")]),
}


@pytest.mark.parametrize("body", OWN.values(), ids=OWN.keys())
def test_lets_the_operator_create(
    operator: Apiserver, namespace: str, body: dict[str, Any]
) -> None:
    answer = operator.request("POST", core("secrets", namespace), body)

    assert answer.is_ok, answer.message


def test_lets_the_operator_make_its_key_and_never_change_it(
    operator: Apiserver, apiserver: Apiserver, canary: Canary
) -> None:
    path, name = core("secrets", "keyturn-system"), "keyturn-default-key"
    immutable = a_secret(name, type="Opaque", immutable=True)

    # An operator that runs beside this test may have made it already.
    made = operator.request("POST", path, immutable)
    patched = operator.request("PATCH", f"{path}/{name}", {}, dryRun="All")
    deleted = operator.request("DELETE", f"{path}/{name}", dryRun="All")
    if made.is_ok:
        apiserver.request("DELETE", f"{path}/{name}")

    assert made.is_ok or made.body["reason"] == "AlreadyExists"
    assert refusal(patched, canary)
    assert refusal(deleted, canary)


FORGED = [
    {
        "manager": MANAGER,
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:type": {}, "f:data": {"f:token": {}}},
    }
]

CHANGES: dict[str, tuple[str, Any]] = {
    "an empty merge patch": (MERGE_PATCH, {}),
    "an empty strategic patch": (STRATEGIC_PATCH, {}),
    "an empty JSON patch": (JSON_PATCH, []),
    "an empty apply": (APPLY_PATCH, a_secret("theirs")),
    "an apply as if it were ours": (APPLY_PATCH, applied("theirs")),
    "an apply with an owner": (
        APPLY_PATCH,
        applied("theirs", ownerReferences=[owner("theirs")]),
    ),
    "our labels": (MERGE_PATCH, {"metadata": {"labels": MARKS}}),
    "the mark of a merge": (MERGE_PATCH, {"metadata": {"labels": MERGED}}),
    "a key beside theirs": (MERGE_PATCH, {"data": {"more": ""}, "metadata": {"labels": MERGED}}),
    "consent that the operator gives itself": (
        MERGE_PATCH,
        {"metadata": {"labels": MARKS, "annotations": {ALLOW: "theirs"}}},
    ),
    "consent alone": (MERGE_PATCH, {"metadata": {"annotations": {ALLOW: "theirs"}}}),
    "a forged history of its fields": (
        MERGE_PATCH,
        {"metadata": {"labels": MARKS, "managedFields": FORGED}},
    ),
    "a finalizer": (MERGE_PATCH, {"metadata": {"finalizers": ["example.com/hold"]}}),
}


@pytest.mark.parametrize("dry_run", [True, False], ids=["as a dry run", "in earnest"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_refuses_to_touch_a_secret_of_somebody_else(
    apiserver: Apiserver,
    operator: Apiserver,
    foreign: Foreign,
    canary: Canary,
    change: tuple[str, Any],
    dry_run: bool,
) -> None:
    path = foreign()
    kind, body = change
    before = apiserver.request("GET", path).body
    query = {"dryRun": "All"} if dry_run else {}
    query |= {"fieldManager": MANAGER, "force": "true"} if kind == APPLY_PATCH else {}

    answer = operator.request("PATCH", path, body, patch=kind, **query)

    assert refusal(answer, canary)
    assert apiserver.request("GET", path).body == before


def test_without_the_cage_an_empty_patch_would_show_the_secret(
    apiserver: Apiserver, foreign: Foreign, canary: Canary
) -> None:
    path = foreign()

    answer = apiserver.request("PATCH", path, {}, dryRun="All")

    assert canary.scan_text(json.dumps(answer.body)) != []


CONSENTS = {
    "one name": ("db", [owner("db")], True),
    "the name among others": ("other, db", [owner("db")], True),
    "a name, and nobody is to own it": ("db", [], True),
    "another name": ("other", [owner("db")], False),
    "a longer name": ("db-2", [owner("db")], False),
    "one of two owners": ("db", [owner("db"), {**owner("other"), "uid": "7c20"}], False),
    "no name": ("", [owner("db")], False),
    "only commas": (" , ,", [], False),
}


@pytest.mark.parametrize(("consent", "owners", "is_let"), CONSENTS.values(), ids=CONSENTS.keys())
def test_a_secret_is_taken_over_as_its_owner_consents(
    operator: Apiserver,
    foreign: Foreign,
    canary: Canary,
    consent: str,
    owners: list[dict[str, str]],
    is_let: bool,
) -> None:
    path = foreign(annotations={ALLOW: consent})

    answer = operator.apply(path, applied("theirs", ownerReferences=owners), manager=MANAGER)

    assert answer.is_ok == is_let, answer.message
    assert is_let or "its owner lets a ManagedSecret take it over" in refusal(answer, canary)


def test_a_takeover_needs_the_id_of_a_secret(
    operator: Apiserver, foreign: Foreign, canary: Canary
) -> None:
    path = foreign(annotations={ALLOW: "db"})
    unnamed = applied("theirs", labels={"keyturn.dev/managed": "true"})

    answer = operator.apply(path, unnamed, manager=MANAGER)

    assert refusal(answer, canary)


@pytest.mark.parametrize(
    "kind", ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token", "helm.sh/x"]
)
def test_consent_opens_no_secret_that_gives_rights(
    operator: Apiserver, foreign: Foreign, canary: Canary, kind: str
) -> None:
    path = foreign(annotations={ALLOW: "db", **LOGIN}, type=kind)

    merged = operator.apply(path, a_secret("theirs", labels=MERGED), manager=MANAGER)
    taken = operator.apply(path, applied("theirs", type=kind), manager=MANAGER)

    assert "logins to the cluster or records of Helm" in refusal(merged, canary)
    assert "logins to the cluster or records of Helm" in refusal(taken, canary)


THEIR_OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "6b1f"}

MERGES: dict[str, tuple[dict[str, Any], bool]] = {
    "a new key": (a_secret("theirs", data={"password": ""}), True),
    "a new key and metadata of its own": (
        a_secret("theirs", annotations={"example.com/by": "us"}, data={"password": ""}),
        True,
    ),
    "nothing but the mark": (a_secret("theirs"), True),
    "a key that is theirs": (a_secret("theirs", data={"token": ""}), False),
    "a label that is theirs": (a_secret("theirs", labels={"team": "us"}), False),
    "an annotation that is theirs": (
        a_secret("theirs", annotations={"example.com/note": "ours"}),
        False,
    ),
    "the consent itself": (a_secret("theirs", annotations={ALLOW: "db,other"}), False),
    "an owner": (a_secret("theirs", ownerReferences=[owner("db")]), False),
    "a finalizer": (a_secret("theirs", finalizers=["example.com/hold"]), False),
    "immutability": (a_secret("theirs", immutable=True), False),
    "the id of a secret": (
        a_secret("theirs", labels={"keyturn.dev/secret-id": SECRET_ID}),
        False,
    ),
}


@pytest.mark.parametrize(("body", "is_let"), MERGES.values(), ids=MERGES.keys())
def test_merging_writes_what_is_not_theirs(
    operator: Apiserver, foreign: Foreign, canary: Canary, body: dict[str, Any], is_let: bool
) -> None:
    path = foreign(annotations={ALLOW: "db", "example.com/note": "theirs"}, labels={"team": "them"})
    labels = {**MERGED, **body["metadata"].get("labels", {})}
    merging = {**body, "metadata": {**body["metadata"], "labels": labels}}

    answer = operator.apply(path, merging, manager=MANAGER)

    assert answer.is_ok == is_let, answer.message
    assert is_let or refusal(answer, canary)


def test_merging_needs_its_mark(operator: Apiserver, foreign: Foreign, canary: Canary) -> None:
    path = foreign(annotations={ALLOW: "db"})

    answer = operator.apply(path, a_secret("theirs", data={"password": ""}), manager=MANAGER)

    assert "write keys into it by the annotation" in refusal(answer, canary)


def test_keys_that_were_merged_are_changed_and_taken_back(
    operator: Apiserver, foreign: Foreign
) -> None:
    path = foreign(annotations={ALLOW: "db"})
    first = a_secret("theirs", labels=MERGED, data={"password": encoded(b"1")})
    second = a_secret("theirs", labels=MERGED, data={"password": encoded(b"2")})
    assert operator.apply(path, first, manager=MANAGER).is_ok

    changed = operator.apply(path, second, manager=MANAGER)
    taken_back = operator.apply(path, a_secret("theirs"), manager=MANAGER)

    assert changed.is_ok, changed.message
    assert taken_back.is_ok, taken_back.message
    assert set(taken_back.body["data"]) == {"token"}
    assert "labels" not in taken_back.body["metadata"]


def test_a_secret_that_was_merged_into_is_not_deleted(
    operator: Apiserver, foreign: Foreign, canary: Canary
) -> None:
    path = foreign(annotations={ALLOW: "db"})
    merging = a_secret("theirs", labels=MERGED, data={"password": ""})
    assert operator.apply(path, merging, manager=MANAGER).is_ok

    answer = operator.request("DELETE", path)

    assert "deletes only Secrets that it made" in refusal(answer, canary)


def test_merging_is_no_way_to_take_over_after_consent_was_withdrawn(
    apiserver: Apiserver, operator: Apiserver, foreign: Foreign, canary: Canary
) -> None:
    path = foreign(annotations={ALLOW: "db"})
    claiming = a_secret("theirs", labels=MERGED, type="Opaque")
    operator.apply(path, claiming, manager=MANAGER)
    apiserver.request("PATCH", path, {"metadata": {"annotations": {ALLOW: None}}})
    operator.request("PATCH", path, {"metadata": {"labels": {"keyturn.dev/managed": None}}})

    answer = operator.apply(path, applied("theirs", data={"token": ""}), manager=MANAGER)

    assert refusal(answer, canary)


def test_deletes_no_secret_of_somebody_else(
    operator: Apiserver, foreign: Foreign, canary: Canary
) -> None:
    path = foreign(annotations={ALLOW: "db"})

    assert refusal(operator.request("DELETE", path), canary)
    assert refusal(operator.request("DELETE", path, dryRun="All"), canary)


def test_its_own_are_changed_and_deleted(operator: Apiserver, ours: str) -> None:
    body = applied("ours", data={"password": encoded(b"changed")})

    changed = operator.apply(ours, body, manager=MANAGER)
    deleted = operator.request("DELETE", ours)

    assert changed.is_ok, changed.message
    assert deleted.is_ok, deleted.message


@pytest.mark.parametrize("label", MARKS)
def test_its_own_keep_their_labels(
    operator: Apiserver, ours: str, canary: Canary, label: str
) -> None:
    answer = operator.request("PATCH", ours, {"metadata": {"labels": {label: None}}})

    assert "Keyturn keeps the labels" in refusal(answer, canary)


def test_labels_that_somebody_took_off_are_put_back(
    apiserver: Apiserver, operator: Apiserver, ours: str
) -> None:
    without = {"metadata": {"labels": dict.fromkeys(MARKS)}}
    assert apiserver.request("PATCH", ours, without).is_ok

    answer = operator.request("PATCH", ours, {"metadata": {"labels": MARKS}})

    assert answer.is_ok, answer.message


def test_its_own_without_labels_can_go(
    apiserver: Apiserver, operator: Apiserver, ours: str
) -> None:
    without = {"metadata": {"labels": dict.fromkeys(MARKS)}}
    assert apiserver.request("PATCH", ours, without).is_ok

    answer = operator.request("DELETE", ours)

    assert answer.is_ok, answer.message


def test_nobody_else_is_caged(apiserver: Apiserver, foreign: Foreign) -> None:
    path = foreign()
    administrator = apiserver.as_user("somebody", "system:masters")

    answer = administrator.request("PATCH", path, {"metadata": {"labels": {"team": "them"}}})

    assert answer.is_ok, answer.message


# Where Jobs run


def test_a_secret_for_a_job_is_made_and_deleted_and_never_changed(
    operator: Apiserver, canary: Canary
) -> None:
    body = a_secret(f"step-{SECRET_ID}", labels=FOR_A_JOB, type="Opaque")
    path = core("secrets", "keyturn-jobs")

    made = operator.request("POST", path, body)
    changed = operator.request("PATCH", f"{path}/step-{SECRET_ID}", {"data": {}})
    deleted = operator.request("DELETE", f"{path}/step-{SECRET_ID}")

    assert made.is_ok, made.message
    assert deleted.is_ok, deleted.message
    assert "Secrets for Jobs in keyturn-jobs" in refusal(changed, canary)


def test_a_secret_of_somebody_else_where_jobs_run_is_left_alone(
    apiserver: Apiserver, operator: Apiserver, canary: Canary
) -> None:
    token = encoded(canary.make())
    made = apiserver.request(
        "POST", core("secrets", "keyturn-jobs"), a_secret("registry", data={"token": token})
    )
    assert made.is_ok, made.message
    path = core("secrets", "keyturn-jobs", "registry")

    taken = operator.request("PATCH", path, {"metadata": {"labels": FOR_A_JOB}})
    deleted = operator.request("DELETE", path)
    apiserver.request("DELETE", path)

    assert "keyturn-jobs" in refusal(taken, canary)
    assert "keyturn-jobs" in refusal(deleted, canary)


def test_the_consent_to_a_rotator_opens_nothing_to_a_write(
    operator: Apiserver, foreign: Foreign, canary: Canary
) -> None:
    path = foreign(annotations={ALLOW: "rotator/main, clusterrotator/main"})

    answer = operator.request("PATCH", path, {"metadata": {"labels": MARKS}})

    assert "belongs to somebody else" in refusal(answer, canary)
