"""docs/rotators-webhook.md and docs/rotators-job.md say what these rotators do."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from documents import Document, code, document
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.domain.rotation_job import REFUSED_EXIT_CODE, JobResult, RotationJob
from keyturn.domain.webhook_signature import LEAST_KEY_BYTES
from keyturn.kube.job_bodies import ACT, KEPT_SECONDS
from keyturn.rotators.delegation import FIELDS
from keyturn.rotators.interface import Credential, Rotator, Target
from keyturn.rotators.job.pod import DEFAULT_DEADLINE, MAX_DEADLINE
from keyturn.rotators.job.rotator import JobRotator
from keyturn.rotators.webhook.rotator import WebhookRotator
from keyturn.testing.rotators import order_of

PAGES: Mapping[str, tuple[Document, Rotator]] = {
    "webhook": (document("docs/rotators-webhook.md"), WebhookRotator()),
    "job": (document("docs/rotators-job.md"), JobRotator()),
}
NEEDED: Mapping[str, Mapping[str, Any]] = {
    "webhook": {"url": "https://rotate.example.com/"},
    "job": {"image": "python:3-slim"},
}
every_page = pytest.mark.parametrize("name", sorted(PAGES))


def rows(name: str) -> dict[str, str]:
    """The fields of the table of parameters, with their defaults."""
    table = PAGES[name][0].rows("## Parameters")
    return {field: row[1] for row in table for field in re.findall(r"`([^`]+)`", row[0])}


@every_page
def test_the_page_has_each_parameter_that_is_known(name: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        PAGES[name][1].check({"unheardOf": 1})

    known = set(refused.value.message.partition("write one of ")[2].split(", "))
    assert {field.partition(".")[0] for field in rows(name)} == known
    assert set(FIELDS) <= known


@every_page
def test_a_default_on_the_page_is_what_leaving_it_out_means(name: str) -> None:
    rotator, needed = PAGES[name][1], NEEDED[name]
    for field, written in rows(name).items():
        if not written.startswith("`"):
            continue
        outer, _, inner = field.partition(".")
        value = yaml.safe_load(code(written))
        given = {**needed, outer: {inner: value} if inner else value}
        rotator.check(given)
        assert rotator.traits(given) == rotator.traits(needed), field


@every_page
def test_the_rotator_of_the_page_is_one_that_works(name: str) -> None:
    (manifest,) = PAGES[name][0].manifests()

    PAGES[name][1].check(manifest["spec"][name])


@every_page
def test_the_page_tells_of_each_step(name: str) -> None:
    heading = {"webhook": "## The steps", "job": "## What the container gets"}[name]
    steps = [code(row[0]) for row in PAGES[name][0].rows(heading)]

    assert steps == ["set", "test", "retire", *(["issue"] if name == "webhook" else [])]


def test_the_numbers_of_the_job_page_are_those_of_the_code() -> None:
    page, _ = PAGES["job"]

    assert [row[0] for row in page.rows("## How it answers")][:2] == ["0", str(REFUSED_EXIT_CODE)]
    assert rows("job")["activeDeadlineSeconds"] == f"`{DEFAULT_DEADLINE}`"
    assert f"up to {MAX_DEADLINE};" in page.prose
    assert KEPT_SECONDS == 600
    assert "stays for ten minutes" in page.prose
    assert f"`{ACT}`" in page.prose


def test_the_least_key_of_the_webhook_page_is_that_of_the_code() -> None:
    assert f"at least {LEAST_KEY_BYTES} random bytes" in PAGES["webhook"][0].prose


class Recorded:
    """Keeps what a Job would be given, and says that all was done."""

    namespace = "keyturn-jobs"

    def __init__(self) -> None:
        self.jobs: list[RotationJob] = []

    async def run(self, job: RotationJob) -> JobResult:
        self.jobs.append(job)
        return JobResult.DONE


async def test_the_request_on_the_page_is_what_a_container_gets() -> None:
    (written,) = (json.loads(block) for block in PAGES["job"][0].blocks("json"))
    values = {"username": SecretValue(b"orders"), "password": SecretValue(b"x")}
    pending = Credential(7, values)
    recorded = Recorded()
    order = order_of(Strategy.ALTERNATING_USERS, "orders", pending)
    target = Target({**NEEDED["job"]}, admin=values, jobs=recorded)
    async with JobRotator().session(target, order) as session:
        await session.set(pending)

    (job,) = recorded.jobs
    given = json.loads(job.request)
    assert given.keys() == written.keys()
    assert {**given, "rotationId": "", "secretId": ""} == {
        **written,
        "rotationId": "",
        "secretId": "",
    }
    assert sorted(job.files) == [
        *("admin/password", "admin/username", "pending/password", "pending/username"),
    ]


async def test_an_act_has_one_name_for_the_same_and_another_for_any_other() -> None:
    pending = Credential(7, {"password": SecretValue(b"x")})
    recorded = Recorded()
    first = order_of(Strategy.SINGLE_USER, "", pending)
    other = order_of(Strategy.SINGLE_USER, "", pending)
    for order, deadline in ((first, 60), (first, 60), (other, 60), (first, 61)):
        written = {**NEEDED["job"], "activeDeadlineSeconds": deadline}
        async with JobRotator().session(Target(written, jobs=recorded), order) as session:
            await session.set(pending)
            await session.accepts(pending)
            await session.set(Credential(8, pending.values))

    acts = [job.act for job in recorded.jobs]
    assert acts[:3] == acts[3:6]
    assert len(set(acts)) == 9
