"""What a ManagedSecret's status says of its consumers; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyturn.domain.consumers import Moved, Stale, WorkloadRef
from keyturn.services.consumers.acting import NOTHING, Acted
from keyturn.services.consumers.inventory import View

CONDITION = "ConsumersUpToDate"
MOST_SHOWN = 20
"""So many workloads stand in the status."""


@dataclass(frozen=True, slots=True)
class ConsumersReport:
    """`status.consumers`, None if nobody knows it; and the status, reason and message."""

    fields: dict[str, Any] | None
    condition: tuple[str, str, str]


def consumers_report(
    view: View, version: int, acted: Acted = NOTHING, *, failed: Sequence[WorkloadRef] = ()
) -> ConsumersReport:
    """Report how far the running pods have moved to a version.

    `acted` is what was done for that. `failed` are the workloads whose rollout for it did not
    become healthy.
    """
    moved = view.moved(version)
    if moved is None:
        return ConsumersReport(None, ("Unknown", "ConsumersUnknown", view.why))
    waiting_for = [_waiting(stale) for stale in moved.waiting_for[:MOST_SHOWN]]
    fields = {
        "total": moved.total,
        "upToDate": moved.up_to_date,
        # An empty one too: a merge patch would leave the old one.
        "waitingFor": waiting_for,
    }
    return ConsumersReport(fields, _condition(moved, version, acted, failed))


def _waiting(stale: Stale) -> dict[str, Any]:
    known = {"version": stale.version} if stale.version is not None else {}
    named = {"kind": stale.ref.kind, "name": stale.ref.name}
    return {**named, "pods": stale.pods, "stale": stale.stale, **known}


def _condition(
    moved: Moved, version: int, acted: Acted, failed: Sequence[WorkloadRef]
) -> tuple[str, str, str]:
    if failed:
        message = f"The rollout for version {version} failed: {_named(sorted(failed))}."
        return ("False", "RolloutFailed", message)
    if moved.waiting_for:
        return ("False", *_waiting_for(moved, version, acted))
    if not moved.total:
        return ("True", "AllMoved", "No running pod holds a version.")
    return ("True", "AllMoved", f"All running pods started with version {version}.")


def _waiting_for(moved: Moved, version: int, acted: Acted) -> tuple[str, str]:
    """Say why not all have moved: the reason, and the message."""
    refs = [stale.ref for stale in moved.waiting_for]
    # Who moved without our doing, or by somebody's hand, is not in trouble any more.
    unrestarted = {ref: why for ref, why in acted.unrestarted.items() if ref in refs}
    if unrestarted:
        return "RolloutRestartFailed", _trouble(unrestarted)
    if acted.untold:
        return "ReloadFailed", _trouble(acted.untold)
    if acted.restarting.issuperset(refs):
        message = f"Restarted for version {version}, and not done yet: {_named(refs)}."
        return "RolloutRestartTriggered", message
    stale = moved.total - moved.up_to_date
    message = (
        f"{stale} of {moved.total} running pods started with another version than {version}:"
        f" {_named(refs)}."
    )
    return "WaitingForConsumers", message


def _trouble(troubles: Mapping[WorkloadRef, str] | Mapping[str, str]) -> str:
    name, why = min((str(who), why) for who, why in troubles.items())
    more = len(troubles) - 1
    return f"{name}{f' and {more} more' if more else ''}: {why}."


def _named(refs: Sequence[WorkloadRef]) -> str:
    shown = ", ".join(map(str, refs[:MOST_SHOWN]))
    more = len(refs) - MOST_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
