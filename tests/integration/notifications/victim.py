"""A process that delivers what waits in a store, and may be killed; it ends when nothing waits.

Its arguments are the store, the URL, the CA file, and where it kills itself ("" for nowhere).
"""

import asyncio
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from integration.notifications.sinks import CLUSTER
from keyturn.domain.rotation_event import Channel
from keyturn.notifications.sink import Endpoint, EventSink
from keyturn.observability import failpoints
from keyturn.services.rotation.delivering import Delivering
from keyturn.store.sqlite import SQLiteStore


async def deliver_all(path: Path, endpoint: Endpoint) -> None:
    store, sink = await SQLiteStore.open(path), EventSink(endpoint, CLUSTER)
    delivering = Delivering(
        store.rotations, {Channel.SINK: sink.deliver}, lambda: datetime.now(UTC)
    )
    task = asyncio.create_task(delivering.run())
    while await store.rotations.waiting(Channel.SINK, 1):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    await sink.close()
    await store.close()


def main() -> None:
    store, url, ca_file, failpoint = sys.argv[1:]
    failpoints.arm(failpoint)
    asyncio.run(deliver_all(Path(store), Endpoint(url, ca_file=Path(ca_file))))


if __name__ == "__main__":
    main()
