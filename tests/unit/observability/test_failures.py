import asyncio
import gc
import logging
import sys
import threading

import pytest

from canary import Canary
from keyturn.domain.errors import StorageFullError
from keyturn.observability import failures


def fail(text: str = "") -> None:
    raise ValueError(text)


def fail_on_the_disk(cause: str, *, suppressed: bool = False) -> None:
    try:
        fail(cause)
    except ValueError as error:
        raise StorageFullError("the disk is full") from (None if suppressed else error)


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch) -> None:
    for owner, name in ((sys, "excepthook"), (sys, "unraisablehook"), (threading, "excepthook")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    failures.install()


def test_a_foreign_exception_is_told_by_type_and_place(canary: Canary) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - its text is what must not be told
        fail(canary.make().decode())

    told = failures.describe(raised.value)

    assert told.startswith("ValueError at test_failures.py:")
    assert canary.scan_text(told) == []


def test_our_own_error_is_told_with_its_message() -> None:
    assert failures.describe(StorageFullError("the disk is full")) == (
        "StorageFullError: the disk is full"
    )


def test_an_error_of_the_system_is_told_with_its_number() -> None:
    assert failures.describe(OSError(28, "No space", "/secret/path")) == "OSError(28)"


def test_of_a_group_each_one_is_told(canary: Canary) -> None:
    group = ExceptionGroup(canary.make().decode(), [ValueError("a"), KeyError("b")])

    assert failures.describe(group) == "ExceptionGroup; ValueError; KeyError"


def test_the_nearest_places_come_first() -> None:
    def outer() -> None:
        fail()

    with pytest.raises(ValueError) as raised:  # noqa: PT011 - it has no text
        outer()

    told = failures.describe(raised.value)

    assert told.index("in fail") < told.index("in outer")


def test_causes_are_told_without_their_text(canary: Canary) -> None:
    with pytest.raises(StorageFullError) as raised:
        fail_on_the_disk(canary.make().decode())

    (told,) = failures.causes(raised.value)

    assert told.startswith("ValueError at ")
    assert canary.scan_text(told) == []


def test_a_suppressed_cause_is_not_told() -> None:
    with pytest.raises(StorageFullError) as raised:
        fail_on_the_disk("cause", suppressed=True)

    assert failures.causes(raised.value) == []


@pytest.mark.usefixtures("hooks")
def test_a_thread_that_dies_is_logged_without_text(
    canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    value = canary.make().decode()

    thread = threading.Thread(target=fail, args=(value,))

    thread.start()
    thread.join()

    assert "unexpected ValueError" in caplog.messages[0]
    assert canary.scan_text("".join(caplog.messages)) == []


@pytest.mark.usefixtures("hooks")
def test_a_finalizer_that_fails_is_logged_without_text(
    canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    value = canary.make().decode()

    class Failing:
        def __del__(self) -> None:
            raise ValueError(value)

    Failing()

    assert "unexpected ValueError" in caplog.messages[0]
    assert canary.scan_text("".join(caplog.messages)) == []


async def test_a_task_that_nobody_awaits_is_logged_without_its_repr(
    canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    value = canary.make().decode()

    async def fail_later() -> None:
        fail(value)

    asyncio.get_running_loop().set_exception_handler(failures.handle_in_loop)
    task = asyncio.create_task(fail_later())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    del task
    gc.collect()

    assert "unexpected ValueError" in caplog.messages[0]
    assert canary.scan_text("".join(caplog.messages)) == []


def test_a_loop_that_has_no_exception_to_tell_is_logged_by_its_message(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.new_event_loop()

    with caplog.at_level(logging.ERROR):
        failures.handle_in_loop(loop, {"message": "a socket was closed"})

    loop.close()
    assert caplog.messages == ["the event loop reports: a socket was closed"]
