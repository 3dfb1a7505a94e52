import asyncio
from pathlib import Path

import pytest

from keyturn.domain.secret import SecretName
from keyturn.handlers import pods_eye
from keyturn.handlers.pods_eye import PAUSE, RATE, SPACING, Pauses, PodsEye
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.metadata_watch import Sighting
from keyturn.services.consumers.interest import Interest
from keyturn.services.consumers.inventory import LONGEST, SHARE

ONE, TWO, FAR = SecretName("shop", "one"), SecretName("shop", "two"), SecretName("bank", "one")


def test_many_changes_make_one_pause() -> None:
    pauses = Pauses()

    assert [pauses.begin("shop", 0.0, asking=1, took=0.0) for _ in range(3)] == [PAUSE, None, None]
    assert pauses.begin("bank", 0.0, asking=1, took=0.0) == PAUSE


def test_the_next_time_is_a_while_after() -> None:
    pauses = Pauses()
    pauses.begin("shop", 0.0, asking=1, took=0.0)
    pauses.end("shop", 100.0)

    assert pauses.begin("shop", 101.0, asking=1, took=0.0) == SPACING - 1
    pauses.end("shop", 104.0)
    assert pauses.begin("shop", 200.0, asking=1, took=0.0) == PAUSE


def test_the_more_ask_the_longer_is_the_pause() -> None:
    pauses = Pauses()
    pauses.begin("shop", 0.0, asking=60 * RATE, took=0.0)
    pauses.end("shop", 100.0)

    assert pauses.begin("shop", 100.0, asking=60 * RATE, took=0.0) == 60


@pytest.mark.parametrize(
    ("took", "spacing"),
    [(SPACING / SHARE / 2, SPACING), (2.0, 2.0 * SHARE), (LONGEST, LONGEST)],
    ids=["a quick one", "a slow one", "one that nearly timed out"],
)
def test_the_longer_a_reading_takes_the_longer_is_the_pause(took: float, spacing: float) -> None:
    pauses = Pauses()
    pauses.begin("shop", 0.0, asking=1, took=took)
    pauses.end("shop", 100.0)

    assert pauses.begin("shop", 100.0, asking=1, took=took) == spacing


def test_where_nobody_asks_nothing_is_waited_for() -> None:
    assert Pauses().begin("shop", 0.0, asking=0, took=0.0) is None


class Eye(PodsEye):
    """An eye that nothing is behind; it notes whom it woke."""

    def __init__(self, *asking: SecretName) -> None:
        self.interest = Interest()
        for name in asking:
            self.interest.note(name, asks=True)
        self.woken: list[SecretName] = []
        kube = KubeClient(Connection(Path("/nowhere")))
        super().__init__(kube, (), self.interest, self.woken.append, lambda _: 0.0)

    async def settle(self) -> None:
        """Wait until each timer that was set before has run."""
        await asyncio.sleep(2 * pods_eye.PAUSE)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pods_eye, "PAUSE", 0.05)


@pytest.mark.usefixtures("hurry")
async def test_those_of_the_namespace_are_woken_once() -> None:
    eye = Eye(ONE, TWO, FAR)

    for _ in range(100):
        eye._changed(Sighting("shop", "pod", "uid", 1, {}, {}))
    assert eye.woken == []
    await eye.settle()

    assert sorted(eye.woken) == [ONE, TWO]


@pytest.mark.usefixtures("hurry")
async def test_who_stopped_to_ask_is_not_woken() -> None:
    eye = Eye(ONE)

    eye._changed(Sighting("shop", "pod", "uid", 1, {}, {}))
    eye.interest.note(ONE, asks=False)
    await eye.settle()

    assert eye.woken == []


@pytest.mark.usefixtures("hurry")
async def test_a_list_wakes_all_as_what_was_before_it_was_not_seen() -> None:
    eye = Eye(ONE, FAR)

    await eye._listed([], 1)
    await eye.settle()

    assert sorted(eye.woken) == [FAR, ONE]
