"""Random characters, each as likely as the others, in a buffer that can be zeroed."""

import secrets
from collections.abc import Collection, Iterator, Sequence

_WORD_BYTES = 4
_WORDS = 1 << (8 * _WORD_BYTES)


def draw(alphabet: Sequence[int], count: int, *, repeat: bool = True) -> bytearray:
    """Draw `count` characters; without `repeat`, no character comes twice."""
    if repeat:
        return bytearray(alphabet[place] for place in _below([len(alphabet)] * count))
    left = list(alphabet)
    places = _below(range(len(left), len(left) - count, -1))
    return bytearray(left.pop(place) for place in places)


def draw_with_each(
    alphabet: Sequence[int], count: int, kinds: Collection[frozenset[int]], *, repeat: bool = True
) -> bytearray:
    """Draw `count` characters that hold at least one of each of the `kinds`.

    A draw that lacks a kind is thrown away whole: so each text that has them all is as likely as
    the others, which it is not when the missing characters are put in afterwards.
    """
    while True:
        drawn = draw(alphabet, count, repeat=repeat)
        if not any(kind.isdisjoint(drawn) for kind in kinds):
            return drawn


def shuffle(characters: bytearray) -> None:
    """Bring the characters into a random order, each order as likely as the others."""
    ends = range(len(characters) - 1, 0, -1)
    for end, place in zip(ends, _below([end + 1 for end in ends]), strict=True):
        characters[end], characters[place] = characters[place], characters[end]


def _below(bounds: Sequence[int]) -> Iterator[int]:
    """Draw a number below each of the bounds, each as likely as the others.

    The kernel is asked once for all of them: it is slow to ask, and each time the interpreter's
    lock goes to another thread.
    """
    words = memoryview(secrets.token_bytes(_WORD_BYTES * len(bounds))).cast("I")
    for bound, first in zip(bounds, words, strict=True):
        word = first
        # Above the last whole multiple of the bound, the remainders are not all as likely.
        while word >= _WORDS - _WORDS % bound:
            word = secrets.randbits(8 * _WORD_BYTES)
        yield word % bound
