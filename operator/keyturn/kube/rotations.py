"""Parse `spec.rotation` of a ManagedSecret, and refuse what cannot be done."""

from collections.abc import Sequence
from datetime import timedelta

from keyturn.domain.duration import format_duration
from keyturn.domain.managed_secret import DataKey, Generate
from keyturn.domain.rotation import Overlap, RotationSpec, RotatorRef, Strategy, Timing, Until
from keyturn.domain.schedule import LONGEST_INTERVAL, SHORTEST_SPACING
from keyturn.kube import resource_schema as schema
from keyturn.kube.resource_checks import invalid
from keyturn.kube.times import Bounds, bounded, scheduled

_FIELD = "spec.rotation"


_INTERVAL = Bounds(SHORTEST_SPACING, LONGEST_INTERVAL)
_WINDOW = Bounds(timedelta(minutes=5), timedelta(days=30))
_JITTER = Bounds(timedelta(0), timedelta(days=1))
_OVERLAP = Bounds(timedelta(0), timedelta(days=365))


def rotation_of(written: schema.Rotation, data: Sequence[DataKey]) -> RotationSpec:
    """Parse how a secret with that data is rotated.

    Raises:
        InvalidSpecError: it cannot be done; the message names the field and says what to write.
    """
    timing = _timing(written)
    _check_timing(timing)
    strategy = _strategy(written)
    if strategy is Strategy.REGENERATE and not any(isinstance(d.source, Generate) for d in data):
        raise invalid(_FIELD, "has nothing to make anew; write a key of spec.data with generate")
    keys = {key for entry in data for key in entry.fills}
    for name, key in written.keys.items():
        if key not in keys:
            raise invalid(
                f"{_FIELD}.keys.{name}", f"names the key {key}, which spec.data does not give"
            )
    reference = written.rotator_ref
    return RotationSpec(
        timing=timing,
        strategy=strategy,
        rotator=None if reference is None else RotatorRef(reference.kind, reference.name),
        keys=tuple(sorted(written.keys.items())),
        suspend=written.suspend,
        overlap=_overlap(written.overlap),
        max_failures=written.max_failures,
    )


def _strategy(written: schema.Rotation) -> Strategy:
    strategy = Strategy(written.strategy or Strategy.REGENERATE)
    if written.rotator_ref is None and strategy is not Strategy.REGENERATE:
        raise invalid(f"{_FIELD}.rotatorRef", f"is missing; strategy {strategy} needs a rotator")
    if written.rotator_ref is None and written.keys:
        raise invalid(f"{_FIELD}.keys", "names values of a rotator; write rotatorRef, or leave out")
    if written.rotator_ref is not None and strategy is Strategy.REGENERATE:
        raise invalid(
            f"{_FIELD}.strategy", "must be written with rotatorRef: SingleUser or AlternatingUsers"
        )
    return strategy


def _timing(written: schema.Rotation) -> Timing:
    if written.schedule is not None and written.interval is not None:
        raise invalid(_FIELD, "has a schedule and an interval; write one of them")
    if written.schedule is None and written.time_zone is not None:
        raise invalid(f"{_FIELD}.timeZone", "is that of a schedule; write schedule, or leave out")
    if written.schedule == "":
        raise invalid(f"{_FIELD}.schedule", "is empty; write for example 0 3 * * 6, or leave out")
    if written.schedule is None and written.interval is None:
        for name, duration in (("window", written.window), ("jitter", written.jitter)):
            if duration is not None:
                raise invalid(f"{_FIELD}.{name}", "needs a schedule or an interval; write one")
    return Timing(
        schedule=written.schedule or "",
        interval=_duration("interval", written.interval, _INTERVAL),
        time_zone=written.time_zone or Timing().time_zone,
        window=_duration("window", written.window, _WINDOW),
        jitter=_duration("jitter", written.jitter, _JITTER) or timedelta(0),
    )


def _check_timing(timing: Timing) -> None:
    schedule = scheduled(_FIELD, timing)
    for most, what in (
        # The rest of it is the least time that a secret has to begin in.
        (None if timing.window is None else timing.window / 2, "half the window"),
        (None if schedule is None else schedule.spacing, "the time between two rotations"),
    ):
        if most is not None and timing.jitter > most:
            raise invalid(
                f"{_FIELD}.jitter",
                f"is longer than {what}; write at most {format_duration(most)}",
            )


def _duration(name: str, text: str | None, bounds: Bounds) -> timedelta | None:
    return None if text is None else bounded(f"{_FIELD}.{name}", text, bounds)


def _overlap(written: schema.Overlap | None) -> Overlap | None:
    if written is None:
        return None
    return Overlap(bounded(f"{_FIELD}.overlap.max", written.max, _OVERLAP), Until(written.until))
