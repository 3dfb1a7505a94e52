"""A little HTTP server with an htpasswd file, of the kind that no rotator knows."""

import base64
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bcrypt

from servers.certificates import Authority

_ROUNDS = 4
ADMIN = ("admin", "the admin's own password")


class Wiki:
    """The server's users, in a file that is read anew for each request."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self.scheme = "http"
        self.host = "localhost"
        self.port = 0
        self.changes: list[str] = []
        self.put(*ADMIN)

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}:{self.port}"

    def put(self, user: str, password: str) -> None:
        hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(_ROUNDS)).decode()
        self._change(lambda users: {**users, user: hashed})

    def remove(self, user: str) -> None:
        self._change(lambda users: {name: hashed for name, hashed in users.items() if name != user})

    def accepts(self, user: str, password: str) -> bool:
        hashed = self._users().get(user)
        return hashed is not None and bcrypt.checkpw(password.encode(), hashed.encode())

    def _users(self) -> dict[str, str]:
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return dict(line.split(":", 1) for line in lines)

    def _change(self, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
        with self._lock:
            users = change(self._users())
            written = "".join(f"{user}:{hashed}\n" for user, hashed in users.items())
            new = self._file.with_suffix(".new")
            new.write_text(written)
            new.replace(self._file)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        self._answer(200 if self.server.wiki.accepts(*self._login()) else 401)

    def do_PUT(self) -> None:
        password = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self._change("put", lambda user: self.server.wiki.put(user, password))

    def do_DELETE(self) -> None:
        self._change("remove", self.server.wiki.remove)

    def _change(self, verb: str, act: Callable[[str], None]) -> None:
        login, user = self._login(), self.path.removeprefix("/users/")
        if login[0] != ADMIN[0] or not self.server.wiki.accepts(*login):
            self._answer(401)
            return
        act(user)
        self.server.wiki.changes.append(f"{verb} {user}")
        self._answer(204)

    def _login(self) -> tuple[str, str]:
        given = self.headers.get("Authorization", "").removeprefix("Basic ")
        user, _, password = base64.b64decode(given).decode().partition(":")
        return user, password

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the tests ask the wiki itself."""


class _Server(ThreadingHTTPServer):
    def __init__(self, wiki: Wiki, context: ssl.SSLContext | None, host: str) -> None:
        super().__init__((host, 0), _Handler)
        self.wiki = wiki
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True)


@contextmanager
def serving(
    folder: Path, authority: Authority | None = None, *, address: str = "127.0.0.1"
) -> Iterator[Wiki]:
    """Serve a wiki on a free port of loopback, over TLS where an authority is given."""
    wiki = Wiki(folder / "htpasswd")
    context = None
    if authority is not None:
        pair = authority.issue("wiki")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pair.certificate, pair.key)
        wiki.scheme = "https"
    server = _Server(wiki, context, address)
    if address != "127.0.0.1":
        wiki.host = address
    wiki.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield wiki
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
