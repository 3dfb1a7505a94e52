"""The annotations of Stakater's Reloader, as Reloader 1.4 means them."""

import time
from collections.abc import Mapping

import pytest

from keyturn.domain.consumers import Workload, WorkloadRef
from keyturn.domain.reloader import Note, is_opted_in, is_restarted_by_reloader, note_of

DOMAIN = "reloader.stakater.com"


def a_workload(
    annotations: Mapping[str, str] | None = None,
    template: Mapping[str, str] | None = None,
    variables: frozenset[str] = frozenset(),
) -> Workload:
    return Workload(
        WorkloadRef("Deployment", "web"),
        "uid",
        "7",
        annotations=annotations or {},
        template_annotations=template or {},
        template_env_names=variables,
    )


@pytest.mark.parametrize(
    ("annotations", "note", "asks"),
    [
        ({}, None, False),
        ({f"{DOMAIN}/auto": "true"}, None, True),
        ({f"{DOMAIN}/auto": "false"}, None, False),
        ({f"{DOMAIN}/auto": "True"}, None, False),
        ({f"secret.{DOMAIN}/auto": "true"}, None, True),
        ({f"configmap.{DOMAIN}/auto": "true"}, None, False),
        ({f"secret.{DOMAIN}/reload": "db"}, None, True),
        ({f"secret.{DOMAIN}/reload": "cache, db ,"}, None, True),
        ({f"secret.{DOMAIN}/reload": "dbx"}, None, False),
        ({f"secret.{DOMAIN}/reload": "d.*"}, None, True),
        ({f"secret.{DOMAIN}/reload": "d."}, None, True),
        ({f"secret.{DOMAIN}/reload": "d"}, None, False),
        ({f"secret.{DOMAIN}/reload": ""}, None, False),
        ({f"configmap.{DOMAIN}/reload": "db"}, None, False),
        ({f"{DOMAIN}/search": "true"}, Note.MATCH, True),
        ({f"{DOMAIN}/search": "true"}, None, False),
        ({f"{DOMAIN}/auto": "true"}, Note.MATCH, True),
        ({f"{DOMAIN}/auto": "true"}, Note.IGNORE, False),
        ({f"secret.{DOMAIN}/reload": "db"}, Note.IGNORE, False),
        ({f"{DOMAIN}/auto": "true", f"secrets.exclude.{DOMAIN}/reload": "x,db"}, None, False),
        ({f"{DOMAIN}/auto": "true", f"secrets.exclude.{DOMAIN}/reload": "x"}, None, True),
        ({f"{DOMAIN}/auto": "false", f"secret.{DOMAIN}/reload": "db"}, None, True),
    ],
)
def test_a_workload_asks_by_annotations(
    annotations: dict[str, str], note: Note | None, asks: bool
) -> None:
    assert is_opted_in(a_workload(annotations), "db", note) == asks
    assert is_opted_in(a_workload(template=annotations), "db", note) == asks


def test_the_template_is_read_only_where_the_workload_says_nothing() -> None:
    asks, declines = {f"{DOMAIN}/auto": "true"}, {f"{DOMAIN}/auto": "false"}

    assert not is_opted_in(a_workload(declines, asks), "db", None)
    assert is_opted_in(a_workload(asks, declines), "db", None)
    assert is_opted_in(a_workload({"other": "x"}, asks), "db", None)


def test_no_expression_keeps_the_operator_busy() -> None:
    name, began = "a" * 253, time.monotonic()

    for hostile in ("(a+)+b", ".*" * 120 + "b", "(.*)*b", "[", "a{1,99999}", "\\"):
        assert not is_opted_in(a_workload({f"secret.{DOMAIN}/reload": hostile}), name, None)

    assert time.monotonic() - began < 10


def test_what_a_secret_says() -> None:
    assert note_of({f"{DOMAIN}/match": "true"}) is Note.MATCH
    assert note_of({f"{DOMAIN}/match": "true", f"{DOMAIN}/ignore": "true"}) is Note.IGNORE
    assert note_of({f"{DOMAIN}/match": "yes"}) is None


def test_the_traces_of_reloader() -> None:
    by_variable = a_workload(variables=frozenset({"STAKATER_MY_DB_V2_SECRET"}))
    by_annotation = a_workload(template={f"{DOMAIN}/last-reloaded-from": "{}"})

    assert is_restarted_by_reloader(by_variable, "my.db-v2")
    assert not is_restarted_by_reloader(by_variable, "my-db")
    assert is_restarted_by_reloader(by_annotation, "any")
    assert not is_restarted_by_reloader(a_workload(), "my-db")
