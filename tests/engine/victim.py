"""A process that rotates on a real store and a real target, and may be killed at any place.

Its child does the jobs that come from stdin, a line of JSON each, as an operator that runs; one
that was killed is told of on stdout, and the next child takes its place. The children are forks,
so that a kill costs no new start of Python.
"""

import asyncio
import json
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import uuid4

from engine.assembled import (
    Engine,
    GivenAim,
    Json,
    World,
    catalogue,
    decoded,
    generators,
)
from engine.local_jobs import LocalJobs
from keyturn.domain.rotation_event import Channel
from keyturn.domain.secret import Secret
from keyturn.observability import failpoints
from keyturn.rotators.interface import Credential, Order
from vaults import opened

DEADLINE = 60.0


class Life:
    """What one child does until it is killed, or no job is left."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._world = World({}, LocalJobs(folder / "jobs"))

    async def begin(self) -> None:
        vault = await self._stack.enter_async_context(opened(self._folder))
        self._engine = Engine(vault, self._world, self._folder, GivenAim(self._world))
        await self._stack.enter_async_context(self._engine.working())

    async def end(self) -> None:
        await self._stack.aclose()

    async def do(self, job: Json) -> Json:
        self._world.job = job
        failpoints.arm(job["failpoint"])
        async with asyncio.timeout(DEADLINE):
            if job["act"] == "report":
                return await self._report()
            if job["cancels"]:
                await self._engine.rotations.cancel(await self._engine.secret(), "the test")
            with _watched() as passed:
                trouble = await self._engine.settle(despite_trouble=job["act"] == "attempt")
        return {"passed": passed, "trouble": trouble}

    async def _report(self) -> Json:
        """Tell what the store says, and which of its credentials the target takes."""
        secret = await self._engine.secret()
        journal = await self._engine.journal.journal(secret.id)
        stages = {stage.value: number for stage, number in secret.stages.versions.items()}
        return {
            "stages": stages,
            "accepted": await self._accepted(secret, stages),
            "rotations": [
                {"number": r.number, "outcome": r.outcome, "id": str(r.id), "cause": r.cause}
                for r in journal.rotations
            ],
            "events": await self._delivered(),
        }

    async def _delivered(self) -> list[list[str]]:
        """Deliver each event that waits, and tell of it."""
        journal = self._engine.journal
        waiting = await journal.waiting(Channel.SINK, 1000)
        ends = [journal.delivered(channel, e.id) for e in waiting for channel in Channel]
        await asyncio.gather(*ends)
        return [[str(event.rotation_id), event.kind.value] for event in waiting]

    async def _accepted(self, secret: Secret, stages: Mapping[str, int]) -> Mapping[str, bool]:
        """Log in with each version, and with what was found, as the target's own client does."""
        versions, found = self._engine.vault.versions, self._world.job["found"]
        async with self._engine.aim() as aim, AsyncExitStack() as stack:
            known: dict[str, Credential] = {}
            for stage, number in stages.items():
                payload = stack.enter_context(await versions.open(secret, number))
                known[stage] = aim.roles.credential(number, payload)
            if found:
                known["Found"] = Credential(1, decoded(found))
            if not known:
                return {}
            strategy, base = self._engine.rotation.strategy, self._world.job["base"]
            some = known.get("Current") or next(iter(known.values()))
            order = Order(secret.id, uuid4(), strategy, base, None, some)
            async with aim.rotator.session(aim.target, order) as session:
                return {stage: await session.accepts(each) for stage, each in known.items()}


@contextmanager
def _watched() -> Iterator[list[str]]:
    """Note each place that is passed until the `with` ends."""
    passed: list[str] = []
    reach = failpoints.reach

    def note(name: str) -> None:
        passed.append(name)
        reach(name)

    with patch.object(failpoints, "reach", note):
        yield passed


def main(folder: Path, type_: str) -> None:
    # What each child would import is imported before the fork.
    generators()
    if type_:
        catalogue().find(type_)
    while True:
        child = os.fork()
        if child == 0:
            os._exit(live(folder))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 0:
            return
        say({"status": code})


def live(folder: Path) -> int:
    """Do the jobs; return the exit code."""
    try:
        with asyncio.Runner() as runner:
            life: Life | None = None
            for line in sys.stdin:
                if life is None:
                    life = Life(folder)
                    runner.run(life.begin())
                say({"status": 0, "pid": os.getpid(), **runner.run(life.do(json.loads(line)))})
            if life is not None:
                runner.run(life.end())
    except Exception:  # noqa: BLE001 - whatever it is, the test says it
        traceback.print_exc()
        return 1
    return 0


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
