"""From where a user may log in: the restrictions of MongoDB's manual."""

from typing import Any

import pytest

from keyturn.rotators.mongodb.restrictions import admit

HERE, ELSEWHERE = {"clientSource": ["10.1.0.0/16", "192.0.2.1"]}, {"clientSource": ["10.2.0.0/16"]}


@pytest.mark.parametrize(
    ("restrictions", "is_admitted"),
    [
        ([], True),
        ([{}], True),
        ([HERE], True),
        ([ELSEWHERE], False),
        ([ELSEWHERE, HERE], True),
        ([{"serverAddress": ["10.9.0.1"]}], True),
        ([{"clientSource": ["db.example"]}], False),
        ([[HERE], [ELSEWHERE]], False),
        ([[HERE, ELSEWHERE], [HERE]], True),
        ([[[HERE], [ELSEWHERE]]], False),
        ([[]], True),
    ],
)
def test_who_is_admitted(restrictions: list[Any], is_admitted: bool) -> None:
    assert admit(restrictions, "10.1.0.5") is is_admitted


def test_an_address_that_is_none_is_not_admitted() -> None:
    assert not admit([HERE], "")
    assert admit([{"clientSource": ["2001:db8::/32"]}], "2001:db8::5")
