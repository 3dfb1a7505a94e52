import asyncio

from keyturn.domain.secret import SecretName
from keyturn.services.consumers.interest import Interest

ONE, TWO, FAR = SecretName("shop", "one"), SecretName("shop", "two"), SecretName("bank", "one")


def test_those_who_ask_are_listed_by_their_namespace() -> None:
    interest = Interest()
    for name in (ONE, TWO, FAR):
        interest.note(name, asks=True)

    interest.note(TWO, asks=False)
    interest.note(FAR, asks=False)
    interest.note(SecretName("nowhere", "never"), asks=False)

    assert interest.names("shop") == (ONE,)
    assert interest.names("bank") == ()
    assert interest.namespaces() == ("shop",)


async def test_the_first_who_asks_and_the_last_who_leaves_are_told_of() -> None:
    interest = Interest()
    await asyncio.wait_for(interest.nobody_asks(), 5)

    waiting = asyncio.create_task(interest.somebody_asks())
    await asyncio.sleep(0)
    assert not waiting.done()
    interest.note(ONE, asks=True)
    await asyncio.wait_for(waiting, 5)

    leaving = asyncio.create_task(interest.nobody_asks())
    interest.note(TWO, asks=True)
    interest.note(ONE, asks=False)
    await asyncio.sleep(0)
    assert not leaving.done()
    interest.note(TWO, asks=False)
    await asyncio.wait_for(leaving, 5)
