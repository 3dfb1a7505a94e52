"""Sinks of a test, which are closed at its end."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from keyturn.notifications.sink import Endpoint, EventSink
from servers.certificates import Authority
from servers.event_receiver import Receiver

CLUSTER = "uid-of-cluster"


@dataclass
class Sinks:
    """Opens sinks that send to a receiver and trust it, unless they are told otherwise."""

    receiver: Receiver
    authority: Authority
    stack: AsyncExitStack

    def opened(self, **endpoint: Any) -> EventSink:
        given = {
            "url": self.receiver.url(),
            "ca_file": self.authority.folder / "ca.crt",
            "deadline": 5.0,
            **endpoint,
        }
        sink = EventSink(Endpoint(**given), CLUSTER)
        self.stack.push_async_callback(sink.close)
        return sink
