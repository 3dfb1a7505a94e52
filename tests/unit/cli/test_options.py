import pytest

from keyturn.cli.options import name_of
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.secret import SecretName


@pytest.mark.parametrize("name", ["db", "orders-db", "a.b", "0", "a" * 253])
def test_a_name_of_kubernetes_is_taken(name: str) -> None:
    assert name_of("shop", name) == SecretName("shop", name)


@pytest.mark.parametrize("name", ["", "A", "a/b", "a=hunter2", "-a", "a\n", "a" * 254, "../x"])
def test_another_is_refused_and_not_shown(name: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        name_of("shop", name)

    assert len(name) < 2 or name not in caught.value.message


def test_a_namespace_is_looked_at_too() -> None:
    with pytest.raises(InvalidParameterError, match="--namespace"):
        name_of("../shop", "db")
