from datetime import UTC, datetime
from uuid import UUID

import pytest

from keyturn.domain.errors import VersionNotFoundError
from keyturn.domain.secret import Projected, Secret, SecretName
from keyturn.domain.stage import Stages
from keyturn.domain.version import Version, VersionReason

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def a_version(number: int) -> Version:
    return Version(number, UUID(int=number), NOW, VersionReason.CREATED, "local-00000000")


def a_secret(*numbers: int, stages: Stages | None = None, projected: str = "") -> Secret:
    native = Projected(projected, "uid", "5", 1, "digest", "fingerprint")
    return Secret(
        id=UUID(int=1),
        namespace_uid="shop-uid",
        name=SecretName("shop", "orders-db"),
        resource_uid="resource-uid",
        created_at=NOW,
        stages=stages or Stages(),
        versions=[a_version(number) for number in numbers],
        projected=[native] if projected else [],
    )


def test_a_name_reads_as_people_write_it() -> None:
    assert str(SecretName("shop", "orders-db")) == "shop/orders-db"


def test_names_are_ordered_by_namespace_first() -> None:
    names = [SecretName("b", "a"), SecretName("a", "b"), SecretName("a", "a")]

    assert [str(name) for name in sorted(names)] == ["a/a", "a/b", "b/a"]


def test_finds_a_version_by_its_number() -> None:
    assert a_secret(1, 2, 4).version(2).number == 2


@pytest.mark.parametrize("number", [0, 3, 5])
def test_says_which_version_is_not_there(number: int) -> None:
    with pytest.raises(VersionNotFoundError, match=f"shop/orders-db has no version {number}"):
        a_secret(1, 2, 4).version(number)


def test_the_newest_version_need_not_be_current() -> None:
    secret = a_secret(1, 2, 3, stages=Stages().promote(2))

    assert secret.newest == a_version(3)
    assert secret.current == a_version(2)


def test_a_secret_without_versions_has_none() -> None:
    secret = a_secret()

    assert (secret.newest, secret.current) == (None, None)


def test_a_current_stage_on_a_version_that_is_gone_is_an_error() -> None:
    with pytest.raises(VersionNotFoundError):
        assert a_secret(1, stages=Stages().promote(2)).current


def test_finds_what_was_projected_into_a_native_secret() -> None:
    secret = a_secret(1, projected="orders-db")

    assert secret.projection("orders-db") is secret.projected[0]
    assert secret.projection("orders") is None
