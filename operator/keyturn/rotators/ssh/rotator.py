"""The rotator of SSH keys: it adds and removes lines of a user's authorized_keys file."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import asyncssh

from keyturn.domain.errors import (
    InvalidParameterError,
    KeyturnError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Order, Target, Traits
from keyturn.rotators.ssh.authorized_keys import with_key, without_keys
from keyturn.rotators.ssh.connecting import (
    KeyRefusedError,
    import_key,
    logged_in,
    public_blob,
    text_of,
    unavailable,
)
from keyturn.rotators.ssh.editing import Change, RemoteFile
from keyturn.rotators.ssh.parameters import DEFAULT_FILE, SSHParameters

_VALUES = {
    "privateKey": "ssh-privatekey",
    "publicKey": "ssh-privatekey.pub",
    "username": "username",
}
_MOST_EDITORS = 3


class SSHRotator:
    """Lets a new key into an account beside the old one, and later takes the old one out."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        SSHParameters.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        named = {"username"} if not SSHParameters.read(parameters).user else set()
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER}),
            values=_VALUES,
            required=frozenset({"privateKey"} | named),
            rotated=frozenset({"privateKey", "publicKey"}),
            has_lock=False,
            coexists=True,
        )

    @asynccontextmanager
    async def session(self, target: Target, order: Order) -> AsyncIterator["SSHSession"]:
        # Each act has a connection of its own: who may edit the file differs from act to act.
        yield SSHSession(target, order)


class SSHSession:
    """Acts on one account; see `keyturn.rotators.interface.Session`."""

    def __init__(self, target: Target, order: Order) -> None:
        self._parameters = SSHParameters.read(target.parameters)
        self._target = target
        self._order = order

    async def accepts(self, credential: Credential) -> bool:
        key = import_key(credential.values["privateKey"])
        try:
            async with logged_in(
                self._parameters, self._user(credential), key, self._target.timeout
            ):
                return True
        except KeyRefusedError:
            return False

    async def set(self, pending: Credential) -> None:
        blob = _blob(pending)
        line = self._line(import_key(pending.values["privateKey"]), pending.version)
        order = self._order
        await self._edit(
            partial(with_key, blob=blob, line=line), [order.current, order.previous, pending]
        )

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        # A key that was retired and still opens the account would be a lie: each of its lines
        # goes, also one that a person wrote before the secret was imported.
        blobs = {_blob(old)} - {_blob(credential) for credential in kept}
        if blobs:
            await self._edit(partial(without_keys, blobs=blobs), [*kept, self._order.current, old])

    async def holds_lock(self) -> bool:
        return True

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:  # noqa: ARG002
        raise TargetRefusedError("a server of SSH issues no keys")

    def _user(self, credential: Credential) -> str:
        if self._parameters.user:
            return self._parameters.user
        if "username" in credential.values:
            return text_of(credential.values["username"])
        return self._order.base_username

    def _line(self, key: asyncssh.SSHKey, version: int) -> bytes:
        mark = f"keyturn:{self._order.secret_id}:{version}".encode()
        words = [key.algorithm, b64encode(key.public_data), mark]
        options = self._parameters.options.encode()
        return b" ".join([options, *words] if options else words)

    async def _edit(self, change: Change, candidates: Iterable[Credential | None]) -> None:
        if self._target.admin:
            return await self._edit_as_admin(change)
        users = list({_blob(user): user for user in candidates if user is not None}.values())
        for user in users[:_MOST_EDITORS]:
            with_own_key = import_key(user.values["privateKey"])
            try:
                await self._edit_as(self._user(user), with_own_key, change)
            except KeyRefusedError:
                continue
            return None
        raise TargetRefusedError(
            "no key of this secret opens the account; add its public key by hand, or give the "
            "Rotator an adminRef"
        )

    async def _edit_as_admin(self, change: Change) -> None:
        admin = self._target.admin
        if not {"username", "privateKey"} <= admin.keys():
            raise InvalidParameterError("the admin credential needs username and privateKey")
        try:
            await self._edit_as(text_of(admin["username"]), import_key(admin["privateKey"]), change)
        except KeyRefusedError:
            raise TargetUnavailableError(
                f"{self._parameters.host} refuses the key of the admin"
            ) from None

    async def _edit_as(self, editor: str, key: asyncssh.SSHKey, change: Change) -> None:
        parameters, seconds = self._parameters, self._target.timeout
        path = parameters.file or DEFAULT_FILE
        is_other = bool(self._target.admin) and editor != self._username()
        if is_other and not path.startswith("/"):
            raise InvalidParameterError(
                "authorizedKeysFile must be a whole path, as the admin has another home; "
                "write for example authorizedKeysFile: /etc/ssh/authorized_keys/deploy"
            )
        async with logged_in(parameters, editor, key, seconds) as connection:
            try:
                async with asyncio.timeout(seconds), _sftp(connection) as sftp:
                    file = RemoteFile(sftp, path)
                    if is_other:
                        await file.require_safe_folders()
                    await file.change(change)
            except (asyncssh.Error, OSError, TimeoutError) as error:
                raise _failure(parameters.host, path, error) from None

    def _username(self) -> str:
        order = self._order
        known = order.pending or order.current or order.previous
        return self._user(known) if known else self._parameters.user or order.base_username


@asynccontextmanager
async def _sftp(connection: asyncssh.SSHClientConnection) -> AsyncIterator[asyncssh.SFTPClient]:
    try:
        client = await connection.start_sftp_client()
    except (asyncssh.ChannelOpenError, asyncssh.SFTPError):
        # A forced command, or no Subsystem.
        raise TargetRefusedError(
            "the server gives no SFTP to the one who edits the file; allow it, or give the "
            "Rotator an adminRef that has it"
        ) from None
    async with client:
        yield client


def _blob(credential: Credential) -> bytes:
    blob = import_key(credential.values["privateKey"]).public_data
    public = credential.values.get("publicKey")
    if public is not None and public_blob(public) != blob:
        raise TargetRefusedError("the value publicKey is not that of privateKey")
    return blob


def _failure(host: str, path: str, error: Exception) -> KeyturnError:
    match error:
        case asyncssh.SFTPPermissionDenied() | asyncssh.SFTPWriteProtect():
            return TargetRefusedError(f"{path} or its folder may not be written")
        case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath():
            return TargetRefusedError(f"the folder of {path} does not exist")
        case asyncssh.SFTPOpUnsupported():
            return TargetRefusedError(
                f"{host} cannot replace a file by SFTP in one step (posix-rename@openssh.com)"
            )
        case asyncssh.SFTPError():
            return TargetUnavailableError(
                f"{path} could not be written (SFTP code {error.code}); is its disk full?"
            )
        case _:
            return unavailable(host, error)
