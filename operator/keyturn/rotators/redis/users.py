"""The users of a server, read and changed by the ACL commands, and kept over a restart."""

from collections.abc import Sequence

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError
from keyturn.rotators.redis.acl import User, read_user
from keyturn.rotators.redis.connection import NO_FILE, ReplyError, Server
from keyturn.rotators.redis.parameters import Persist

_SAVING = {Persist.ACL_FILE: ("ACL", "SAVE"), Persist.CONFIG: ("CONFIG", "REWRITE")}


class Users:
    """The users of one server, seen by a connection that may change them."""

    def __init__(self, server: Server, persist: Persist) -> None:
        self._server = server
        self._persist = persist

    async def find(self, name: str) -> User | None:
        """Read a user; None: there is none of that name.

        Raises:
            TargetRefusedError: it may not be read, or has rules of an unknown kind.
            TargetUnavailableError: no reply.
        """
        try:
            reply = await self._server.ask("ACL", "GETUSER", name)
        except ReplyError as error:
            raise error.as_ours("ACL GETUSER") from None
        return None if reply is None else read_user(reply)

    async def change(self, name: str, modifiers: Sequence[str]) -> None:
        """Change a user by all the modifiers at once, and keep that over a restart.

        Raises:
            TargetRefusedError: nothing was changed.
            TargetUnavailableError: it may have been, and may be lost by a restart.
        """
        try:
            await self._server.ask("ACL", "SETUSER", name, *modifiers)
        except ReplyError as error:
            raise error.as_ours("ACL SETUSER") from None
        try:
            await self._save()
        except ReplyError as error:
            raise TargetUnavailableError(
                f"the change is made, but the Redis server cannot keep it ({error.code})"
            ) from None

    async def keep(self) -> None:
        """Keep what was changed so far over a restart.

        Raises:
            TargetRefusedError: the server has nowhere to keep it, or does not allow it.
            TargetUnavailableError: not now.
        """
        try:
            await self._save()
        except ReplyError as error:
            if error.code == NO_FILE:
                raise TargetRefusedError(_nowhere(self._persist)) from None
            if error.code != "NOPERM":
                # What fails with ERR here is a disk, and not the question.
                raise TargetUnavailableError(
                    "the Redis server cannot write down its users; its log says why"
                ) from None
            raise error.as_ours(" ".join(_SAVING[self._persist])) from None

    async def _save(self) -> None:
        if self._persist is not Persist.NONE:
            await self._server.ask(*_SAVING[self._persist])


def _nowhere(persist: Persist) -> str:
    if persist is Persist.ACL_FILE:
        return (
            "the Redis server has no ACL file, so its restart would lose every rotation; give it "
            "an aclfile, or write persist: config (CONFIG REWRITE) or persist: none"
        )
    return (
        "the Redis server runs without a configuration file, so its restart would lose every "
        "rotation; give it an aclfile and write persist: aclFile, or write persist: none"
    )
