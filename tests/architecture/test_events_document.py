"""What docs/events.md says of events is so: its examples are made anew, its numbers compared."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from documents import code, document
from keyturn.domain.duration import format_duration
from keyturn.domain.rotation import Cause
from keyturn.domain.rotation_event import EventKind, RotationEvent
from keyturn.domain.secret import SecretName
from keyturn.domain.webhook_signature import LEAST_KEY_BYTES
from keyturn.kube.kubernetes_events import _ROTATION_TEXTS
from keyturn.notifications import bodies, sink
from keyturn.notifications.bodies import Format, body_of
from keyturn.services.rotation import delivering

PAGE = document("docs/events.md")
CLUSTER = "5f8b1c9e-0d3a-4f8e-9a53-0c1f5f1d2b77"
EVENT = RotationEvent(
    id=UUID("3dbc61a7-5f6f-5d6f-b0ab-5f2a8f2b3c11"),
    kind=EventKind.FAILED,
    time=datetime(2026, 9, 12, 1, 3, 20, 125000, tzinfo=UTC),
    secret_id=UUID("0b5f9c1e-8f4c-4b62-9d4e-6a3d1c2b7f00"),
    name=SecretName("shop", "orders-db"),
    resource_uid="b1f7a3a4-6b0c-4f5e-8f0e-2d9c1e7a5b30",
    rotation_id=UUID("f3a1d7c2-2b6e-4d5f-9a0c-7e1b3c5d9f21"),
    version=7,
    cause="Request",
    requested_by="jo",
    step="setPending",
    code="TargetRefused",
)


def sent(form: Format) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(body_of(form, EVENT, CLUSTER).content)
    return content


def test_the_bodies_on_the_page_are_those_that_are_sent() -> None:
    cloud_event, service_event, notification = map(json.loads, PAGE.blocks("json"))

    assert cloud_event == sent(Format.CLOUDEVENTS)
    assert service_event == sent(Format.EVENTBRIDGE)
    message = sent(Format.SNS)["Message"]
    assert notification["Message"].removesuffix(", …}") == message[: len('{"version":"0"')]
    assert {**notification, "Message": message} == sent(Format.SNS)


def test_the_page_tells_of_each_event() -> None:
    rows = PAGE.rows("## What is told")

    assert {code(row[0]): code(row[1]) for row in rows} == {
        kind.value: type_ for kind, type_ in bodies._TYPES.items()
    }


def test_the_texts_in_the_cluster_are_those_that_are_posted() -> None:
    (listing,) = PAGE.blocks("console")

    for kind in (EventKind.STARTED, EventKind.SUCCEEDED):
        assert _ROTATION_TEXTS[kind][1].format(version=7) in listing


def test_the_page_tells_of_each_cause() -> None:
    told = next(row[1] for row in PAGE.rows("## CloudEvents") if row[0] == "`rotation.cause`")

    assert told.replace("`", "").replace(" or ", ", ").split(", ") == [each.value for each in Cause]


def test_the_page_tells_of_each_form() -> None:
    told = {code(row[0]): row[1] for row in PAGE.rows("## To an endpoint")}

    assert all(f"`{form.value}`" in told["KEYTURN_EVENTS_FORMAT"] for form in Format)


def test_the_numbers_of_the_page_are_those_of_the_code() -> None:
    waits, aside = (row[1] for row in PAGE.rows("## What you can rely on")[1:])
    first, last = int(delivering.FIRST_PAUSE), int(delivering.LAST_PAUSE)

    assert f"in {int(sink.DEADLINE)} s" in PAGE.prose
    assert f"from {first} s to {last} s" in waits
    assert f"After {delivering.UNDELIVERED_FOR.days} days" in waits
    assert f"every {format_duration(delivering.ASIDE).replace('m', ' min')}" in aside
    assert f"after {delivering.REFUSALS_IN_A_ROW} refusals" in aside
    assert f"refused for {delivering.REFUSED_FOR.days} day " in aside
    assert f"at least {LEAST_KEY_BYTES} random bytes" in PAGE.prose


def test_the_statuses_of_the_page_are_those_that_are_tried_again() -> None:
    waits = PAGE.rows("## What you can rely on")[1][0]

    assert f"5xx, {', '.join(str(int(status)) for status in sink._LATER)} or" in waits
