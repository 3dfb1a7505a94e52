"""Which pods are told to read a Secret anew, and from when on they count as having done so; pure.

A kubelet writes a changed Secret into the volumes of running pods by itself, some time later. A
program that is told after that has read it. What it holds then is as new as what stood in the
native Secret `delay` before the call: that moment is remembered, durably, for each pod.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from keyturn.domain.consumers import HOLDING, Inventory, RunningPod, Use, Via, held_by
from keyturn.domain.consumers_spec import LAG, Action
from keyturn.domain.restarting import Wish
from keyturn.domain.window import next_opening

REFRESHED = frozenset({Via.VOLUME, Via.PROJECTED})
"""The ways by which a running pod gets the new version: not the environment, and not a subPath."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The pods to be told now, and when to look again."""

    pods: tuple[RunningPod, ...] = ()
    again: datetime | None = None


def with_reloads(
    inventory: Inventory, native_names: Collection[str], read_at: Mapping[str, datetime]
) -> Inventory:
    """Let each pod, by its UID, count as having read these native Secrets anew at a moment.

    Where it holds one in its environment or by a subPath too, it still holds what it began with.
    """
    pods = (_with_reload(pod, native_names, read_at.get(pod.uid)) for pod in inventory.pods)
    return replace(inventory, pods=tuple(pods))


def _with_reload(
    pod: RunningPod, native_names: Collection[str], read_at: datetime | None
) -> RunningPod:
    if read_at is None:
        return pod
    # What stood there at that moment for sure, while containers may be `LAG` late.
    moment = read_at + LAG
    uses = {
        name: replace(use, began=max(use.began, moment))
        if name in native_names and use.began is not None and _is_refreshed(use)
        else use
        for name, use in pod.uses.items()
    }
    return replace(pod, uses=uses)


def _is_refreshed(use: Use) -> bool:
    return use.holds and use.via & HOLDING <= REFRESHED


def calls(inventory: Inventory, wish: Wish, now: datetime) -> Calls:
    """Decide whom to tell for one ManagedSecret; `inventory` is one `with_reloads`."""
    spec = wish.spec
    if spec is None or spec.action is not Action.RELOAD or spec.reload is None:
        return Calls()
    shown = {spell.native_name: spell for spell in wish.spells}
    pods, looks = [], []
    opens = now if spec.window is None else next_opening(spec.window, now)
    for pod in inventory.pods:
        names = _refreshed_natives(pod, wish)
        if not names or pod.deleting or (spec.reload.is_per_pod and not pod.ip):
            continue
        spells = [shown[name] for name in names if name in shown]
        if len(spells) < len(names) or any(one.version != wish.version for one in spells):
            continue
        due = max(max(one.since for one in spells) + spec.reload.delay, opens)
        if due <= now:
            pods.append(pod)
        else:
            looks.append(due)
    return Calls(tuple(pods), min(looks, default=None))


def _refreshed_natives(pod: RunningPod, wish: Wish) -> frozenset[str]:
    """Name the native Secrets that a pod has anew in its files, and has not read since."""
    return frozenset(
        name
        for name in wish.native_names & pod.uses.keys()
        if pod.uses[name].began is not None
        and _is_refreshed(pod.uses[name])
        and held_by(pod, [name], wish.spells) != {wish.version}
    )
