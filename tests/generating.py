"""What tests of generators have in common: making values as bytes, and reading refusals."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue
from keyturn.generators.interface import Generator, Materials

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)

_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)

Secrets = Mapping[str, Mapping[str, bytes]]


def make(
    generator: Generator,
    key: str = "key",
    *,
    secrets: Secrets | None = None,
    siblings: Mapping[str, bytes] | None = None,
    now: datetime = NOW,
    **parameters: Any,
) -> dict[str, bytes]:
    """Have a generator make its values."""
    materials = Materials(
        now,
        {name: _hidden(values) for name, values in (secrets or {}).items()},
        _hidden(siblings or {}),
    )
    made = generator.generate(key, parameters, materials)
    return {name: bytes(value.reveal()) for name, value in made.items()}


def refusal(generator: Generator, **parameters: Any) -> str:
    """Return what a generator says to wrong parameters; it refuses them in both of its methods."""
    with pytest.raises(InvalidParameterError) as caught:
        generator.outputs("key", parameters)
    with pytest.raises(InvalidParameterError) as again:
        make(generator, **parameters)
    assert str(again.value) == str(caught.value)
    return str(caught.value)


def signed_by_itself(name: str, *usages: str, path_length: int | None = None) -> dict[str, bytes]:
    """Make an authority as another program could; without usages it may do everything."""
    key, subject = ed25519.Ed25519PrivateKey.generate(), x509.Name.from_rfc4514_string(name)
    ends = NOW + timedelta(days=1)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, NOW, ends)
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    builder = builder.add_extension(constraints, critical=True)
    if usages:
        bits = {bit: bit in usages for bit in _USAGES}
        builder = builder.add_extension(x509.KeyUsage(**bits), critical=True)
    return {
        "tls.crt": builder.sign(key, None).public_bytes(Encoding.PEM),
        "tls.key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }


def unevenness(drawn: Iterable[Any], kinds: int) -> float:
    """Tell by how many standard deviations a count is less even than chance makes it.

    It is Pearson's statistic over `kinds` equally likely outcomes. Above 8 it is no chance.
    """
    counts = Counter(drawn)
    assert len(counts) <= kinds, "there are more outcomes than there should be"
    expected = counts.total() / kinds
    seen = sum((count - expected) ** 2 for count in counts.values())
    statistic = seen / expected + (kinds - len(counts)) * expected
    freedom = kinds - 1
    return float((statistic - freedom) / (2 * freedom) ** 0.5)


def _hidden(values: Mapping[str, bytes]) -> dict[str, SecretValue]:
    return {name: SecretValue(value) for name, value in values.items()}
