"""What is remembered of a secret between two looks at its rotation, and its rotator with it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Failure, RotationSpec
from keyturn.domain.secret import SecretName
from keyturn.kube.following import FollowedObject
from keyturn.services.rotation.aiming import Aiming
from keyturn.services.rotation.roles import Roles

FollowTarget = Callable[[SecretName, frozenset[FollowedObject]], None]
"""Tells the watches which objects of a rotation's target a ManagedSecret is to follow."""

NO_TARGET_LIMIT = 1000
"""Where no target has to bear them, only the pool's own limit counts."""


@dataclass(slots=True)
class Trouble:
    """What went wrong outside of a rotation's journal; forgotten when the process ends.

    `failure` is None where nothing is to be told: what was read had changed, and is read again.
    """

    failure: Failure | None
    retry_at: datetime
    count: int = 1


@dataclass(slots=True)
class Known:
    """What is remembered of a secret; all of it can be found out again.

    `is_urgent` says that something changed, so that a back-off is over; `token` is the rotate
    token that was seen last. `waiting` says whom the previous credential waits for. `followed` are
    the objects of the target that are followed. `is_shown` says that the native Secrets were looked
    at, and `left_behind` what kept one of them from being written then.
    """

    secret_id: UUID | None = None
    generation: int = -1
    roles: Roles | None = None
    at_most: int = 1
    place: str = ""
    token: str = ""
    is_urgent: bool = False
    waiting: str = ""
    trouble: Trouble | None = None
    followed: frozenset[FollowedObject] = frozenset()
    is_shown: bool = False
    left_behind: Failure | None = None


class Matching:
    """Finds out which keys a rotator owns, and how many rotations its target bears."""

    def __init__(self, aiming: Aiming, follow: FollowTarget) -> None:
        self._aiming = aiming
        self._follow = follow

    async def match(self, resource: ManagedSecret, rotation: RotationSpec, known: Known) -> Roles:
        """Match them; read anew when the resource or the target changed, which is urgent then.

        Raises:
            KeyturnError: the rotator is not there, may not be used, or does not fit.
        """
        fresh = known.generation == resource.generation and not known.is_urgent
        if known.roles is not None and fresh:
            return known.roles
        known.roles, settings = None, None
        known.is_urgent = True
        name, ref = resource.name, rotation.rotator
        if ref is not None:
            # Followed first, read then: a change in between is heard of. What was followed stays so
            # meanwhile: a watch that begins anew is news, which would lead here again, for ever.
            self._follow(name, known.followed | self._aiming.to_follow(name, ref, None))
            settings = await self._aiming.settings(name, ref)
            known.followed = self._aiming.to_follow(name, ref, settings)
            self._follow(name, known.followed)
            known.place, known.at_most = settings.uid, settings.max_concurrent
        else:
            known.followed = frozenset()
            self._follow(name, known.followed)
            known.place, known.at_most = "", NO_TARGET_LIMIT
        known.roles = self._aiming.match(resource, rotation, settings)[2]
        known.generation = resource.generation
        return known.roles

    def forget(self, name: SecretName) -> None:
        """Follow nothing any more for a rotation that is not asked for."""
        self._follow(name, frozenset())
