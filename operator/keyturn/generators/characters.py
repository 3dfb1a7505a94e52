"""Random characters, each as likely as the others, in a buffer that can be zeroed."""

import secrets
from collections.abc import Collection, Sequence

_RANDOM = secrets.SystemRandom()


def draw(alphabet: Sequence[int], count: int, *, repeat: bool = True) -> bytearray:
    """Draw `count` characters; without `repeat`, no character comes twice."""
    if repeat:
        return bytearray(secrets.choice(alphabet) for _ in range(count))
    return bytearray(_RANDOM.sample(alphabet, count))


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
    _RANDOM.shuffle(characters)
