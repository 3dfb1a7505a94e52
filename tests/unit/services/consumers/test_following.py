"""Whose rollout is told to have failed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from keyturn.domain.consumers import Inventory, Spell, Via, Workload, WorkloadRef
from keyturn.domain.errors import ClusterUnavailableError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.restart_marks import annotation_key
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.kube.resources import parse
from keyturn.services.consumers.acting import NOTHING, Acted
from keyturn.services.consumers.following import UNKNOWN, FollowedConsumers
from keyturn.services.consumers.interest import Interest
from keyturn.services.consumers.inventory import View

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WEB = WorkloadRef("Deployment", "web")
ILL = Workload(
    WEB,
    "u",
    "1",
    template_annotations={annotation_key("db"): "2"},
    uses={"db": frozenset({Via.ENV})},
    is_rolled_out=False,
)
SECRET = Secret(UUID(int=1), "u", SecretName("shop", "db"), "u", NOW, Stages({Stage.CURRENT: 2}))
RESOURCE = parse(
    {
        "metadata": {"name": "db", "namespace": "shop", "uid": "u", "generation": 1},
        "spec": {
            "data": [{"key": "password", "generate": {"password": {}}}],
            "consumers": {"action": "Restart"},
        },
    },
    outputs_of=lambda _, key, __: {"password": key},
)


class Around:
    """Consumers as they are found, and nothing that is done about them."""

    def __init__(self, workload: Workload, error: Exception | None = None) -> None:
        self._workload = workload
        self._error = error

    async def look(self, *_: object, **__: object) -> View:
        if self._error is not None:
            raise self._error
        spells = (Spell("db", 1, NOW), Spell("db", 2, NOW))
        return View(frozenset({"db"}), spells, Inventory("shop", (), (self._workload,)))

    def asks(self, resource: ManagedSecret) -> bool:
        return True

    async def act(self, *_: object) -> Acted:
        return NOTHING


async def reason(workload: Workload, unwell: tuple[WorkloadRef, ...] = ()) -> str:
    around = cast("Any", Around(workload))
    followed = FollowedConsumers(around, Interest(), lambda *_: None, around)
    report = await followed.report(RESOURCE, SECRET, unwell)
    assert report is not None
    return report.condition[1]


@pytest.mark.parametrize(
    ("workload", "unwell", "expected"),
    [
        (ILL, (WEB,), "RolloutFailed"),
        (replace(ILL, has_failed=True), (), "RolloutFailed"),
        # It takes its time, got well, or was not restarted for this version
        (ILL, (), "AllMoved"),
        (replace(ILL, is_rolled_out=True), (WEB,), "AllMoved"),
        (replace(ILL, has_failed=True, template_annotations={}), (WEB,), "AllMoved"),
    ],
)
async def test_who_did_not_become_healthy_is_told(
    workload: Workload, unwell: tuple[WorkloadRef, ...], expected: str
) -> None:
    assert await reason(workload, unwell) == expected


async def test_an_apiserver_that_does_not_answer_leaves_them_unknown_for_a_minute() -> None:
    """The rest of the status is written all the same: a list of pods is the heaviest request."""
    error = ClusterUnavailableError("the apiserver answers 429 (TooManyRequests)")
    around, later = cast("Any", Around(ILL, error)), list[tuple[float, SecretName]]()
    followed = FollowedConsumers(
        around, Interest(), lambda seconds, name: later.append((seconds, name)), around
    )

    report = await followed.report(RESOURCE, SECRET)

    assert report is not None
    assert report.fields is None
    assert report.condition == ("Unknown", "ConsumersUnknown", error.message)
    assert later == [(UNKNOWN, RESOURCE.name)]
