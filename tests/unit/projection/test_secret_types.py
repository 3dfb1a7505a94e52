import pytest

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import Target, Template
from keyturn.domain.payload import SecretValue
from keyturn.projection.secret_types import check_type

CANARY = "canary-7Hq-never-shown"


def check(type_: str, **values: str) -> None:
    named = {key.replace("__", "."): SecretValue(text.encode()) for key, text in values.items()}
    check_type(Target("app", template=Template(type=type_)), named)


@pytest.mark.parametrize(
    ("type_", "values"),
    [
        ("Opaque", {}),
        ("example.com/anything", {}),
        ("kubernetes.io/tls", {"tls__crt": "c", "tls__key": "k"}),
        ("kubernetes.io/ssh-auth", {"ssh-privatekey": "k"}),
        ("kubernetes.io/basic-auth", {"username": "u"}),
        ("kubernetes.io/basic-auth", {"password": "p"}),
        ("kubernetes.io/dockerconfigjson", {"__dockerconfigjson": '{"auths": {}}'}),
        ("kubernetes.io/dockercfg", {"__dockercfg": "{}"}),
    ],
)
def test_data_that_its_type_asks_for_passes(type_: str, values: dict[str, str]) -> None:
    check(type_, **values)


@pytest.mark.parametrize(
    ("type_", "values", "message"),
    [
        ("kubernetes.io/tls", {"tls__crt": "c"}, "needs the key tls.key; this one has tls.crt"),
        ("kubernetes.io/tls", {}, "needs the key tls.crt and the key tls.key; this one has none"),
        ("kubernetes.io/tls", {"tls__crt": "c", "tls__key": ""}, "needs the key tls.key"),
        ("kubernetes.io/ssh-auth", {"id": "k"}, "needs the key ssh-privatekey; this one has id"),
        ("kubernetes.io/basic-auth", {"user": "u"}, "needs the key username or password"),
        ("kubernetes.io/dockerconfigjson", {"a": "{}"}, "needs the key .dockerconfigjson"),
        (
            "kubernetes.io/dockerconfigjson",
            {"__dockerconfigjson": CANARY},
            "needs a JSON object with auths in the key .dockerconfigjson",
        ),
        (
            "kubernetes.io/dockerconfigjson",
            {"__dockerconfigjson": "{}"},
            "needs a JSON object with auths",
        ),
        ("kubernetes.io/dockercfg", {"__dockercfg": "[]"}, "needs a JSON object in the key"),
    ],
)
def test_data_that_its_type_cannot_use_is_refused_by_what_is_missing(
    type_: str, values: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        check(type_, **values)

    assert str(caught.value).startswith(
        f"spec.targets[app].template.type: a Secret of type {type_} {message}"
    )
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None
