"""What is left of plaintext in the memory of a process that has sealed and opened it.

A child process takes random values over a pipe, seals each, opens each, and waits; its whole
memory is then read from outside, which has the values in its own memory only.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

VALUES, SIZE = 400, 48

CHILD = f"""
import asyncio, os, sys
from uuid import UUID
from keyturn.crypto.envelope import Context, Envelope
from keyturn.crypto.key_providers.local import LocalKeyProvider
from keyturn.crypto.local_key import LocalKey
from keyturn.domain.payload import Payload, SecretValue

def take():
    buffer = bytearray({SIZE})
    assert os.readv(0, [buffer]) == len(buffer)
    return SecretValue(buffer)

async def seal(envelope, place):
    # The value at the end, the longest payload first: so nothing that comes later is written over
    # what was freed.
    padding = SecretValue(bytes(40 * place.version))
    with Payload({{"password": take(), "a-padding": padding}}) as payload:
        return await envelope.seal(payload, place)

async def main():
    envelope = Envelope(LocalKeyProvider(LocalKey.generate()))
    places = [Context(UUID(int=1), "uid", UUID(int=2), n) for n in reversed(range({VALUES}))]
    rows = [await seal(envelope, place) for place in places]
    kept = []
    for row, place in zip(rows, places):
        with await envelope.open(row, place) as payload:
            assert len(payload["password"]) == {SIZE}
            if sys.argv[1] == "leak":
                kept.append(bytes(payload["password"].reveal()))
    print("done", flush=True)
    os.read(0, 1)

asyncio.run(main())
"""


def memory_of(pid: int) -> Iterator[bytes]:
    ranges = re.findall(r"^(\w+)-(\w+) rw", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in ranges:
            memory.seek(int(start, 16))
            yield memory.read(int(end, 16) - int(start, 16))


def values_left(mode: str) -> int:
    values = [os.urandom(SIZE) for _ in range(VALUES)]
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, mode],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"".join(values))
        child.stdin.flush()
        assert child.stdout.readline() == b"done\n"
        memory = b"\0".join(memory_of(child.pid))
        child.stdin.close()
    return sum(value[:24] in memory or value[24:] in memory for value in values)


@pytest.fixture(autouse=True)
def readable_memory() -> None:
    if not Path("/proc/self/mem").exists():
        pytest.skip("only Linux shows the memory of a process")


def test_nothing_is_left_once_values_are_zeroed() -> None:
    assert values_left("zero") == 0


def test_a_value_that_is_kept_is_found() -> None:
    assert values_left("leak") == VALUES
