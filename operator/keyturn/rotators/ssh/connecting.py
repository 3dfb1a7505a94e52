"""Logging in by SSH: one known host, one user, one key, and nothing that is found lying around."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncssh

from keyturn.domain.errors import KeyturnError, TargetRefusedError, TargetUnavailableError
from keyturn.domain.payload import SecretValue
from keyturn.rotators.ssh.parameters import HostKeys, SSHParameters

# What asyncssh would read of the process's user: ~/.ssh/config, known hosts, keys, the agent.
_NOTHING_AROUND: dict[str, Any] = {
    "config": None,
    "agent_path": None,
    "client_keys": None,
    "client_host_keysign": False,
    "host_based_auth": False,
    "password": None,
    "gss_kex": False,
    "gss_auth": False,
    "gss_host": None,
    "x509_trusted_certs": None,
    "preferred_auth": ["publickey"],
    "disable_trivial_auth": True,
    "compression_algs": None,
}


class KeyRefusedError(Exception):
    """The server looked at the key and refused it."""


class _OneKey(asyncssh.SSHClient):
    """Trusts the listed host keys, and offers one key once."""

    def __init__(self, host_keys: HostKeys, key: asyncssh.SSHKey) -> None:
        self._host_keys = host_keys
        self._key = key
        self.offered = False

    def validate_host_public_key(
        self,
        host: str,  # noqa: ARG002
        addr: str,  # noqa: ARG002
        port: int,  # noqa: ARG002
        key: asyncssh.SSHKey,
    ) -> bool:
        return self._host_keys.hold(key)

    def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKey] | None:
        # Called only where the server takes public keys at all.
        if self.offered:
            return None
        self.offered = True
        return [self._key]


def text_of(value: SecretValue) -> str:
    """Read a user name.

    Raises:
        TargetRefusedError: it is none.
    """
    try:
        return str(value.reveal(), "ascii")
    except UnicodeDecodeError:
        raise TargetRefusedError("the value username is no name of a user") from None


def public_blob(value: SecretValue) -> bytes:
    """Read a public key's line, and return the key in SSH's binary form.

    Raises:
        TargetRefusedError: it is none.
    """
    try:
        return asyncssh.import_public_key(bytes(value.reveal())).public_data
    except (asyncssh.KeyImportError, ValueError):
        raise TargetRefusedError("the value publicKey is no public key of SSH") from None


def import_key(value: SecretValue) -> asyncssh.SSHKey:
    """Read a private key.

    Raises:
        TargetRefusedError: it is none, or has a passphrase.
    """
    try:
        return asyncssh.import_private_key(bytes(value.reveal()))
    except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError, ValueError):
        raise TargetRefusedError(
            "the value privateKey is no private key of SSH without a passphrase"
        ) from None


@asynccontextmanager
async def logged_in(
    parameters: SSHParameters, user: str, key: asyncssh.SSHKey, seconds: float
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    """Log in; leaving closes the connection. Connecting takes `seconds` at most.

    Raises:
        KeyRefusedError: the server refused this key for this user.
        TargetUnavailableError: it does not answer, is another one, or says nothing about the key.
    """
    client = _OneKey(parameters.host_keys, key)
    connection = await _connect(parameters, user, client, seconds)
    try:
        yield connection
    finally:
        connection.abort()


async def _connect(
    parameters: SSHParameters, user: str, client: _OneKey, seconds: float
) -> asyncssh.SSHClientConnection:
    try:
        async with asyncio.timeout(seconds):
            return await asyncssh.connect(
                parameters.host,
                parameters.port,
                username=user,
                client_factory=lambda: client,
                # None would trust any host; this trusts none but those the client knows.
                known_hosts=([], [], []),
                server_host_key_algs=parameters.host_keys.algorithms,
                connect_timeout=seconds,
                login_timeout=seconds,
                **_NOTHING_AROUND,
            )
    except asyncssh.PermissionDenied:
        if client.offered:
            raise KeyRefusedError from None
        raise TargetUnavailableError(
            f"{parameters.host} takes no public keys from {user!r}, so nothing is known of this one"
        ) from None
    except asyncssh.HostKeyNotVerifiable:
        raise TargetUnavailableError(
            f"{parameters.host} has a host key that is not among hostKeys; compare them first"
        ) from None
    except asyncssh.KeyExchangeFailed:
        raise TargetUnavailableError(
            f"{parameters.host} has no host key of a type that is among hostKeys"
        ) from None
    except (asyncssh.Error, OSError, TimeoutError, ValueError) as error:
        raise unavailable(parameters.host, error) from None


def unavailable(host: str, error: Exception) -> KeyturnError:
    """Translate what went wrong with a connection; texts of the server are left out."""
    if isinstance(error, TimeoutError):
        return TargetUnavailableError(f"{host} does not answer in time")
    if isinstance(error, asyncssh.DisconnectError):
        return TargetUnavailableError(f"{host} ended the connection (SSH code {error.code})")
    return TargetUnavailableError(f"{host} cannot be reached by SSH")
