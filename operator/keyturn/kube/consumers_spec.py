"""Parse `spec.consumers` of a ManagedSecret, and refuse what cannot be done."""

import re
from dataclasses import replace
from datetime import timedelta

from keyturn.domain.consumers_spec import LAG, Action, ConsumersSpec, OnFailure, Reload, Window
from keyturn.domain.rotation import Timing
from keyturn.kube import resource_schema as schema
from keyturn.kube.resource_checks import invalid
from keyturn.kube.times import Bounds, bounded, scheduled

_FIELD = "spec.consumers"
_COALESCE = Bounds(LAG, timedelta(hours=1))
_PROGRESS = Bounds(timedelta(seconds=10), timedelta(days=1))
_DELAY = Bounds(timedelta(0), timedelta(hours=1))
_OPEN = Bounds(timedelta(minutes=5), timedelta(days=7))
_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_URL = re.compile(
    rf"https?://(?:{_LABEL}\.(?P<namespace>{_LABEL})\.svc(?:\.cluster\.local)?|\{{podIP\}})"
    r"(?::[0-9]{1,5})?(?:/[-A-Za-z0-9._~!$&()*+,;=:@%/?]*)?"
)


def consumers_of(written: schema.Consumers, namespace: str) -> ConsumersSpec:
    """Parse what is done for the consumers of a secret in that namespace.

    Raises:
        InvalidSpecError: it cannot be done; the message names the field and says what to write.
    """
    action = Action(written.action)
    _check_action(written, action)
    defaults = ConsumersSpec(action)
    return ConsumersSpec(
        action=action,
        coalesce=_duration("coalesce", written.coalesce, _COALESCE) or defaults.coalesce,
        progress_deadline=_duration("progressDeadline", written.progress_deadline, _PROGRESS)
        or defaults.progress_deadline,
        on_failure=OnFailure(written.on_failure),
        window=None if written.window is None else _window(written.window),
        reload=None if written.reload is None else _reload(written.reload, namespace),
    )


def _check_action(written: schema.Consumers, action: Action) -> None:
    if (written.reload is not None) != (action is Action.RELOAD):
        raise invalid(f"{_FIELD}.reload", "belongs to action Reload; write both, or neither")
    if written.on_failure == OnFailure.ROLLBACK.value and action is not Action.RESTART:
        raise invalid(f"{_FIELD}.onFailure", "can be Rollback only with action Restart")
    if written.progress_deadline is not None and action is not Action.RESTART:
        raise invalid(f"{_FIELD}.progressDeadline", "is that of action Restart; leave it out")
    if action is Action.NONE and not (written.coalesce is None and written.window is None):
        raise invalid(_FIELD, "does nothing with action None; leave coalesce and window out")


def _duration(name: str, text: str | None, bounds: Bounds) -> timedelta | None:
    return None if text is None else bounded(f"{_FIELD}.{name}", text, bounds)


def _window(written: schema.ConsumersWindow) -> Window:
    field = f"{_FIELD}.window"
    if written.schedule.startswith(("rate(", "cron(")):
        raise invalid(f"{field}.schedule", "is a cron expression; write for example 0 2 * * *")
    opens = Timing(written.schedule, time_zone=written.time_zone or Timing().time_zone)
    scheduled(field, opens)
    return Window(opens, bounded(f"{field}.duration", written.duration, _OPEN))


def _reload(written: schema.Reload, namespace: str) -> Reload:
    match = _URL.fullmatch(written.url)
    if match is None:
        raise invalid(
            f"{_FIELD}.reload.url",
            "is no address of a Service or pod; write for example http://{podIP}:8080/-/reload",
        )
    if match["namespace"] not in (None, namespace):
        raise invalid(
            f"{_FIELD}.reload.url", f"names another namespace; only Services of {namespace} can be"
        )
    delay = _duration("reload.delay", written.delay, _DELAY)
    made = Reload(written.url, written.method)
    return made if delay is None else replace(made, delay=delay)
