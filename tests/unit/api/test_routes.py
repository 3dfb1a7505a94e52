import pytest

from keyturn.api import routes
from keyturn.api.routes import ROUTES, Asked
from keyturn.domain.secret import SecretName


def test_each_route_is_another_call() -> None:
    assert len({(route.method, route.template) for route in ROUTES}) == len(ROUTES)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (SecretName("shop", "db"), "/v1/secrets/shop/db/get"),
        (SecretName("../..", "a/b?c#d"), "/v1/secrets/..%2F../a%2Fb%3Fc%23d/get"),
    ],
)
def test_a_name_cannot_leave_its_place_in_the_path(name: SecretName, path: str) -> None:
    assert routes.GET.path(Asked(name)) == path


@pytest.mark.parametrize(
    ("namespace", "path"),
    [
        (None, "/v1/secrets"),
        ("shop", "/v1/secrets?namespace=shop"),
        ("a&b", "/v1/secrets?namespace=a%26b"),
    ],
)
def test_a_namespace_is_asked_for_by_query(namespace: str | None, path: str) -> None:
    assert routes.LIST.path(Asked(namespace=namespace)) == path
