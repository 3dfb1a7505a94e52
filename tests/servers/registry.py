"""A little registry of one image, from which only who has its login may pull."""

import base64
import json
import ssl
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from servers.certificates import Authority

_INDEX = "index.json"


class Registry:
    """An image that was written by `keyturn_controlplane.images`, behind a login."""

    def __init__(self, archive: Path, address: str) -> None:
        with tarfile.open(archive) as tar:
            files = {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]
        self._blobs = {
            f"sha256:{name.rpartition('/')[2]}": data
            for name, data in files.items()
            if name.startswith("blobs/")
        }
        (entry,) = json.loads(files[_INDEX])["manifests"]
        self._manifest, self._media_type = entry["digest"], entry["mediaType"]
        self._logins: set[bytes] = set()
        self._address = address
        self.port = 0
        self.pulls = 0

    @property
    def host(self) -> str:
        return f"{self._address}:{self.port}"

    @property
    def image(self) -> str:
        return f"{self.host}/app:1"

    def admit(self, user: str, password: bytes) -> None:
        """Let a user pull by a password, and nobody by any other."""
        self._logins = {base64.b64encode(user.encode() + b":" + password)}

    def find(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Return the status, the type and the body for a GET."""
        kind, _, given = authorization.partition(" ")
        if kind != "Basic" or given.encode() not in self._logins:
            return 401, "application/json", b"{}"
        if "/manifests/" in path:
            self.pulls += 1
            return 200, self._media_type, self._blobs[self._manifest]
        data = self._blobs.get(path.rpartition("/")[2], b"{}")
        return 200, "application/octet-stream", data

    def digest_of(self, path: str) -> str:
        return str(self._manifest) if "/manifests/" in path else path.rpartition("/")[2]


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        self.wfile.write(self._answer())

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> bytes:
        registry = self.server.registry
        status, kind, body = registry.find(self.path, self.headers.get("Authorization", ""))
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="registry"')
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", registry.digest_of(self.path))
        self.end_headers()
        return body

    def log_message(self, *_: Any) -> None:
        """Say nothing: the tests ask the registry itself."""


class _Server(ThreadingHTTPServer):
    def __init__(self, registry: Registry, address: str, context: ssl.SSLContext) -> None:
        super().__init__((address, 0), _Handler)
        self.registry = registry
        self.socket = context.wrap_socket(self.socket, server_side=True)


@contextmanager
def serving(archive: Path, address: str, authority: Authority) -> Iterator[Registry]:
    """Serve the image of an archive of the OCI on an address of loopback.

    It is TLS, as containerd asks for it; who vouches for it does not matter to it on loopback.
    """
    pair = authority.issue("registry")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    registry = Registry(archive, address)
    server = _Server(registry, address, context)
    registry.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
