"""Others who are there at the same time: editors of the file, open sessions, and kill -9."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.ssh.editing import RemoteFile
from servers.ssh_accounts import (
    FOREIGN,
    a_key,
    accepted,
    line_of,
    private_key,
    retire_key,
    set_key,
)
from servers.sshd import USER, Server, own, running_sshd

VICTIM = Path(__file__).parent / "victim.py"


@asynccontextmanager
async def logged_in(
    server: Server, credential: Credential
) -> AsyncIterator[asyncssh.SSHClientConnection]:
    async with asyncssh.connect(
        "127.0.0.1",
        server.port,
        username=USER,
        client_keys=[asyncssh.import_private_key(private_key(credential))],
        known_hosts=([asyncssh.import_public_key(server.host_key())], [], []),
        config=None,
        agent_path=None,
    ) as connection:
        yield connection


class Meddled:
    """An SFTP client that lets somebody else change the file right before one of its acts."""

    def __init__(
        self, sftp: asyncssh.SFTPClient, act: str, turn: int, change: Callable[[], object]
    ) -> None:
        self._sftp, self._act, self._turn, self._change = sftp, act, turn, change

    def __getattr__(self, name: str) -> Any:
        if name == self._act:
            self._turn -= 1
            if self._turn == 0:
                self._change()
        return getattr(self._sftp, name)


def append(file: Path) -> None:
    with file.open("ab") as opened:
        opened.write(b"\n# another line")


def put_another_in_place(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(file.read_bytes() + b"\n# another line")
    own(other, 0o600)
    other.rename(file)


async def edit_while(
    server: Server, editor: Credential, act: str, turn: int, change: Callable[[Path], None]
) -> None:
    """Add a line while somebody else changes the file right before an act; nothing is lost."""
    async with logged_in(server, editor) as connection, connection.start_sftp_client() as sftp:
        meddled: Any = Meddled(sftp, act, turn, lambda: change(server.file))
        await RemoteFile(meddled, ".ssh/authorized_keys").change(
            lambda content: content if b"# ours too" in content else content + b"\n# ours too\n"
        )
    content = server.file.read_bytes()
    assert b"# another line" in content
    assert content.count(b"# ours too") == 1
    assert content.startswith(FOREIGN)
    assert list(server.file.parent.iterdir()) == [server.file]


# Before the first look, before the writing, before the last look, and after it.
@pytest.mark.parametrize("change", [append, put_another_in_place])
@pytest.mark.parametrize(
    ("act", "turn"), [("open", 1), ("open", 2), ("open", 3), ("link", 1)], ids=str
)
async def test_a_change_of_somebody_else_is_not_lost(
    server: Server, current: Credential, act: str, turn: int, change: Callable[[Path], None]
) -> None:
    await edit_while(server, current, act, turn, change)


@pytest.mark.parametrize("change", [append, put_another_in_place])
async def test_without_hard_links_it_is_not_lost_until_the_last_look(
    change: Callable[[Path], None],
) -> None:
    with running_sshd(sftp="-P hardlink") as other:
        for turn in (1, 2, 3):
            first = a_key(1)
            other.write(FOREIGN + b"\n" + line_of(first))
            await edit_while(other, first, "open", turn, change)


async def test_a_file_that_comes_meanwhile_is_not_written_over(
    server: Server, current: Credential
) -> None:
    file = server.file.with_name("second")
    async with logged_in(server, current) as connection, connection.start_sftp_client() as sftp:
        meddled: Any = Meddled(sftp, "rename", 1, lambda: file.write_bytes(b"# theirs\n"))
        with pytest.raises(asyncssh.SFTPError):
            await RemoteFile(meddled, ".ssh/second").change(lambda content: content + b"# ours\n")

    assert file.read_bytes() == b"# theirs\n"
    assert sorted(server.file.parent.iterdir()) == [server.file, file]


async def test_twenty_five_open_sessions_outlive_two_rotations(
    server: Server, target: Target, current: Credential
) -> None:
    keys = [current, a_key(2), a_key(3)]
    async with AsyncExitStack() as open_sessions:
        clients = []
        for _ in range(25):
            session = await open_sessions.enter_async_context(logged_in(server, current))
            clients.append(await session.start_sftp_client())
        for old, new in pairwise(keys):
            await set_key(target, new, old)
            await retire_key(target, old, new)
            assert all([await client.exists(".ssh/authorized_keys") for client in clients])
    assert [await accepted(target, key) for key in keys] == [False, False, True]


@pytest.mark.parametrize("act", ["link", "posix_rename"])
async def test_a_kill_before_the_rename_leaves_the_old_file(
    server: Server, target: Target, current: Credential, act: str
) -> None:
    before, pending = server.file.read_bytes(), a_key(2)
    victim = await asyncio.create_subprocess_exec(
        *(sys.executable, str(VICTIM), str(server.port), USER, server.host_key(), act),
        stdin=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    await victim.communicate(b"\0".join([private_key(current), private_key(pending)]))
    assert victim.returncode == -signal.SIGKILL

    assert server.file.read_bytes() == before
    await set_key(target, pending, current)
    assert await accepted(target, pending)
    assert await accepted(target, current)
