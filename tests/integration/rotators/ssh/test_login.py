"""Whom the SSH rotator logs in to, with what, and what it does not use."""

import asyncio
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from documents import document
from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.ssh.rotator import SSHRotator
from listening import talking
from servers.ssh_accounts import (
    a_key,
    accepted,
    line_of,
    named,
    private_key,
    set_key,
    target_of,
)
from servers.sshd import USER, Server, running_sshd


def authentications(log: str) -> list[str]:
    return [line for line in log.splitlines() if "userauth-request" in line]


@pytest.mark.parametrize(
    "wrong",
    [
        lambda server: [line_of(a_key(1)).decode()],
        lambda server: ["SHA256:" + "A" * 43],
        lambda server: [line_of(a_key(1)).decode(), "SHA256:" + "A" * 43],
    ],
    ids=["another key", "another fingerprint", "both"],
)
async def test_another_host_key_sees_no_login(wrong: Callable[[Server], list[str]]) -> None:
    with running_sshd() as other:
        first = a_key(1)
        other.write(line_of(first))

        with pytest.raises(TargetUnavailableError, match="host key"):
            await accepted(target_of(other, hostKeys=wrong(other)), first)
        assert "Connection from" in other.log()
        assert authentications(other.log()) == []


def with_names(server: Server) -> str:
    return f"[127.0.0.1]:{server.port},files.example.com {server.host_key()}"


def hashed(server: Server) -> str:
    return f"|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= {server.host_key()}"


def fingerprint(server: Server) -> str:
    return asyncssh.import_public_key(server.host_key()).get_fingerprint()


@pytest.mark.parametrize(
    "written",
    [Server.host_key, with_names, hashed, fingerprint, lambda server: server.host_key("rsa")],
    ids=["a .pub file", "known_hosts", "hashed names", "a fingerprint", "the RSA key alone"],
)
async def test_a_host_key_is_known_by_its_line_or_fingerprint(
    server: Server, current: Credential, written: Callable[[Server], str]
) -> None:
    assert await accepted(target_of(server, hostKeys=[written(server)]), current)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("hostKeys", None),
        ("hostKeys", []),
        ("hostKeys", ["@cert-authority * ssh-ed25519 AAAA"]),
        ("hostKeys", ["files.example.com"]),
        ("hostKeys", ["MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48"]),
        ("host", ""),
        ("host", "a b"),
        ("port", 0),
        ("user", "-oProxyCommand=x"),
        ("user", "a/../b"),
        ("authorizedKeysFile", "/home/%u/.ssh/authorized_keys"),
        ("authorizedKeysFile", "~/.ssh/authorized_keys"),
        ("authorizedKeysFile", "/home/../etc/passwd"),
        ("authorizedKeysFile", "/home/"),
        ("options", "no-pty\nssh-ed25519 AAAA"),
        ("options", "no-pty "),
        ("options", 'command="open'),
        ("options", "# no-pty"),
        ("options", "no-pty,cert-authority"),
        ("options", "ssh-ed25519"),
    ],
)
def test_a_parameter_that_cannot_work_is_refused_by_name(
    target: Target, name: str, value: object
) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        SSHRotator().check({**target.parameters, name: value})
    assert refused.value.message.startswith(name)


async def test_nothing_that_lies_around_is_used(
    server: Server,
    target: Target,
    current: Credential,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key, a known host, a configuration and an agent of the process's user."""
    asked: list[object] = []
    home = tmp_path / ".ssh"
    home.mkdir()
    (home / "id_ed25519").write_bytes(current.values["privateKey"].reveal())
    (home / "id_ed25519").chmod(0o600)
    (home / "known_hosts").write_text(f"[127.0.0.1]:{server.port} {server.host_key()}\n")
    (home / "config").write_text(f"ProxyCommand touch {tmp_path}/proxied\nUser root\n")
    agent = await asyncio.start_unix_server(lambda *them: asked.append(them), tmp_path / "agent")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))

    async with agent:
        assert not await accepted(target, a_key(2))
        assert await accepted(target, current)
        with pytest.raises(TargetUnavailableError):
            await accepted(target_of(server, hostKeys=["SHA256:" + "A" * 43]), current)
    assert asked == []
    assert not (tmp_path / "proxied").exists()


async def test_only_the_one_key_is_offered_and_never_a_password() -> None:
    with running_sshd() as other:
        assert not await accepted(target_of(other), a_key(1))

        methods = [line.rsplit(" method ")[1].split()[0] for line in authentications(other.log())]
        assert methods == ["none", "publickey"]


async def test_a_server_that_takes_no_keys_says_nothing_of_this_one() -> None:
    with (
        running_sshd("PubkeyAuthentication no") as other,
        pytest.raises(TargetUnavailableError, match="takes no public keys"),
    ):
        await accepted(target_of(other), a_key(1))


async def test_an_account_that_asks_for_more_than_the_key_counts_as_closed() -> None:
    with running_sshd("AuthenticationMethods publickey,password") as other:
        first = a_key(1)
        other.write(line_of(first))

        assert not await accepted(target_of(other), first)


async def test_no_key_reaches_a_log(
    server: Server, target: Target, current: Credential, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncssh.set_debug_level(3)
    pending = a_key(2)
    try:
        await set_key(target, pending, current)
    finally:
        asyncssh.set_debug_level(1)

    for credential in (current, pending):
        for line in private_key(credential).decode().splitlines()[1:-1]:
            assert line not in caplog.text + server.log()


def test_the_example_of_the_page_is_taken() -> None:
    (example,) = document("docs/rotators-ssh.md").manifests()

    SSHRotator().check(example["spec"]["ssh"])


async def test_a_server_that_is_no_sshd_is_unavailable() -> None:
    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n" * 2000)
        writer.close()

    async with talking(talk) as port:
        known = {"host": "127.0.0.1", "port": port}
        wanted = Target({**known, "hostKeys": ["SHA256:" + "A" * 43], "user": USER}, timeout=5.0)
        with pytest.raises(TargetUnavailableError):
            await accepted(wanted, a_key(1))


async def test_a_silent_server_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        known = {"host": "127.0.0.1", "port": listener.getsockname()[1]}
        wanted = Target({**known, "hostKeys": ["SHA256:" + "A" * 43], "user": USER}, timeout=0.5)
        with pytest.raises(TargetUnavailableError):
            await accepted(wanted, a_key(1))


async def test_the_user_may_be_a_value_of_the_secret(server: Server, current: Credential) -> None:
    known = {**target_of(server).parameters, "user": None}
    values = {**current.values, "username": named(USER)}

    assert SSHRotator().traits(known).required == {"privateKey", "username"}
    assert await accepted(Target(known, timeout=20.0), Credential(1, values))


@pytest.mark.parametrize("key", [b"", b"no key", b"\xff", None], ids=repr)
async def test_what_is_no_key_is_refused_without_a_word_of_it(
    target: Target, current: Credential, key: bytes | None
) -> None:
    locked = asyncssh.generate_private_key("ssh-ed25519").export_private_key(passphrase="x")
    values = {"privateKey": SecretValue(locked if key is None else key)}

    with pytest.raises(TargetRefusedError, match="without a passphrase"):
        await set_key(target, Credential(2, values), current)


async def test_a_public_key_of_another_pair_is_not_rotated(
    server: Server, target: Target, current: Credential
) -> None:
    before, wrong = server.file.read_bytes(), a_key(2)
    wrong = replace(wrong, values={**wrong.values, "publicKey": current.values["publicKey"]})

    with pytest.raises(TargetRefusedError, match="publicKey"):
        await set_key(target, wrong, current)
    assert server.file.read_bytes() == before
