"""What happens to the authorized_keys file, and to those that cannot be edited."""

import resource
import signal
import stat

import pytest

from keyturn.domain.errors import TargetRefusedError, TargetUnavailableError
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.ssh.editing import MAX_FILE
from keyturn.testing.rotators import SECRET
from servers.ssh_accounts import (
    FOREIGN,
    a_key,
    accepted,
    line_of,
    retire_key,
    set_key,
    target_of,
)
from servers.sshd import Server, make_folder, own, running_sshd


async def test_lines_of_others_stay_byte_by_byte(
    server: Server, target: Target, current: Credential
) -> None:
    before = server.file.read_bytes()
    pending = a_key(2)
    await set_key(target, pending, current)

    mark = f" keyturn:{SECRET}:2".encode()
    assert server.file.read_bytes() == before + b"\n" + line_of(pending) + mark

    await retire_key(target, current, pending)
    assert server.file.read_bytes() == FOREIGN + b"\n" + line_of(pending) + mark


async def test_options_stand_before_the_key_and_the_key_can_still_edit_the_file(
    server: Server, current: Credential
) -> None:
    target = target_of(server, options='from="127.0.0.1,::1",restrict')
    second, third = a_key(2), a_key(3)

    await set_key(target, second, current)
    await set_key(target, third, second)
    lines = server.file.read_bytes().splitlines()
    assert lines[-1].startswith(b'from="127.0.0.1,::1",restrict ssh-ed25519 ')
    assert await accepted(target, third)


async def test_the_mode_and_the_owner_of_the_file_stay_and_nothing_is_left_beside_it(
    server: Server, target: Target, current: Credential
) -> None:
    own(server.file, 0o440)
    before = server.file.stat()

    await set_key(target, a_key(2), current)
    after = server.file.stat()
    assert stat.S_IMODE(after.st_mode) == 0o440
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert list(server.file.parent.iterdir()) == [server.file]


async def test_nothing_is_written_where_the_key_stands_already(
    server: Server, target: Target, current: Credential
) -> None:
    before = server.file.stat()

    await set_key(target, current, current)
    after = server.file.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


async def test_a_file_that_is_not_there_is_made(server: Server, current: Credential) -> None:
    target, second = target_of(server, authorizedKeysFile=".ssh/second"), a_key(2)

    await set_key(target, second, current)
    made = server.file.with_name("second")
    assert made.read_bytes().startswith(line_of(second))
    assert stat.S_IMODE(made.stat().st_mode) == 0o600
    assert sorted(server.file.parent.iterdir()) == [server.file, made]


@pytest.mark.parametrize("file", ["linked", "folder", "nowhere/authorized_keys", "huge"])
async def test_what_is_no_file_to_edit_is_refused(
    server: Server, current: Credential, file: str
) -> None:
    (server.home / ".ssh" / "linked").symlink_to(server.file)
    make_folder(server.home / ".ssh" / "folder")
    huge = server.home / ".ssh" / "huge"
    huge.write_bytes(b"#" * (MAX_FILE + 1))
    own(huge, 0o600)
    before = server.file.read_bytes()

    with pytest.raises(TargetRefusedError) as refused:
        await set_key(target_of(server, authorizedKeysFile=f".ssh/{file}"), a_key(2), current)
    assert f".ssh/{file}" in refused.value.message
    assert server.file.read_bytes() == before
    assert huge.read_bytes() == b"#" * (MAX_FILE + 1)


async def test_a_folder_that_may_not_be_written_is_refused(
    server: Server, target: Target, current: Credential
) -> None:
    before = server.file.read_bytes()
    own(server.file.parent, 0o500)

    with pytest.raises(TargetRefusedError, match="may not be written"):
        await set_key(target, a_key(2), current)
    assert server.file.read_bytes() == before


def nothing_more_fits() -> None:
    # As a full disk or quota does: a file may grow so far, and write(2) fails beyond it.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (128 * 1024, 128 * 1024))


async def test_a_full_disk_leaves_the_old_file_and_nothing_beside_it() -> None:
    with running_sshd(before_start=nothing_more_fits) as other:
        first, pending = a_key(1), a_key(2)
        content = line_of(first) + b"\n" + b"#" * (128 * 1024 - len(line_of(first)) - 2) + b"\n"
        other.write(content)

        with pytest.raises(TargetUnavailableError, match="is its disk full"):
            await set_key(target_of(other), pending, first)
        assert other.file.read_bytes() == content
        assert list(other.file.parent.iterdir()) == [other.file]
        assert await accepted(target_of(other), first)


async def test_a_forced_command_is_logged_in_to_but_edits_nothing(
    server: Server, target: Target
) -> None:
    first = a_key(1)
    server.write(b'command="/bin/false" ' + line_of(first))

    assert await accepted(target, first)
    with pytest.raises(TargetRefusedError, match="SFTP"):
        await set_key(target, a_key(2), first)


async def test_an_account_for_sftp_alone_is_enough() -> None:
    with running_sshd("ForceCommand internal-sftp", "PermitTTY no") as other:
        first, second = a_key(1), a_key(2)
        # ForceCommand leaves out where the Subsystem begins.
        other.write(line_of(first))
        await set_key(target_of(other, authorizedKeysFile=str(other.file)), second, first)

        assert await accepted(target_of(other), second)


async def test_without_a_key_that_opens_the_account_nothing_is_set(
    server: Server, target: Target
) -> None:
    server.write(FOREIGN)

    for current in (None, a_key(1)):
        with pytest.raises(TargetRefusedError, match="by hand"):
            await set_key(target, a_key(2), current)
    assert server.file.read_bytes() == FOREIGN


async def test_a_server_that_cannot_replace_a_file_in_one_step_is_refused() -> None:
    with running_sshd(sftp="-P posix-rename") as other:
        first = a_key(1)
        other.write(line_of(first))

        with pytest.raises(TargetRefusedError, match="in one step"):
            await set_key(target_of(other), a_key(2), first)
        assert other.file.read_bytes() == line_of(first)
        assert list(other.file.parent.iterdir()) == [other.file]


async def test_a_server_without_hard_links_and_fsync_is_enough() -> None:
    with running_sshd(sftp="-P hardlink,fsync") as other:
        first, second = a_key(1), a_key(2)
        other.write(line_of(first))
        await set_key(target_of(other), second, first)

        assert other.file.read_bytes().startswith(line_of(first) + b"\n" + line_of(second))
        assert list(other.file.parent.iterdir()) == [other.file]
