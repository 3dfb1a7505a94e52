"""The operator's socket: who may use it, and what it answers to what is wrong."""

import http.client
import io
import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from canary import Canary
from keyturn.api import routes
from keyturn.api.routes import Served
from keyturn.api.server import application, serving
from keyturn.api.unix_socket import listening
from keyturn.domain.errors import InvalidParameterError, StoreInUseError
from keyturn.domain.payload import SecretValue
from office import BECOME_NOBODY, Local, Office, as_root, open_to_all, opened


async def ask(
    path: Path, method: str, address: str, body: bytes | None = None
) -> tuple[int, dict[str, Any]]:
    connector = aiohttp.UnixConnector(str(path))
    sent = None if body is None else io.BytesIO(body)
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.request(method, f"http://local{address}", data=sent) as answer,
    ):
        return answer.status, await answer.json()


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_its_user_can_reach_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "run" / "keyturn.sock"

    with listening(path):
        modes = mode_of(path.parent), mode_of(path)

    assert modes == (0o700, 0o600)


def test_the_name_goes_with_the_operator(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"

    with listening(path):
        pass

    assert not path.exists()


def test_a_name_that_another_operator_took_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"

    with listening(path), socket.socket(socket.AF_UNIX) as other:
        path.unlink()
        other.bind(str(path))

    assert path.exists()


def test_a_name_that_a_dead_operator_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with listening(path), socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(path))


def test_a_living_operator_is_not_pushed_aside(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"

    with listening(path):
        with (
            pytest.raises(StoreInUseError, match="another operator answers"),
            listening(path),
        ):
            pass

        assert path.exists()


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"
    path.write_text("something")

    with pytest.raises(InvalidParameterError, match="is no socket"), listening(path):
        pass

    assert path.read_text() == "something"


def test_a_folder_that_others_use_too_is_refused_and_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "somebody's").touch()

    with (
        pytest.raises(InvalidParameterError, match="KEYTURN_SOCKET"),
        listening(tmp_path / "keyturn.sock"),
    ):
        pass

    assert mode_of(tmp_path) == 0o755


def test_a_folder_of_its_own_that_a_volume_opened_to_a_group_is_closed_again(
    tmp_path: Path,
) -> None:
    path = tmp_path / "run" / "keyturn.sock"
    path.parent.mkdir()
    path.parent.chmod(0o2770)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    with listening(path):
        assert mode_of(path.parent) & 0o077 == 0


@as_root
def test_a_folder_of_another_user_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o700)
    os.chown(folder, 65534, 65534)

    with (
        pytest.raises(InvalidParameterError, match="belongs to another user"),
        listening(folder / "keyturn.sock"),
    ):
        pass


def test_a_path_that_is_too_long_is_refused_in_words(tmp_path: Path) -> None:
    with (
        pytest.raises(InvalidParameterError, match="longer than 107 bytes"),
        listening(tmp_path / ("x" * 120)),
    ):
        pass


async def test_a_process_of_a_user_who_is_not_allowed_gets_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"
    async with opened(tmp_path / "data", tmp_path / "key") as local:
        runner = web.AppRunner(application(local.served, uids=frozenset({os.geteuid() + 1})))
        await runner.setup()
        await web.UnixSite(runner, str(path)).start()

        answers = [await ask(path, route.method, "/v1/key") for route in (routes.KEY, routes.PURGE)]
        await runner.cleanup()

    assert [(status, body["code"]) for status, body in answers] == [(403, "Denied")] * 2


@as_root
def test_the_kernel_tells_who_calls(office: Office, tmp_path: Path) -> None:
    open_to_all(tmp_path, office.data_dir, office.socket.parent)
    office.socket.chmod(0o666)
    caller = BECOME_NOBODY + (
        "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
        "s.sendall(b'GET /v1/key HTTP/1.0\\r\\n\\r\\n')\n"
        "sys.stdout.write(s.recv(9999).decode())\n"
    )

    told = subprocess.run(
        [sys.executable, "-c", caller, str(office.socket)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "403 Forbidden" in told
    assert "keyturn-key" not in told


async def test_an_exception_that_nobody_foresaw_is_told_without_its_text(
    tmp_path: Path, canary: Canary, caplog: pytest.LogCaptureFixture
) -> None:
    value = canary.make().decode()

    def fail() -> SecretValue:
        raise ValueError(value)

    async with opened(tmp_path / "data", tmp_path / "key") as local:
        served = Served(local.operations, fail)
        async with serving(tmp_path / "keyturn.sock", served):
            status, body = await ask(tmp_path / "keyturn.sock", "GET", "/v1/key")

    assert (status, body["code"]) == (500, "Error")
    assert "ValueError" in caplog.text
    assert canary.scan_text(caplog.text + json.dumps(body)) == []


@pytest.mark.parametrize(
    ("method", "address", "body", "status", "code"),
    [
        ("GET", "/", None, 404, "NotFound"),
        ("DELETE", "/v1/secrets/default/db", None, 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/put", b"x" * (2 * 1024 * 1024 + 1), 413, "ValueTooLarge"),
        ("POST", "/v1/secrets/default/db/put", b"{", 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/put", b"[]", 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/put", b"{}", 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/put", b"[" * 100_000, 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/put", b'{"values": {"a": "#"}}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/put", b'{"values": {"a": 1}}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/get", b'{"reveal": 1}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/get", b'{"version": true}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/get", b'{"version": 0}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/get", b'{"stage": "No"}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/get", b'{"other": 1}', 400, "InvalidParameter"),
        ("POST", "/v1/secrets/default/db/rollback", b"{}", 400, "InvalidParameter"),
        ("POST", "/v1/purge", b'{"confirm": 1}', 400, "InvalidParameter"),
        ("GET", "/v1/secrets/default/nobody", None, 404, "SecretNotFound"),
        ("POST", "/v1/secrets/default/db/restore", None, 503, "Unavailable"),
    ],
)
async def test_what_is_wrong_gets_a_status_and_a_code(
    tmp_path: Path, method: str, address: str, body: bytes | None, status: int, code: str
) -> None:
    path = tmp_path / "keyturn.sock"
    async with opened(tmp_path / "data", tmp_path / "key") as local:
        await local.apply("db", "a")
        async with serving(path, local.served):
            answered, told = await ask(path, method, address, body)

    assert (answered, told["code"]) == (status, code)


async def test_without_a_key_to_give_away_there_is_no_export(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"
    async with (
        opened(tmp_path / "data", tmp_path / "key") as local,
        serving(path, Served(local.operations)),
    ):
        status, told = await ask(path, "GET", "/v1/key")

    assert (status, told["code"]) == (400, "InvalidParameter")


async def test_answers_are_kept_by_nobody(tmp_path: Path) -> None:
    path = tmp_path / "keyturn.sock"

    async def headers(local: Local) -> str:
        async with (
            serving(path, local.served),
            aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
            session.get("http://local/v1/version") as answer,
        ):
            return answer.headers["Cache-Control"]

    async with opened(tmp_path / "data", tmp_path / "key") as local:
        assert await headers(local) == "no-store"


def test_bytes_that_are_no_http_do_no_harm(office: Office) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(str(office.socket))
        caller.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        answer = caller.recv(4096)

    assert str(int(http.client.BAD_REQUEST)).encode() in answer
    assert office.keyturn("list").returncode == 0
