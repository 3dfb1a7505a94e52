"""What a ManagedSecret asks to be done for those that use it: `spec.consumers`."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from keyturn.domain.rotation import Timing

LAG = timedelta(seconds=5)
"""How far behind a projection a kubelet may be, and how far two clocks may differ.

A kubelet that mounts or injects a Secret may still have the one before for a moment, and a pod's
times are whole seconds of another machine's clock. Whoever began less than this after a projection
counts as having started with what was there before.
"""

POD_IP = "{podIP}"
"""Stands for the host in the URL of a reload: one call for each pod."""


class Action(StrEnum):
    """What is done when the projected version is another one."""

    NONE = "None"
    RESTART = "Restart"
    RELOAD = "Reload"


class OnFailure(StrEnum):
    """What is done when a workload does not become healthy after its restart."""

    REPORT = "Report"
    ROLLBACK = "Rollback"


@dataclass(frozen=True, slots=True)
class Window:
    """When workloads may be restarted or reloaded: from each time of `opens` for `duration`."""

    opens: Timing
    duration: timedelta


@dataclass(frozen=True, slots=True)
class Reload:
    """The HTTP call that makes consumers read the Secret anew.

    The host of `url` is a Service of the resource's own namespace, or `{podIP}`. `delay` is how
    long after a projection it is made: a kubelet looks at a volume once in 60 to 90 seconds.
    """

    url: str
    method: str = "POST"
    delay: timedelta = timedelta(seconds=90)

    @property
    def is_per_pod(self) -> bool:
        return POD_IP in self.url


@dataclass(frozen=True, slots=True)
class ConsumersSpec:
    """`spec.consumers`, its defaults resolved.

    `coalesce` is how long a workload waits after a change for further ones, never less than `LAG`.
    `progress_deadline` is how long it may take until all its pods are ready after a restart.
    """

    action: Action
    coalesce: timedelta = timedelta(seconds=10)
    progress_deadline: timedelta = timedelta(minutes=10)
    on_failure: OnFailure = OnFailure.REPORT
    window: Window | None = None
    reload: Reload | None = None
