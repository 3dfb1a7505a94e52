"""An admin edits the file of another user, and is not led to a file that this user chooses."""

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.interface import Credential, Target
from servers.ssh_accounts import FOREIGN, a_key, line_of, named, set_key, target_of
from servers.sshd import ADMIN, Server, own


@pytest.fixture
def admin(server: Server) -> Iterator[Credential]:
    key = a_key(1)
    before = server.admin_file.read_bytes() if server.admin_file.exists() else b""
    server.admin_file.write_bytes(line_of(key))
    server.admin_file.chmod(0o600)
    yield key
    server.admin_file.write_bytes(before)


@pytest.fixture
def kept_by_root(server: Server) -> Iterator[Path]:
    """A file in a folder of the admin, for a user that is another one."""
    folder = server.folder / "of-admin"
    folder.mkdir(mode=0o755)
    file = folder / "somebody"
    file.write_bytes(FOREIGN)
    own(file, 0o640)
    yield file
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()


def by_admin(server: Server, admin: Credential, file: Path) -> Target:
    values = {**admin.values, "username": named(ADMIN)}
    known = target_of(server, user="somebody", authorizedKeysFile=str(file))
    return replace(known, admin=values)


async def test_an_admin_edits_a_file_in_a_folder_of_its_own(
    server: Server, admin: Credential, kept_by_root: Path
) -> None:
    before = kept_by_root.stat()
    pending = a_key(2)

    await set_key(by_admin(server, admin, kept_by_root), pending, None)
    assert line_of(pending) in kept_by_root.read_bytes()
    after = kept_by_root.stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert stat.S_IMODE(after.st_mode) == 0o640


@pytest.mark.parametrize("way", ["open", "sticky", "linked"])
async def test_an_admin_does_not_follow_a_way_that_others_can_change(
    server: Server, admin: Credential, kept_by_root: Path, way: str
) -> None:
    path = kept_by_root
    if way != "linked":
        kept_by_root.parent.chmod(0o777 if way == "open" else 0o1777)
    else:
        (server.folder / "link").symlink_to(kept_by_root.parent)
        path = server.folder / "link" / kept_by_root.name
    try:
        with pytest.raises(TargetRefusedError, match="can be changed by others"):
            await set_key(by_admin(server, admin, path), a_key(2), None)
    finally:
        (server.folder / "link").unlink(missing_ok=True)
    assert kept_by_root.read_bytes() == FOREIGN


async def test_an_admin_needs_a_whole_path_and_a_name(
    server: Server, admin: Credential, kept_by_root: Path
) -> None:
    target = by_admin(server, admin, kept_by_root)
    near = replace(target, parameters={**target.parameters, "authorizedKeysFile": "a"})
    nameless = replace(target, admin=admin.values)

    for wanted in (near, nameless):
        with pytest.raises(InvalidParameterError):
            await set_key(wanted, a_key(2), None)


async def test_an_admin_whose_key_is_refused_says_nothing_of_the_secret(
    server: Server, admin: Credential, kept_by_root: Path
) -> None:
    with pytest.raises(TargetUnavailableError, match="of the admin"):
        await set_key(by_admin(server, a_key(1), kept_by_root), a_key(2), None)
