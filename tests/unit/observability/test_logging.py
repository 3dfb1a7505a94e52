import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from canary import Canary
from keyturn.domain.errors import StorageFullError
from keyturn.domain.payload import SecretValue
from keyturn.domain.secret import SecretName
from keyturn.observability.logging import configure

ours = logging.getLogger("keyturn.services.tests")
foreign = logging.getLogger("kopf.objects")


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Put back what `configure` changes for the whole process."""
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.raiseExceptions
    yield
    root.handlers[:], level, logging.raiseExceptions = before
    root.setLevel(level)
    logging.captureWarnings(capture=False)
    for name in ("kopf", "aiohttp", "asyncio", "kubernetes", "urllib3"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def stream() -> io.StringIO:
    stream = io.StringIO()
    configure("debug", stream=stream)
    return stream


def fail(text: str) -> None:
    raise ValueError(text)


def fail_on_the_disk(cause: str) -> None:
    try:
        fail(cause)
    except ValueError as error:
        raise StorageFullError("the disk is full") from error


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_is_one_json_object(stream: io.StringIO) -> None:
    ours.info("two\nlines of %s", "é")

    (line,) = lines(stream)
    assert line["message"] == "two\nlines of é"
    assert (line["level"], line["logger"]) == ("info", "keyturn.services.tests")
    assert line["time"].endswith("Z")


def test_a_secret_stands_in_fields_of_its_own(stream: io.StringIO) -> None:
    ours.info("%s is purged", SecretName("shop", "db"))
    ours.info("purged", extra={"secret": SecretName("shop", "api")})

    named = [(line["namespace"], line["secret"]) for line in lines(stream)]
    assert named == [("shop", "db"), ("shop", "api")]


def test_what_our_own_code_adds_stands_beside(stream: io.StringIO) -> None:
    ours.info("ready", extra={"health_port": 8081, "body": {"data": "x"}})

    (line,) = lines(stream)
    assert line["health_port"] == 8081
    assert "body" not in line


def test_what_others_add_is_left_out(stream: io.StringIO) -> None:
    foreign.warning("changed", extra={"k8s_ref": "object"})

    assert "k8s_ref" not in lines(stream)[0]


def test_a_logged_exception_is_told_without_its_text(stream: io.StringIO, canary: Canary) -> None:
    value = canary.make_awkward().decode()
    try:
        fail(value)
    except ValueError:
        ours.exception("it failed")

    (line,) = lines(stream)
    assert line["error"].startswith("ValueError at test_logging.py")
    assert line["trace"]
    assert canary.scan_text(stream.getvalue()) == []


def test_causes_of_a_logged_exception_are_told_without_text(
    stream: io.StringIO, canary: Canary
) -> None:
    try:
        fail_on_the_disk(canary.make().decode())
    except StorageFullError:
        ours.exception("it failed")

    (line,) = lines(stream)
    assert line["error"].startswith("StorageFullError: the disk is full")
    assert line["causes"][0].startswith("ValueError")
    assert canary.scan_text(stream.getvalue()) == []


@pytest.mark.parametrize("as_text", [True, False])
def test_an_exception_among_the_arguments_is_told_by_type(canary: Canary, as_text: bool) -> None:
    stream, error = io.StringIO(), ValueError(canary.make().decode())
    configure("debug", stream=stream, as_text=as_text)

    ours.warning("failed: %s", error)
    ours.warning("failed: %(error)r", {"error": error})
    ours.warning(error)

    assert stream.getvalue().count("ValueError") == 3
    assert canary.scan_text(stream.getvalue()) == []


def test_an_error_of_ours_among_the_arguments_is_told_whole(stream: io.StringIO) -> None:
    ours.warning("failed: %s", StorageFullError("the disk is full"))

    assert lines(stream)[0]["message"] == "failed: the disk is full"


def test_a_value_among_the_arguments_shows_nothing(stream: io.StringIO, canary: Canary) -> None:
    ours.warning("%s %r %d", SecretValue(canary.make()), SecretValue(canary.make()), 3)

    assert canary.scan_text(stream.getvalue()) == []


def test_a_record_that_cannot_be_formatted_is_told_without_its_arguments(
    stream: io.StringIO, canary: Canary, capsys: pytest.CaptureFixture[str]
) -> None:
    ours.warning("%d of %d", canary.make().decode())

    assert lines(stream)[0]["message"] == "%d of %d"
    assert canary.scan_text(stream.getvalue() + capsys.readouterr().err) == []


@pytest.mark.parametrize("name", ["kopf.objects", "aiohttp.access", "asyncio", "urllib3.pool"])
def test_the_chatter_of_others_begins_at_warning(stream: io.StringIO, name: str) -> None:
    logging.getLogger(name).debug("a whole object")
    logging.getLogger(name).info("a whole object")
    logging.getLogger(name).warning("a watch broke")

    assert [line["message"] for line in lines(stream)] == ["a watch broke"]


def test_the_level_holds_for_all() -> None:
    stream = io.StringIO()
    configure("error", stream=stream)

    ours.warning("less")
    foreign.warning("less")
    ours.error("enough")

    assert [line["message"] for line in lines(stream)] == ["enough"]


def test_a_line_for_people_is_one_line_that_no_terminal_obeys() -> None:
    stream = io.StringIO()
    configure("info", stream=stream, as_text=True)

    ours.warning("two\nlines \x1b[31m")

    assert stream.getvalue()[8:] == " warning  two lines  [31m\n"


def test_a_logged_exception_is_told_to_people_without_its_text(canary: Canary) -> None:
    stream = io.StringIO()
    configure("info", stream=stream, as_text=True)
    try:
        fail(canary.make().decode())
    except ValueError:
        ours.exception("it failed")

    assert "it failed (ValueError at " in stream.getvalue()
    assert canary.scan_text(stream.getvalue()) == []
