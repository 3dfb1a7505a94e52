"""Which account a server chooses: the first match, those for the fewest clients first."""

import pytest

from keyturn.rotators.mysql.reaching import Name, account_of, covers


@pytest.mark.parametrize(
    ("host", "place", "is_for"),
    [
        ("%", "10.1.0.5", True),
        ("10.1.%", "10.1.0.5", True),
        ("10.1.%", "10.2.0.5", False),
        ("10.1.0._", "10.1.0.5", True),
        ("10.1.0._", "10.1.0.15", False),
        ("10.1.0.5", "10.1x0.5", False),
        ("10.1x0.5", "10.1.0.5", False),
        ("%.SHOP.svc", "app.shop.svc", True),
        ("10.1.0.0/255.255.0.0", "10.1.7.5", True),
        ("10.1.0.0/16", "10.2.0.5", False),
        ("10.1.0.0/16", "app.shop.svc", False),
        ("10.1.0.0/none", "10.1.0.5", False),
        ("2001:db8::%", "2001:db8::5", True),
        ("", "10.1.0.5", False),
    ],
)
def test_for_whom_a_host_part_is(host: str, place: str, is_for: bool) -> None:
    assert covers(host, place) is is_for


@pytest.mark.parametrize(
    ("accounts", "chosen"),
    [
        (["app@%", "app@10.%", "app@10.1.%"], "app@10.1.%"),
        (["app@%", "@10.1.%"], "@10.1.%"),
        (["app@10.1.%", "@10.1.%"], "app@10.1.%"),
        (["app@10.1.0.5", "app@10.1.0.0/16", "app@10.1.0.%"], "app@10.1.0.5"),
        (["app@10.1.0.0/16", "app@10.1.0.%"], "app@10.1.0.0/16"),
        (["app@web.shop.svc", "app@10.1.0.%"], "app@web.shop.svc"),
        (["app@10.2.%", "app@localhost"], ""),
        ([], ""),
    ],
)
def test_which_of_several_is_chosen(accounts: list[str], chosen: str) -> None:
    names = [Name(*one.split("@")) for one in accounts]

    found = account_of(names, ["10.1.0.5", "web.shop.svc"])

    assert ("@".join(found) if found else "") == chosen
