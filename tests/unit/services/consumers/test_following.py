"""Whose rollout is told to have failed."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from keyturn.domain.consumers import Inventory, Spell, Via, Workload, WorkloadRef
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.restart_marks import annotation_key
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.kube.resources import parse
from keyturn.services.consumers.acting import NOTHING, Acted
from keyturn.services.consumers.following import FollowedConsumers
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

    def __init__(self, view: View) -> None:
        self._view = view

    async def look(self, *_: object, **__: object) -> View:
        return self._view

    def asks(self, resource: ManagedSecret) -> bool:
        return True

    async def act(self, *_: object) -> Acted:
        return NOTHING


async def reason(workload: Workload, unwell: tuple[WorkloadRef, ...] = ()) -> str:
    spells = (Spell("db", 1, NOW), Spell("db", 2, NOW))
    view = View(frozenset({"db"}), spells, Inventory("shop", (), (workload,)))
    around = cast("Any", Around(view))
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


async def test_who_could_not_be_seen_is_looked_at_again_after_the_rest() -> None:
    view = View(frozenset({"db"}), (), why="the apiserver does not answer", rest=10.0)
    around, later = cast("Any", Around(view)), list[tuple[float, SecretName]]()
    followed = FollowedConsumers(
        around, Interest(), lambda seconds, name: later.append((seconds, name)), around
    )

    report = await followed.report(RESOURCE, SECRET)

    assert report is not None
    assert report.fields is None
    assert report.condition == ("Unknown", "ConsumersUnknown", view.why)
    assert later == [(10.0, RESOURCE.name)]
