"""What becomes of the versions of a secret whose resource was deleted."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

DEFAULT_RECOVERY_WINDOW = timedelta(days=14)


class ReclaimPolicy(StrEnum):
    """What is done with the versions when the resource is deleted.

    Recover keeps them for the recovery window, Retain for ever, Delete destroys them at once.
    """

    RECOVER = "Recover"
    RETAIN = "Retain"
    DELETE = "Delete"


@dataclass(frozen=True, slots=True)
class Retention:
    """The reclaim policy of a secret and the length of its recovery window."""

    policy: ReclaimPolicy = ReclaimPolicy.RECOVER
    window: timedelta = DEFAULT_RECOVERY_WINDOW

    def purge_after(self, deleted_at: datetime) -> datetime | None:
        """Tell from when on the versions may be destroyed; None for never.

        >>> Retention(window=timedelta(days=7)).purge_after(datetime(2030, 1, 1))
        datetime.datetime(2030, 1, 8, 0, 0)
        >>> Retention(ReclaimPolicy.RETAIN).purge_after(datetime(2030, 1, 1)) is None
        True
        """
        match self.policy:
            case ReclaimPolicy.RECOVER:
                return deleted_at + self.window
            case ReclaimPolicy.RETAIN:
                return None
            case ReclaimPolicy.DELETE:
                return deleted_at


def is_purge_suspicious(due: int, total: int, *, share: float = 0.2, floor: int = 10) -> bool:
    """Tell whether so many secrets are due at once that a person has to confirm.

    A mistake elsewhere (a narrowed scope, a restored cluster) looks like many deletions at once.

    >>> is_purge_suspicious(due=3, total=4), is_purge_suspicious(due=30, total=100)
    (False, True)
    """
    return due > floor and due > total * share
