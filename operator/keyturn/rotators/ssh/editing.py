"""Changing a file by SFTP so that it is always whole, and nobody else's change is lost.

The new text is written beside the file, with the same mode and owner, and takes its place by one
rename (`posix-rename@openssh.com`). In the same breath the old file gets a second name by a hard
link: what was replaced can so be looked at afterwards. If that is not what was read before,
somebody else changed the file meanwhile; their text is then the one that the change is made to.
"""

import asyncio
import stat
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from secrets import token_hex
from typing import cast

from asyncssh import SFTPAttrs, SFTPClient, SFTPError, SFTPNoSuchFile

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError

MAX_FILE = 1024 * 1024
"""The largest file that is edited, in bytes."""

_TRIES = 8
_NEW_MODE = 0o600
_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

Change = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class _State:
    """A file as it was read; `attributes` is None where there is none."""

    content: bytes
    attributes: SFTPAttrs | None


class RemoteFile:
    """One file on a server."""

    def __init__(self, sftp: SFTPClient, path: str) -> None:
        self._sftp = sftp
        self._path = path

    async def change(self, change: Change) -> None:
        """Replace the text by what `change` makes of it; nothing is written if that is the same.

        Raises:
            TargetRefusedError: it is no file that is edited, or may not be.
            TargetUnavailableError: others change it all the time.
            SFTPError: the server does not do it.
        """
        found = await self._read()
        base = found.content
        for _ in range(_TRIES):
            wanted = change(base)
            if wanted == found.content:
                return
            replaced = await self._replace(found, wanted)
            if replaced == found.content:
                return
            now = await self._read()
            # What was replaced unread is put back, together with the change.
            base = now.content if replaced is None or now.content != wanted else replaced
            found = now
        raise TargetUnavailableError(f"{self._path} is changed by others all the time")

    async def require_safe_folders(self) -> None:
        """Refuse a path that somebody other than root or the one who edits can redirect.

        Who edits a file of another user follows the links that this user makes: to a file that
        only the editor may change.

        Raises:
            TargetRefusedError: a folder on the way belongs to another user, or is no folder.
        """
        mine = (await self._sftp.lstat(".")).uid
        nearest, *others = PurePosixPath(self._path).parents
        await self._require_safe(str(nearest), {0, mine}, sticky_helps=False)
        for folder in others:
            await self._require_safe(str(folder), {0, mine}, sticky_helps=True)

    async def _require_safe(
        self, folder: str, owners: Collection[int | None], *, sticky_helps: bool
    ) -> None:
        found = await self._sftp.lstat(folder)
        mode = found.permissions or 0
        # Where the sticky bit is set, others can add names, but not change those that are there.
        is_open = mode & _WRITABLE_BY_OTHERS and not (sticky_helps and mode & stat.S_ISVTX)
        if is_open or not stat.S_ISDIR(mode) or found.uid not in owners:
            raise TargetRefusedError(
                f"{folder} can be changed by others than the admin, who would then edit what they "
                "choose; let the user's own key edit the file, or keep it in a folder of root"
            )

    async def _read(self) -> _State:
        try:
            found = await self._sftp.lstat(self._path)
        except SFTPNoSuchFile:
            return _State(b"", None)
        if not stat.S_ISREG(found.permissions or 0):
            raise TargetRefusedError(
                f"{self._path} is no regular file; write the path of the file itself as "
                "authorizedKeysFile"
            )
        content = await self._content(self._path)
        if len(content) > MAX_FILE:
            raise TargetRefusedError(f"{self._path} is larger than {MAX_FILE} bytes")
        return _State(content, found)

    async def _content(self, path: str) -> bytes:
        async with self._sftp.open(path, "rb") as file:
            return cast("bytes", await file.read(MAX_FILE + 1))

    async def _replace(self, found: _State, wanted: bytes) -> bytes | None:
        """Return what was replaced; None if the file had changed before, and still stands."""
        new, old = self._beside("new"), self._beside("old")
        try:
            await self._write(new, wanted, found.attributes)
            if (await self._read()).content != found.content:
                return None
            if found.attributes is None:
                # This rename fails where a file of that name has come meanwhile.
                await self._sftp.rename(new, self._path)
                return b""
            return await self._swap(new, old, found.content)
        finally:
            for left in (new, old):
                with suppress(SFTPError):
                    await self._sftp.remove(left)

    async def _swap(self, new: str, old: str, expected: bytes) -> bytes:
        # Both requests are sent before the first is answered; the server does one after the other.
        linked, renamed = await asyncio.gather(
            self._sftp.link(self._path, old),
            self._sftp.posix_rename(new, self._path),
            return_exceptions=True,
        )
        if isinstance(renamed, BaseException):
            raise renamed
        if isinstance(linked, SFTPError):
            # No hard links here: the last look before the rename has to do.
            return expected
        return await self._content(old)

    async def _write(self, path: str, content: bytes, like: SFTPAttrs | None) -> None:
        private = SFTPAttrs(permissions=_NEW_MODE)
        async with self._sftp.open(path, "xb", attrs=private) as file:
            await file.write(content)
            if like is not None:
                made = await file.stat()
                if (made.uid, made.gid) != (like.uid, like.gid):
                    await file.setstat(SFTPAttrs(uid=like.uid, gid=like.gid))
                await file.setstat(SFTPAttrs(permissions=stat.S_IMODE(like.permissions or 0)))
            with suppress(SFTPError):
                await file.fsync()

    def _beside(self, kind: str) -> str:
        path = PurePosixPath(self._path)
        return str(path.with_name(f".{path.name}.keyturn-{token_hex(8)}.{kind}"))
