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
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from uuid import uuid4

from engine.assembled import (
    Engine,
    GivenAim,
    Json,
    World,
    catalogue,
    decoded,
    generators,
    opened,
)
from engine.local_jobs import LocalJobs
from keyturn.domain.rotation_event import Channel
from keyturn.domain.secret import Secret
from keyturn.observability import failpoints
from keyturn.rotators.interface import Credential, Order

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
        passed = _watched() if job["act"] == "watch" else []
        async with asyncio.timeout(DEADLINE):
            match job["act"]:
                case "report":
                    return await self._report()
                case "cancel":
                    await self._engine.rotations.cancel(await self._engine.secret(), "the test")
                case "attempt":
                    await self._engine.settle(despite_trouble=True)
                    look = await self._engine.reconcile(self._engine.resource())
                    return {"trouble": look.trouble.code if look.trouble else ""}
            await self._engine.settle(despite_trouble=False)
        return {"passed": passed}

    async def _report(self) -> Json:
        """Tell what the store says, and which of its credentials the target takes."""
        secret = await self._engine.secret()
        journal = await self._engine.journal.journal(secret.id)
        stages = {stage.value: number for stage, number in secret.stages.versions.items()}
        accepted = {
            stage: await self._accepts_version(secret, number) for stage, number in stages.items()
        }
        if self._world.job["found"]:
            found = Credential(1, decoded(self._world.job["found"]))
            accepted["Found"] = await self._accepts(secret, found)
        return {
            "stages": stages,
            "accepted": accepted,
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

    async def _accepts_version(self, secret: Secret, number: int) -> bool:
        async with self._engine.aim() as aim:
            with await self._engine.vault.versions.open(secret, number) as payload:
                return await self._accepts(secret, aim.roles.credential(number, payload))

    async def _accepts(self, secret: Secret, credential: Credential) -> bool:
        """Log in with a credential, as the target's own client does."""
        name = credential.values.get("username")
        base = bytes(name.reveal()).decode() if name is not None else ""
        async with self._engine.aim() as aim:
            strategy = self._engine.rotation.strategy
            order = Order(secret.id, uuid4(), strategy, base, None, credential)
            async with aim.rotator.session(aim.target, order) as session:
                return await session.accepts(credential)


def _watched() -> list[str]:
    """Note each place that is passed from now on, in the list that is returned."""
    passed: list[str] = []
    failpoints.reach = passed.append
    return passed


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
