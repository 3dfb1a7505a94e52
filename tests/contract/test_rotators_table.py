"""What docs/rotators.md says of each type is what the rotator says."""

import pytest

from documents import document
from keyturn.domain.rotator import BUILT_IN_TYPES
from keyturn.rotators.catalogue import Catalogue
from rotator_examples import LEAST

ROWS = {
    cells[0].strip("`"): cells[1:4]
    for cells in (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in document("docs/rotators.md").text.splitlines()
        if line.startswith("| `")
    )
    if cells[0].strip("`") in BUILT_IN_TYPES
}


@pytest.mark.parametrize("kind", BUILT_IN_TYPES)
def test_the_table_says_what_the_rotator_says(kind: str) -> None:
    traits = Catalogue().find(kind).traits(LEAST[kind])

    strategies = ", ".join(sorted(strategy.value for strategy in traits.strategies))
    said = {True: "yes", False: "no"}
    assert ROWS[kind] == [strategies, said[traits.has_lock], said[traits.coexists]]
