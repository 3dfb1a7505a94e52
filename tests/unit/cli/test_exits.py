from collections.abc import Iterator

import pytest

from keyturn.cli import exits
from keyturn.domain import errors
from keyturn.domain.errors import KeyturnError


def tree(kind: type[KeyturnError] = KeyturnError) -> Iterator[type[KeyturnError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from tree(below)


@pytest.mark.parametrize("kind", [kind for kind in tree() if kind is not KeyturnError])
def test_every_error_has_the_code_of_its_branch(kind: type[KeyturnError]) -> None:
    assert exits.exit_code(kind.__new__(kind)) != exits.UNEXPECTED


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (KeyturnError, 1),
        (errors.InvalidSpecError, 2),
        (errors.ValueTooLargeError, 2),
        (errors.VersionNotFoundError, 3),
        (errors.StageMovedError, 4),
        (errors.AwaitingInputError, 4),
        (errors.DeniedError, 5),
        (errors.StorageFullError, 6),
        (errors.TamperedError, 70),
        (errors.StoreInUseError, 70),
    ],
)
def test_an_exit_code_says_what_to_do_next(kind: type[KeyturnError], code: int) -> None:
    assert exits.exit_code(kind("…")) == code


def test_an_error_is_one_line_with_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    code = exits.report(errors.SecretNotFoundError("there is no\nsecret shop/db"))

    told = capsys.readouterr()
    assert code == 3
    assert told.out == ""
    assert told.err == ("error: there is no secret shop/db; keyturn list -A shows what there is\n")


def test_a_long_error_stays_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    exits.print_error("word " * 100)

    assert capsys.readouterr().err.count("\n") == 1


def test_an_error_is_not_read_as_markup_or_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    exits.print_error("[red]a[/red] \x1b[31mb")

    assert capsys.readouterr().err == "error: [red]a[/red] [31mb\n"
