"""How a command reaches the secrets: by the operator's socket, else by opening the store itself."""

import asyncio
import http.client
import json
import os
import socket
from pathlib import Path
from typing import Any

from keyturn.api.errors import from_answer
from keyturn.api.peers import require_operator
from keyturn.api.routes import Asked, Route, Served
from keyturn.domain.errors import (
    DeniedError,
    InvalidParameterError,
    StoreInUseError,
    UnavailableError,
)
from keyturn.settings import Settings

Json = dict[str, Any]

ANSWER_SECONDS = 60.0


class SilentOperatorError(UnavailableError):
    """Nothing was answered: none runs, or it stopped; whether it heard the question is unknown."""


def call(settings: Settings, route: Route, asked: Asked) -> Json:
    """Let the operator answer; where none runs, answer from the store, which is locked meanwhile.

    Raises:
        KeyturnError: what the operation raised, wherever it ran.
        SilentOperatorError: another process has the store, and does not answer.
        UnavailableError: there is no operator and no store.
    """
    answer = ask_operator(settings, route, asked)
    if answer is not None:
        return answer
    try:
        return asyncio.run(_answer_here(settings, route, asked))
    except StoreInUseError as error:
        # The operator that starts beside another says the graver thing: two are one too many.
        raise SilentOperatorError(
            f"another process holds the store {settings.store_file}, but no operator answers on"
            f" {settings.socket}: if it is starting or stopping, try again; if it has another"
            " socket, set KEYTURN_SOCKET"
        ) from error


def ask_running(settings: Settings, route: Route, asked: Asked) -> Json:
    """Let the operator answer what only a running one can do.

    Raises:
        SilentOperatorError: none runs, or it does not answer.
        KeyturnError: what the operation raised.
    """
    answer = ask_operator(settings, route, asked)
    if answer is None:
        raise SilentOperatorError(
            f"no operator answers on {settings.socket}; start keyturn run, or set KEYTURN_SOCKET"
        )
    return answer


def ask_operator(settings: Settings, route: Route, asked: Asked) -> Json | None:
    """Let the operator answer; None when none runs.

    Raises:
        DeniedError: it belongs to another user.
        SilentOperatorError: it stopped, or does not answer in time.
    """
    connection = _Connection(settings.socket)
    try:
        try:
            connection.connect()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return None
        return _exchange(connection, route, asked)
    except PermissionError as error:
        raise DeniedError(
            f"only root and the operator's own user may use {settings.socket}; run this as one of"
            " them, or with kubectl keyturn"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        raise SilentOperatorError(
            f"the operator on {settings.socket} stopped or does not answer; keyturn history tells"
            " whether a change was made before you try again"
        ) from error
    finally:
        connection.close()


def is_answering(settings: Settings) -> bool:
    """Tell whether an operator listens on the socket."""
    connection = _Connection(settings.socket)
    try:
        connection.connect()
    except OSError:
        return False
    finally:
        connection.close()
    return True


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        try:
            self.sock.connect(os.fspath(self._path))
        except OSError as error:
            if error.errno is not None:
                raise
            # Python's own check of the length has no number.
            raise InvalidParameterError(
                f"{self._path} is too long for a socket; set KEYTURN_SOCKET"
            ) from error
        require_operator(self.sock, self._path)


def _exchange(connection: _Connection, route: Route, asked: Asked) -> Json:
    headers = {"Content-Type": "application/json"} if asked.body else {}
    connection.request(route.method, route.path(asked), body=asked.body or None, headers=headers)
    response = connection.getresponse()
    content = response.read()
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if response.status != http.client.OK:
        raise from_answer(body)
    if not isinstance(body, dict):
        raise UnavailableError("what answers on the socket is no operator; set KEYTURN_SOCKET")
    return body


async def _answer_here(settings: Settings, route: Route, asked: Asked) -> Json:
    # Only here: it loads the operator whole, which would triple the time of every other command.
    from keyturn.bootstrap import offline  # noqa: PLC0415

    async with offline(settings) as operations:
        return await route.endpoint(Served(operations), asked)
