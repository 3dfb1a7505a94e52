"""A reading that is used again: never one that was begun before what woke those who ask."""

import asyncio
from typing import Any

from keyturn.domain.consumers import Via
from keyturn.handlers.pods_eye import PAUSE
from keyturn.kube import consumers
from keyturn.kube.consumers import RECENT, ConsumerReader


class Slow:
    """An apiserver that takes its time, with these objects."""

    def __init__(self, seconds: float, **items: list[dict[str, Any]]) -> None:
        self.seconds = seconds
        self.items = items
        self.asked = 0

    async def request(self, _: str, path: str, **__: Any) -> Any:
        self.asked += 1
        await asyncio.sleep(self.seconds)
        plural = path.partition("?")[0].rpartition("/")[2]
        return {"metadata": {}, "items": self.items.get(plural, [])}


async def read_twice(seconds: float) -> int:
    kube = Slow(seconds)
    reader = ConsumerReader(kube, bytes.hex)  # type: ignore[arg-type]
    await reader.running("shop", recent=True)
    await reader.running("shop", recent=True)
    return kube.asked


async def test_a_quick_reading_is_used_again() -> None:
    assert await read_twice(0) == 1


async def test_a_reading_that_took_long_is_not(monkeypatch: Any) -> None:
    """What changed while it lasted may not be in it, and wakes nobody a second time."""
    monkeypatch.setattr(consumers, "RECENT", 0.05)

    assert await read_twice(0.06) == 2


async def test_it_tells_how_long_a_slow_reading_took(monkeypatch: Any) -> None:
    monkeypatch.setattr(consumers, "QUICK", 0.05)
    kube = Slow(0.06)
    reader = ConsumerReader(kube, bytes.hex)  # type: ignore[arg-type]
    assert reader.took("shop") == 0

    await reader.running("shop")
    assert reader.took("shop") > 0.05
    monkeypatch.setattr(consumers, "QUICK", 60.0)
    await reader.running("shop")

    assert reader.took("shop") == 0


async def test_a_reference_without_a_name_names_nothing() -> None:
    secrets = [{"namespace": "shop"}, {"name": "db"}]
    kube = Slow(0, serviceaccounts=[{"metadata": {"name": "web"}, "secrets": secrets}])

    found = await ConsumerReader(kube, bytes.hex).all("shop")  # type: ignore[arg-type]

    assert [dict(other.uses) for other in found.others] == [{"db": {Via.SERVICE_ACCOUNT}}]


def test_who_is_woken_by_a_change_reads_it() -> None:
    assert RECENT < PAUSE
