import pytest

from keyturn.domain.managed_secret import (
    ConfigMapKey,
    CreationPolicy,
    DataKey,
    Generate,
    Input,
    Literal,
    ManagedSecret,
    ManagedSecretSpec,
    MergePolicy,
    SecretKey,
    Source,
    Target,
    Template,
    is_key,
)
from keyturn.domain.secret import SecretName

NAME = SecretName("shop", "orders-db")


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (Literal("orders"), b'{"value":"orders"}'),
        (
            Generate("password", {"symbols": 0, "length": 32}),
            b'{"generate":{"password":{"length":32,"symbols":0}}}',
        ),
        (Input(), b'{"input":{}}'),
        (
            ConfigMapKey("orders", "host"),
            b'{"valueFrom":{"configMapKeyRef":{"key":"host","name":"orders"}}}',
        ),
        (SecretKey("pg", "ca"), b'{"valueFrom":{"secretKeyRef":{"key":"ca","name":"pg"}}}'),
    ],
    ids=lambda part: type(part).__name__,
)
def test_a_source_is_serialised_as_its_author_wrote_it(source: Source, expected: bytes) -> None:
    assert source.canonical() == expected


def test_the_order_of_a_generators_parameters_does_not_matter() -> None:
    one = Generate("tls", {"duration": "90d", "privateKey": {"size": 2048, "algorithm": "RSA"}})
    other = Generate("tls", {"privateKey": {"algorithm": "RSA", "size": 2048}, "duration": "90d"})

    assert one.canonical() == other.canonical()


def test_a_literal_does_not_show_its_value() -> None:
    assert "orders" not in repr(Literal("orders"))


def test_a_resource_without_targets_has_one_of_its_own_name() -> None:
    spec = ManagedSecretSpec(data=(DataKey("password", Input(), ("password",)),))

    targets = ManagedSecret(NAME, "uid", spec).effective_targets

    assert targets == (Target("orders-db", CreationPolicy.OWNER),)


def test_a_resource_with_targets_has_those_alone() -> None:
    spec = ManagedSecretSpec(data=(), targets=(Target("a"), Target("b")))

    assert ManagedSecret(NAME, "uid", spec).effective_targets == spec.targets


def test_the_keys_of_a_specification_are_all_that_its_sources_fill() -> None:
    spec = ManagedSecretSpec(
        data=(
            DataKey("username", Literal("orders"), ("username",)),
            DataKey("id", Generate("sshKey"), ("id", "id.pub")),
        )
    )

    assert spec.keys == ("username", "id", "id.pub")


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        (Template(), True),
        (Template(data={"a": "{{ b }}"}), False),
        (Template(data={"a": "{{ b }}"}, merge_policy=MergePolicy.MERGE), True),
    ],
    ids=["no data", "replace", "merge"],
)
def test_the_payload_is_shown_unless_a_template_replaces_it(
    template: Template, *, shown: bool
) -> None:
    assert template.shows_payload is shown


@pytest.mark.parametrize("name", ["a", "tls.crt", ".env", "A_B-c.9", "-", "k" * 253])
def test_what_a_native_secret_takes_as_a_key_is_one(name: str) -> None:
    assert is_key(name)


@pytest.mark.parametrize("name", ["", ".", "..", "..a", "a b", "a/b", "a\n", "ä", "k" * 254])
def test_what_a_native_secret_refuses_as_a_key_is_none(name: str) -> None:
    assert not is_key(name)
