"""A small HTTPS client for the servers of a control plane."""

import http.client
import json
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from keyturn_controlplane.certificates import SERVER_ADDRESS, KeyPair
from keyturn_controlplane.errors import ControlPlaneError

TIMEOUT_SECONDS = 10.0

_JSON, _MERGE_PATCH = "application/json", "application/merge-patch+json"
_CONTENT = {"GET": _JSON, "POST": _JSON, "PATCH": _MERGE_PATCH}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server on loopback, verified by its authority, which knows us by our certificate."""

    port: int
    ca_file: Path
    client: KeyPair
    address: str = SERVER_ADDRESS
    _context: ssl.SSLContext = field(init=False, repr=False)

    def __post_init__(self) -> None:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.load_cert_chain(self.client.certificate, self.client.key)
        object.__setattr__(self, "_context", context)

    @property
    def url(self) -> str:
        return f"https://{self.address}:{self.port}"

    def answers(self, path: str) -> bool:
        """Tell whether a GET succeeds; False as well while nobody listens."""
        try:
            return self._request("GET", path, None)[0] == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def get(self, path: str) -> bytes:
        """Return the body of a GET.

        Raises:
            ControlPlaneError: The server refused.
            OSError: The server is not there.
        """
        return self._checked("GET", path, None)

    def post(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Post JSON and return the JSON of the answer; raises as `get` does."""
        return self._sent("POST", path, document)

    def patch(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        """Merge JSON into what is there and return what it is then; raises as `get` does."""
        return self._sent("PATCH", path, document)

    def _sent(self, method: str, path: str, document: dict[str, Any]) -> dict[str, Any]:
        body = self._checked(method, path, json.dumps(document).encode())
        answer: dict[str, Any] = json.loads(body)
        return answer

    def _checked(self, method: str, path: str, body: bytes | None) -> bytes:
        status, answer = self._request(method, path, body)
        if status >= http.client.BAD_REQUEST:
            text = answer.decode(errors="replace")
            raise ControlPlaneError(f"{method} {self.url}{path}: {status}: {text}")
        return answer

    def _request(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = http.client.HTTPSConnection(
            self.address, self.port, timeout=TIMEOUT_SECONDS, context=self._context
        )
        try:
            connection.request(method, path, body, {"Content-Type": _CONTENT[method]})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()
