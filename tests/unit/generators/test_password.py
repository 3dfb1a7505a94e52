import string

from generating import make
from keyturn.generators.password import PasswordGenerator
from keyturn.generators.password_recipe import DEFAULT_LENGTH, SYMBOLS

PASSWORD = PasswordGenerator()
KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, SYMBOLS)


def test_it_fills_its_own_key() -> None:
    assert PASSWORD.outputs("password", {}) == {"password": "password"}
    assert PASSWORD.outputs("db.pass", {"length": 8}) == {"password": "db.pass"}


def test_without_parameters_it_has_32_characters_of_every_kind() -> None:
    for _ in range(100):
        password = make(PASSWORD)["key"].decode()

        assert len(password) == DEFAULT_LENGTH == 32
        assert all(set(password) & set(kind) for kind in KINDS)
        assert set(password) <= set("".join(KINDS))


def test_a_password_of_letters_and_digits_is_asked_for_by_no_symbols() -> None:
    password = make(PASSWORD, symbols=0)["key"].decode()

    assert password.isalnum()
    assert len(password) == 32
