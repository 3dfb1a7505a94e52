"""A peer that speaks MongoDB's wire protocol, for tests: no MongoDB server can be had from here.

It knows OP_MSG and the OP_QUERY of a first hello, SCRAM, and the commands that manage users, as the
manual and the specifications of drivers describe them; it keeps documents in memory. What it was
asked is in `received`, and `faults` befall commands as the server's failCommand does. It is held
against PyMongo in tests/contract/test_mongo_peer.py.
"""

import asyncio
import itertools
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

import bson

from listening import beside, talking
from servers.certificates import KeyPair
from servers.mongo_users import (
    CHANGE_OWN,
    MECHANISMS,
    UNAUTHORIZED,
    CommandError,
    Document,
    User,
    UserStore,
)
from servers.scram import Conversation, ScramError, username_in

ROOT: Final = "root"
ROOT_PASSWORD: Final = "root of the tests"

AUTHENTICATION_FAILED, COMMAND_NOT_FOUND, NOT_PRIMARY = 18, 59, 10107

_HEADER: Final = struct.Struct("<iiii")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_BEFORE_LOGIN: Final = frozenset(
    {"hello", "ismaster", "isMaster", "ping", "buildInfo", "saslStart", "saslContinue"}
    | {"whatsmyuri"}
)


@dataclass
class Fault:
    """What befalls a command so many times.

    `code` is that of an error, `hang` never answers, `cut` ends the connection: all before the act,
    and with `done` the last two after it.
    """

    command: str
    code: int = 0
    hang: bool = False
    cut: bool = False
    done: bool = False
    write_concern_error: bool = False
    times: int = 1


@dataclass
class Session:
    """One connection: the login under way, and who is logged in."""

    conversation: Conversation | None = None
    candidate: User | None = None
    user: User | None = None
    client: str = ""
    """Its address and port, as the server writes them."""


class _GoneError(Exception):
    """The connection ends."""


@dataclass
class MongoPeer:
    """The peer; it is started by `running`."""

    users: UserStore
    replica_set: str = ""
    is_primary: bool = True
    port: int = 0
    faults: list[Fault] = field(default_factory=list)
    received: list[tuple[str, Document]] = field(default_factory=list)
    connections: int = 0
    _documents: dict[tuple[str, str], list[Document]] = field(default_factory=dict)
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection until it ends."""
        session = Session(client="{}:{}".format(*writer.get_extra_info("peername")))
        self.connections += 1
        try:
            with suppress(asyncio.IncompleteReadError, OSError, _GoneError):
                while True:
                    size, request, _, code = _HEADER.unpack(await reader.readexactly(_HEADER.size))
                    body = await reader.readexactly(size - _HEADER.size)
                    answer = await self._answer(session, _command(code, body))
                    writer.write(_message(code, next(self._ids), request, answer))
                    await writer.drain()
        finally:
            writer.transport.abort()

    async def _answer(self, session: Session, command: Document) -> Document:
        verb = next(iter(command))
        database = command.get("$db", "admin")
        name = session.user.name if session.user else ""
        self.received.append((name, command))
        fault = self._fault(verb)
        try:
            if fault is not None and not fault.done:
                await _befall(fault)
            answer = {**self._do(session, verb, database, command), "ok": 1.0}
        except CommandError as error:
            return _failure(error.code, str(error))
        if fault is not None and fault.done:
            await _befall(fault)
        if fault is not None and fault.write_concern_error:
            answer["writeConcernError"] = {
                "code": 64,
                "errmsg": "waiting for replication timed out",
            }
        return answer

    def _fault(self, verb: str) -> Fault | None:
        for fault in self.faults:
            if fault.command == verb and fault.times:
                fault.times -= 1
                return fault
        return None

    def _do(self, session: Session, verb: str, database: str, command: Document) -> Document:
        own: dict[str, Callable[[], Document]] = {
            "hello": lambda: self._hello(session, command),
            "ismaster": lambda: self._hello(session, command),
            "ping": dict,
            "endSessions": dict,
            "whatsmyuri": lambda: {"you": session.client},
            "buildInfo": lambda: {"version": "7.0.0", "maxBsonObjectSize": 16777216},
            "saslStart": lambda: self._begin(session, database, command),
            "saslContinue": lambda: self._finish(session, command),
            "insert": lambda: self._insert(database, command),
            "find": lambda: self._find(database, command),
        }
        if verb not in _BEFORE_LOGIN and verb != "endSessions":
            self._authorize(session, verb, database, command)
        if verb in self.users.commands:
            return self.users.commands[verb](database, command)
        if verb not in own:
            raise CommandError(COMMAND_NOT_FOUND, f"no such command: '{verb}'")
        return own[verb]()

    def _authorize(self, session: Session, verb: str, database: str, command: Document) -> None:
        """Look the user up anew, as the server does after each change of its users."""
        user = session.user
        found = self.users.find(user.database, user.name) if user else None
        if user is None or found is None or found.id != user.id:
            session.user = None
            raise CommandError(UNAUTHORIZED, f"Command {verb} requires authentication")
        if verb != "find" and not self.is_primary:
            raise CommandError(NOT_PRIMARY, "not primary")
        if verb in self.users.commands:
            whom = command[verb]["user"] if isinstance(command[verb], dict) else command[verb]
            own = whom == user.name and (
                verb == "usersInfo" or (verb == "updateUser" and found.may(CHANGE_OWN, database))
            )
            may = own or found.may("userAdminAnyDatabase", "admin")
        else:
            may = found.may("readWrite", database)
        if not may:
            raise CommandError(UNAUTHORIZED, f"not authorized on {database} to execute {verb}")

    def _hello(self, session: Session, command: Document) -> Document:
        said: Document = {
            "helloOk": True,
            "isWritablePrimary": self.is_primary,
            "ismaster": self.is_primary,
            "maxBsonObjectSize": 16777216,
            "maxMessageSizeBytes": 48000000,
            "maxWriteBatchSize": 100000,
            "logicalSessionTimeoutMinutes": 30,
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "readOnly": False,
        }
        if self.replica_set:
            me = f"localhost:{self.port}"
            said |= {"setName": self.replica_set, "setVersion": 1, "hosts": [me], "me": me}
            said |= {"secondary": not self.is_primary}
            said |= {"primary": me} if self.is_primary else {}
        early = command.get("speculativeAuthenticate")
        if early:
            # A wrong guess of the client is no error: it begins again by saslStart.
            with suppress(CommandError):
                said["speculativeAuthenticate"] = self._begin(session, early["db"], early)
        return said

    def _begin(self, session: Session, database: str, command: Document) -> Document:
        first, mechanism = bytes(command["payload"]).decode(), command["mechanism"]
        if mechanism not in MECHANISMS:
            raise CommandError(334, f"Unsupported mechanism: {mechanism}")
        user = self.users.find(database, username_in(first))
        if user is None or mechanism not in user.verifiers:
            raise CommandError(AUTHENTICATION_FAILED, "Authentication failed.")
        session.conversation = Conversation.begin(user.verifiers[mechanism], first)
        session.candidate = user
        payload = session.conversation.server_first.encode()
        return {"conversationId": 1, "done": False, "payload": payload}

    def _finish(self, session: Session, command: Document) -> Document:
        if session.conversation is None:
            raise CommandError(17, "No SASL session state found")
        payload = bytes(command["payload"]).decode()
        conversation, session.conversation = session.conversation, None
        try:
            last = conversation.finish(payload)
        except ScramError:
            raise CommandError(AUTHENTICATION_FAILED, "Authentication failed.") from None
        if session.candidate and not session.candidate.may_come_from(session.client):
            raise CommandError(AUTHENTICATION_FAILED, "Authentication failed.")
        session.user = session.candidate
        return {"conversationId": 1, "done": True, "payload": last.encode()}

    def _insert(self, database: str, command: Document) -> Document:
        documents = self._documents.setdefault((database, command["insert"]), [])
        documents.extend(command["documents"])
        return {"n": len(command["documents"])}

    def _find(self, database: str, command: Document) -> Document:
        documents = self._documents.get((database, command["find"]), [])
        namespace = f"{database}.{command['find']}"
        return {"cursor": {"id": 0, "ns": namespace, "firstBatch": documents[:1]}}


async def _befall(fault: Fault) -> None:
    if fault.hang:
        await asyncio.sleep(3600)
    if fault.cut or fault.hang:
        raise _GoneError
    if fault.code:
        raise CommandError(fault.code, "a fault")


def _failure(code: int, text: str) -> Document:
    return {"ok": 0.0, "errmsg": text, "code": code, "codeName": f"Code{code}"}


def _command(code: int, body: bytes) -> Document:
    """Read a request: https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/."""
    if code == _OP_QUERY:
        end = body.index(b"\0", 4)
        return _decoded(body[end + 9 :])
    if code != _OP_MSG:
        raise _GoneError
    (flags,) = struct.unpack_from("<I", body)
    end, position, command, more = len(body) - 4 * (flags & 1), 4, {}, {}
    while position < end:
        kind, position = body[position], position + 1
        (size,) = struct.unpack_from("<i", body, position)
        section, position = body[position : position + size], position + size
        if kind == 0:
            command = _decoded(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            more[name.decode()] = bson.decode_all(documents)
    return {**command, **more}


def _message(code: int, number: int, request: int, answer: Document) -> bytes:
    document = bson.encode(answer)
    if code == _OP_QUERY:
        body = struct.pack("<iqii", 8, 0, 0, 1) + document
        return _HEADER.pack(_HEADER.size + len(body), number, request, _OP_REPLY) + body
    body = struct.pack("<IB", 0, 0) + document
    return _HEADER.pack(_HEADER.size + len(body), number, request, _OP_MSG) + body


def _decoded(document: bytes) -> Document:
    decoded: Document = bson.decode(document)
    return decoded


@contextmanager
def running(
    certificate: KeyPair | None = None, *, replica_set: str = "", knows_sha256: bool = True
) -> Iterator[MongoPeer]:
    """Run a peer in a thread of its own; without a certificate it speaks no TLS."""
    users = UserStore(knows_sha256=knows_sha256)
    root = {"createUser": ROOT, "pwd": ROOT_PASSWORD, "roles": ["root"]}
    users.create("admin", root)
    peer = MongoPeer(users, replica_set)
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate.certificate, certificate.key)
    with beside(talking(peer.serve, ssl_context=context), "mongo peer") as peer.port:
        yield peer
