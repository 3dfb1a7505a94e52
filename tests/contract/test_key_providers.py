"""Every key provider keeps the promises of the interface."""

import pytest

from keyturn.crypto.key_providers.interface import KeyProvider
from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey
from keyturn.testing.key_providers import KeyProviderContract


class TestLocalKeyProvider(KeyProviderContract):
    @pytest.fixture
    def provider(self) -> KeyProvider:
        return LocalKeyProvider(LocalKey.generate())

    @pytest.fixture
    def stranger(self) -> KeyProvider:
        return LocalKeyProvider(LocalKey.generate())


class TestLocalKeyProviderWithAnOlderKey(KeyProviderContract):
    @pytest.fixture
    def provider(self) -> KeyProvider:
        return LocalKeyProvider(LocalKey.generate(), LocalKey.generate())

    @pytest.fixture
    def stranger(self) -> KeyProvider:
        return LocalKeyProvider(LocalKey.generate())
