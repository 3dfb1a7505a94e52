"""When a window is open, in which what disturbs may be done; pure."""

from datetime import datetime

from keyturn.domain.consumers_spec import Window
from keyturn.domain.schedule import schedule_of


def next_opening(window: Window, now: datetime) -> datetime:
    """Tell from when the window is open: now if it is, else when it opens next.

    It is open from each time of its schedule on, for its duration.

    Raises:
        InvalidParameterError: its schedule is none; the parser refuses that.
    """
    schedule = schedule_of(window.opens)
    if schedule is None:
        return now
    since = now - window.duration
    return max(now, schedule.first(since, since))
