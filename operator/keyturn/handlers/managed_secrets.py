"""What happens when a ManagedSecret changes: its key is queued, and nothing else."""

from collections.abc import Callable
from typing import Any

import kopf

from keyturn.kube.managed_secrets import GROUP, PLURAL

Heard = Callable[[str | None, dict[str, Any]], None]
"""Takes the type of an event (None for one of a list) and the resource."""


def register(registry: kopf.OperatorRegistry, heard: Heard) -> None:
    """Attach the one handler to the registry.

    Only `on.event`: a handler of changes, a timer or a daemon would make kopf put finalizers and
    copies of the resource into its metadata.
    """

    async def event(type: str | None, body: kopf.Body, **_: object) -> None:  # noqa: A002 - kopf names it
        heard(type, dict(body))

    kopf.on.event(GROUP, PLURAL, registry=registry)(event)
