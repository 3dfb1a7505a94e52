"""A way to a server on which the address of the client is translated, as gateways do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from listening import talking


@asynccontextmanager
async def translated(port: int, address: str) -> AsyncIterator[int]:
    """Pass on what comes to the port that is given, to a port of loopback, from an address."""
    passing: list[asyncio.Task[None]] = []

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", port, local_addr=(address, 0))
        await asyncio.gather(_copied(reader, there[1]), _copied(there[0], writer))

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing.append(asyncio.create_task(pass_on(reader, writer)))

    async with talking(begin) as here:
        yield here
        await asyncio.gather(*passing)


async def _copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
