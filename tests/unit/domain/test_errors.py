import re
import textwrap

import pytest

from keyturn.domain import errors
from keyturn.domain.errors import (
    DecryptionFailedError,
    IntegrityError,
    KeyturnError,
    TamperedError,
    UnavailableError,
)


def tree(root: type[KeyturnError], depth: int = 0) -> list[tuple[int, type[KeyturnError]]]:
    below = [entry for child in root.__subclasses__() for entry in tree(child, depth + 1)]
    return [(depth, root), *below]


ALL = [error for _, error in tree(KeyturnError)]


def test_every_error_has_a_code_of_its_own() -> None:
    # One that names none is told as the error above it.
    codes = [error.code for error in ALL if "code" in vars(error)]

    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("error", ALL)
def test_a_code_is_a_valid_reason_of_a_condition(error: type[KeyturnError]) -> None:
    assert re.fullmatch(r"[A-Z][A-Za-z]{1,40}", error.code)


@pytest.mark.parametrize("error", ALL)
def test_every_error_says_what_it_means_and_is_named_an_error(error: type[KeyturnError]) -> None:
    assert error.__name__.endswith("Error")
    assert error.__doc__


def test_the_picture_in_the_docstring_shows_the_tree() -> None:
    picture = textwrap.dedent((errors.__doc__ or "").split("::", 1)[1].split("\n\nOnly", 1)[0])
    drawn = [
        (len(found[1]) // 4, found[2])
        for line in picture.splitlines()
        if (found := re.match(r"([│├└─ ]*)(\w+)", line))
    ]

    here = [(d, error) for d, error in tree(KeyturnError) if error.__module__ == errors.__name__]
    assert drawn == [(depth, error.__name__) for depth, error in here]


def test_no_failed_decryption_is_ever_retried() -> None:
    assert issubclass(DecryptionFailedError, IntegrityError)
    assert not any(issubclass(error, UnavailableError) for _, error in tree(IntegrityError))


def test_the_message_is_the_text() -> None:
    assert TamperedError("the bytes differ").message == "the bytes differ"
