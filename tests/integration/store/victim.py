"""A process that forks writers to be killed.

It imports everything once. For each line on its standard input, which names a store, it forks a
writer, and says `dead` when that one is gone. A writer says its process id, and then which version
of which secret it was just told to be durable.
"""

import asyncio
import os
import sys
from pathlib import Path

from integration.store.writing import sealed_version
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import NOW, a_projection, an_attachment

WRITERS = 4


def say(text: str) -> None:
    # One write of less than PIPE_BUF bytes arrives whole or not at all.
    os.write(sys.stdout.fileno(), f"{text}\n".encode())


async def write_for_ever(store: SQLiteStore, name: str) -> None:
    while True:
        secret = await store.attach(an_attachment(name), now=NOW)
        number = secret.newest.number + 1 if secret.newest else 1
        sealed = sealed_version(name, number)
        await store.add_version(secret.id, sealed, promote=True, history_limit=3)
        say(f"{name} {number}")
        await store.record_projection(secret.id, a_projection(version=number), since=NOW)


async def be_a_writer(path: Path) -> None:
    store = await SQLiteStore.open(path)
    say(f"pid {os.getpid()}")
    await asyncio.gather(*(write_for_ever(store, f"s{n}") for n in range(WRITERS)))


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            asyncio.run(be_a_writer(Path(line.strip())))
        os.waitpid(child, 0)
        say("dead")


if __name__ == "__main__":
    main()
