import base64
import copy
import pickle

import pytest

from keyturn.crypto.local_key import LocalKey, from_parts, from_text, to_text
from keyturn.domain.errors import InvalidParameterError

MATERIAL = bytes(range(32))


def line_of(key: LocalKey) -> bytes:
    return bytes(to_text(key).reveal())


def test_generated_keys_differ() -> None:
    keys = {bytes(LocalKey.generate().material.reveal()) for _ in range(1_000)}

    assert len(keys) == 1_000
    assert {len(material) for material in keys} == {32}


def test_the_id_follows_from_the_bytes() -> None:
    assert LocalKey.of(MATERIAL).id == LocalKey.of(bytearray(MATERIAL)).id
    assert LocalKey.of(MATERIAL).id != LocalKey.of(bytes(32)).id


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_key_is_32_bytes_long(size: int) -> None:
    with pytest.raises(InvalidParameterError, match="32 bytes"):
        LocalKey.of(bytes(size))


def test_the_text_form_is_one_line_that_stays_the_same_in_every_release() -> None:
    assert line_of(LocalKey.of(MATERIAL)) == (
        b"keyturn-key-v1 local-86517456 AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8= 27c8b046"
    )


def test_reads_back_what_it_wrote() -> None:
    key = LocalKey.generate()

    again = from_text(line_of(key))

    assert again.id == key.id
    assert again.material.matches(key.material)


@pytest.mark.parametrize("around", ["{}\n", "  {}\r\n", "\n\t{} "])
def test_white_space_around_the_line_does_not_matter(around: str) -> None:
    key = LocalKey.generate()

    assert from_text(around.format(line_of(key).decode()).encode()).id == key.id


def test_every_wrong_character_is_found() -> None:
    line = line_of(LocalKey.of(MATERIAL))

    for position in range(len(line)):
        wrong = bytearray(line)
        wrong[position] = ord("0") if line[position] != ord("0") else ord("1")
        with pytest.raises(InvalidParameterError):
            from_text(wrong)


def test_every_truncated_line_is_found() -> None:
    line = line_of(LocalKey.of(MATERIAL))

    for end in range(len(line)):
        with pytest.raises(InvalidParameterError):
            from_text(line[:end])


def test_no_message_holds_the_key() -> None:
    line = line_of(LocalKey.of(MATERIAL)).replace(b"keyturn-key-v1", b"keyturn-key-v2")

    with pytest.raises(InvalidParameterError) as caught:
        from_text(line)

    assert base64.b64encode(MATERIAL).decode()[:8] not in str(caught.value)


def test_the_parts_of_a_key_are_checked_against_each_other() -> None:
    material = bytearray(MATERIAL)

    with pytest.raises(InvalidParameterError, match="not those of the key 'local-00000000'"):
        from_parts("local-00000000", material)

    assert material == bytes(32)


def test_takes_the_parts_of_a_key() -> None:
    key = LocalKey.of(MATERIAL)

    assert from_parts(key.id, MATERIAL).material.matches(key.material)


def test_closing_zeroes_the_bytes_that_were_taken_over() -> None:
    material = bytearray(MATERIAL)

    LocalKey.of(material).close()

    assert material == bytes(32)


def test_shows_its_id_and_no_byte() -> None:
    key = LocalKey.of(MATERIAL)

    assert repr(key) == f"LocalKey(id='{key.id}', material=SecretValue(***))"


def test_cannot_be_pickled_or_copied() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(LocalKey.of(MATERIAL))
    with pytest.raises(TypeError):
        copy.deepcopy(LocalKey.of(MATERIAL))
