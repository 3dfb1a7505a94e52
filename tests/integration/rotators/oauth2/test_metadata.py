"""Where tokens are asked for: the metadata of the issuer, and of nobody else."""

from typing import Any

import pytest

from documents import document
from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.rotators.interface import Credential, Target
from keyturn.rotators.oauth2.rotator import OAuth2Rotator
from servers.authorization_server import Running
from servers.certificates import Authority
from servers.oauth2_clients import issued, target_of


async def test_openid_metadata_is_read_where_there_is_no_other(
    server: Running, target: Target, current: Credential
) -> None:
    server.behave(openid_only=True)

    await issued(target, current)
    assert [call["name"] for call in server.calls()] == ["metadata", "openid", "token"]


async def test_without_an_issuer_nothing_is_looked_up(
    server: Running, authority: Authority, current: Credential
) -> None:
    target = target_of(server, authority, issuer=None, tokenEndpoint=server.url("token"))

    await issued(target, current)
    assert [call["name"] for call in server.calls()] == ["token"]


WRONG: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://auth.example.com/shop"},
    "a slash more": {"issuer": "…/"},
    "no issuer": {"issuer": None},
    "an endpoint of the cloud": {"token_endpoint": "https://169.254.169.254/latest/meta-data/"},
    "an endpoint without TLS": {"token_endpoint": "http://localhost/token"},
    "an endpoint that is a file": {"token_endpoint": "file:///etc/passwd"},
    "an endpoint with a user": {"token_endpoint": "https://a@localhost/token"},
    "no endpoint": {"token_endpoint": None},
    "a list of endpoints": {"token_endpoint": ["https://localhost/token"]},
}


@pytest.mark.parametrize("metadata", WRONG.values(), ids=WRONG)
async def test_metadata_that_cannot_be_relied_on_gets_no_token(
    server: Running, target: Target, current: Credential, metadata: dict[str, Any]
) -> None:
    put = {
        name: f"{server.issuer}/" if value == "…/" else value for name, value in metadata.items()
    }
    server.behave(metadata=put)

    with pytest.raises(TargetUnavailableError):
        await issued(target, current)
    assert [call["name"] for call in server.calls()] == ["metadata"]


@pytest.mark.parametrize("methods", [["private_key_jwt"], [], None, "client_secret_post"])
async def test_a_server_that_takes_no_such_client_is_not_asked(
    server: Running, authority: Authority, current: Credential, methods: object
) -> None:
    server.behave(metadata={"token_endpoint_auth_methods_supported": methods})
    target = target_of(server, authority, clientAuthentication="client_secret_post")

    with pytest.raises(TargetRefusedError, match="client_secret_post"):
        await issued(target, current)
    assert [call["name"] for call in server.calls()] == ["metadata"]


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 302, "headers": {"Location": "https://127.0.0.1:1/"}},
        {"status": 500},
        {"body": "[]"},
        {"body": "{}", "headers": {"Content-Type": "text/plain"}},
    ],
)
async def test_what_is_no_metadata_is_unavailable(
    server: Running, target: Target, current: Credential, answer: dict[str, Any]
) -> None:
    server.behave(answers={"metadata": answer})

    with pytest.raises(TargetUnavailableError):
        await issued(target, current)


async def test_an_issuer_without_metadata_is_told_what_to_write(
    server: Running, authority: Authority, current: Credential
) -> None:
    target = target_of(server, authority, issuer=server.issuer.removesuffix("/shop"))

    with pytest.raises(TargetUnavailableError, match="write tokenEndpoint"):
        await issued(target, current)


URLS = ("issuer", "introspectionEndpoint", "revocationEndpoint", "testURL")


@pytest.mark.parametrize("name", URLS)
@pytest.mark.parametrize(
    "url",
    [
        "http://auth.example.com/",
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://[::ffff:169.254.169.254]/",
        "https://auth.example.com@127.0.0.1/",
        "file:///etc/passwd",
        "unix:///run/docker.sock",
        "",
    ],
)
def test_each_url_is_checked(name: str, url: str) -> None:
    fine = "https://auth.example.com/"
    written = {"issuer": fine, "introspectionEndpoint": fine, name: url}

    with pytest.raises(InvalidParameterError) as refused:
        OAuth2Rotator().check(written)
    assert refused.value.message.startswith(name)


@pytest.mark.parametrize(
    ("written", "named"),
    [
        ({}, "issuer"),
        ({"issuer": "https://a.example/", "tokenEndpoint": "https://a.example/"}, "issuer"),
        ({"issuer": "https://a.example/", "clientAuthentication": "tls_client_auth"}, "client"),
        ({"issuer": "https://a.example/", "scope": "a  b"}, "scope"),
        ({"issuer": "https://a.example/", "scope": 'a"b'}, "scope"),
        ({"issuer": "https://a.example/", "scope": "a" * 50_000 + '"'}, "scope"),
        ({"issuer": "https://a.example/", "resource": "no uri"}, "resource"),
        (
            {"issuer": "https://a.example/", "revocationEndpoint": "https://a.example/"},
            "revocation",
        ),
        ({"issuer": "https://a.example/", "allowPrivateAddresses": "yes"}, "allowPrivate"),
        ({"issuer": "https://a.example/", "tls": {"mode": "require"}}, "tls.mode"),
    ],
)
def test_a_parameter_that_cannot_work_is_refused_by_name(
    written: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        OAuth2Rotator().check(written)
    assert refused.value.message.startswith(named)


def test_http_is_taken_where_tls_is_switched_off() -> None:
    OAuth2Rotator().check({"issuer": "http://auth.example.com/", "tls": {"mode": "disable"}})


def test_the_example_of_the_page_is_taken() -> None:
    (example,) = document("docs/rotators-oauth2.md").manifests()

    OAuth2Rotator().check(example["spec"]["oauth2"])
