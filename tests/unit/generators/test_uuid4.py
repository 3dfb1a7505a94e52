from uuid import RFC_4122, UUID

from generating import make, refusal
from keyturn.generators.uuid4 import UUIDGenerator

UUID4 = UUIDGenerator()


def test_it_fills_its_own_key() -> None:
    assert UUID4.outputs("id", {}) == {"uuid": "id"}


def test_it_is_a_random_uuid_in_its_usual_form() -> None:
    written = make(UUID4)["key"].decode()

    read = UUID(written)
    assert (read.version, read.variant) == (4, RFC_4122)
    assert str(read) == written


def test_its_122_random_bits_change_independently_of_each_other() -> None:
    drawn = [UUID(make(UUID4)["key"].decode()).int for _ in range(200)]

    columns = [tuple(number >> bit & 1 for number in drawn) for bit in range(128)]
    changing = {column for column in columns if len(set(column)) > 1}

    assert len(changing) == 122


def test_it_has_no_fields() -> None:
    assert refusal(UUID4, version=7) == "version is unknown; it has no fields; write {}"
