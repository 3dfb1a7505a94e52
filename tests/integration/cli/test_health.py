"""/livez and /readyz."""

import logging
from collections.abc import Sequence

import aiohttp
import pytest

from canary import Canary
from keyturn.api.health import serving_health
from keyturn.domain.errors import UnavailableError


async def ask(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_all_is_well_when_nothing_is_wrong() -> None:
    async with serving_health("127.0.0.1", 0, live=list, ready=list) as port:
        answers = await ask(port, "livez"), await ask(port, "readyz")

    assert answers == ((200, "ok\n"), (200, "ok\n"))


async def test_each_probe_tells_its_own_problems() -> None:
    problems = ["the store is full", "a watch is deaf"]

    async with serving_health("127.0.0.1", 0, live=list, ready=lambda: problems) as port:
        answers = await ask(port, "livez"), await ask(port, "readyz")

    assert answers == ((200, "ok\n"), (503, "the store is full\na watch is deaf\n"))


async def test_a_probe_that_fails_is_a_problem_and_tells_no_text(
    canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    value = canary.make().decode()

    def fail() -> Sequence[str]:
        raise RuntimeError(value)

    with caplog.at_level(logging.INFO):
        async with serving_health("127.0.0.1", 0, live=fail, ready=list) as port:
            status, text = await ask(port, "livez")

    assert (status, text) == (503, "the probe failed\n")
    assert canary.scan_text(caplog.text) == []


async def test_a_port_that_is_taken_is_named() -> None:
    async with serving_health("127.0.0.1", 0, live=list, ready=list) as port:
        with pytest.raises(UnavailableError, match=f"port {port}"):
            async with serving_health("127.0.0.1", port, live=list, ready=list):
                pass
