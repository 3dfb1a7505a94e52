from datetime import timedelta
from typing import Any

import pytest

from keyturn.domain.consumers_spec import Action, ConsumersSpec, OnFailure, Reload, Window
from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.rotation import Timing
from keyturn.kube.consumers_spec import consumers_of
from keyturn.kube.resource_schema import Consumers

CALL = {"url": "http://{podIP}:8080/-/reload"}
NIGHT = {"schedule": "0 2 * * *", "duration": "2h"}


def consumers(**written: Any) -> ConsumersSpec:
    return consumers_of(Consumers.model_validate(written), "shop")


def test_what_is_left_out_has_its_default() -> None:
    assert consumers(action="Restart") == ConsumersSpec(
        action=Action.RESTART,
        coalesce=timedelta(seconds=10),
        progress_deadline=timedelta(minutes=10),
        on_failure=OnFailure.REPORT,
        window=None,
        reload=None,
    )


def test_what_the_author_wrote_is_read() -> None:
    written = consumers(
        action="Restart",
        coalesce="2m",
        progressDeadline="5m",
        onFailure="Rollback",
        window={**NIGHT, "timeZone": "Europe/Berlin"},
    )

    assert written == ConsumersSpec(
        action=Action.RESTART,
        coalesce=timedelta(minutes=2),
        progress_deadline=timedelta(minutes=5),
        on_failure=OnFailure.ROLLBACK,
        window=Window(Timing("0 2 * * *", time_zone="Europe/Berlin"), timedelta(hours=2)),
    )


@pytest.mark.parametrize(
    ("url", "is_per_pod"),
    [
        ("http://{podIP}:8080/-/reload", True),
        ("https://web.shop.svc", False),
        ("https://web.shop.svc.cluster.local:8443/a?b=c", False),
    ],
)
def test_a_call_goes_to_a_service_of_the_namespace_or_to_pods(url: str, is_per_pod: bool) -> None:
    written = consumers(action="Reload", reload={"url": url}).reload

    assert written == Reload(url, "POST")
    assert written.is_per_pod is is_per_pod


@pytest.mark.parametrize(
    ("written", "what"),
    [
        ({"action": "Reload"}, "spec.consumers.reload belongs to action Reload; write both"),
        (
            {"action": "Reload", "reload": {**CALL, "delay": "61m"}},
            "spec.consumers.reload.delay is out of bounds; write 0s to 1h",
        ),
        ({"action": "None", "reload": CALL}, "spec.consumers.reload belongs to action Reload"),
        (
            {"action": "None", "onFailure": "Rollback"},
            "spec.consumers.onFailure can be Rollback only with action Restart",
        ),
        (
            {"action": "None", "progressDeadline": "5m"},
            "spec.consumers.progressDeadline is that of action Restart; leave it out",
        ),
        ({"action": "None", "window": NIGHT}, "spec.consumers does nothing with action None"),
        ({"action": "None", "coalesce": "9s"}, "spec.consumers does nothing with action None"),
        (
            {"action": "Restart", "coalesce": "4s"},
            "spec.consumers.coalesce is out of bounds; write 5s to 1h",
        ),
        (
            {"action": "Restart", "progressDeadline": "25h"},
            "spec.consumers.progressDeadline is out of bounds; write 10s to 1d",
        ),
        (
            {"action": "Restart", "window": {**NIGHT, "duration": "8d"}},
            "spec.consumers.window.duration is out of bounds; write 5m to 7d",
        ),
        (
            {"action": "Restart", "window": {**NIGHT, "schedule": "nightly"}},
            "spec.consumers.window.schedule has 1 fields",
        ),
        (
            {"action": "Restart", "window": {**NIGHT, "schedule": "rate(1 day)"}},
            "spec.consumers.window.schedule is a cron expression; write for example 0 2",
        ),
        (
            {"action": "Restart", "window": {**NIGHT, "timeZone": "Mars/Olympus"}},
            "spec.consumers.window.timeZone is no time zone",
        ),
        (
            {"action": "Reload", "reload": {"url": "http://web.bank.svc/"}},
            "spec.consumers.reload.url names another namespace; only Services of shop can be",
        ),
        (
            {"action": "Reload", "reload": {"url": "http://example.com/"}},
            "spec.consumers.reload.url is no address of a Service or pod",
        ),
        (
            {"action": "Reload", "reload": {"url": "http://{podIP}.example.com/"}},
            "spec.consumers.reload.url is no address of a Service or pod",
        ),
        (
            {"action": "Reload", "reload": {"url": "http://web.shop.svc@example.com/"}},
            "spec.consumers.reload.url is no address of a Service or pod",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(written: dict[str, Any], what: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        consumers(**written)

    assert caught.value.message.startswith(what)
