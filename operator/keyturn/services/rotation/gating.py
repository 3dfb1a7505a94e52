"""What a rotation waits for in those who use the secret; pure, but for the gate itself."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from keyturn.domain.consumers import WorkloadRef
from keyturn.domain.errors import ConflictError, RaceError, RetireBlockedByConsumersError
from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, Frozen, Outcome, RotationSpec, Until
from keyturn.domain.secret import Secret, SecretName
from keyturn.services.rotation.pending import Wanted
from keyturn.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Sight:
    """What a look at the consumers found.

    `has_moved`: nobody who runs was started with another credential than the current one; False
    also as long as nobody knows. `why` says who or what is waited for; it is no news while
    `is_brief`, as that passes by itself within seconds. `failed` is a workload that did not become
    healthy with the current version, which is to be gone back from; `unwell` are all that did not.
    `wake` is when to look again.
    """

    has_moved: bool = False
    why: str = "nobody has looked yet who uses it"
    is_brief: bool = True
    failed: str = ""
    unwell: tuple[WorkloadRef, ...] = ()
    wake: datetime | None = None


UNSEEN = Sight()
"""Before anybody looked: nobody has moved."""


class Waiting(NamedTuple):
    """What the previous credential stays valid for, and why a rotation that is due does not begin.

    `held_back` is the cause of that rotation; None if only the retirement waits.
    """

    sight: Sight
    held_back: Cause | None = None


class Gate(Protocol):
    """Looks at those who use a secret, where its resource asks for that."""

    async def look(self, resource: ManagedSecret, secret: Secret, journal: Journal) -> Sight:
        """Look; what cannot be seen has not moved.

        Raises:
            LeadershipLostError, StoreUnavailableError.
        """


def waits_for_consumers(rotation: RotationSpec) -> bool:
    return rotation.overlap is not None and rotation.overlap.until is Until.CONSUMERS_MOVED


def retirement(rotation: RotationSpec, secret: Secret, journal: Journal) -> datetime | None:
    """Tell when the previous credential ends to be valid, at the latest; None: nobody ends it.

    Where it is to wait for consumers, and was promoted before that was asked for, the time is
    counted from the end of its rotation.
    """
    if journal.state is None or secret.stages.previous is None:
        return None
    if journal.state.retire_at is not None or not waits_for_consumers(rotation):
        return journal.state.retire_at
    ended = (one for one in journal.rotations if one.outcome is Outcome.SUCCEEDED)
    newest = next(ended, None)
    if newest is None or newest.ended_at is None or rotation.overlap is None:
        return None
    # Without a target there may be another version since, which no rotation made.
    known = {version.number for version in secret.versions}
    if newest.number not in known or not secret.is_current_credential(newest.number):
        return None
    return newest.ended_at + rotation.overlap.longest


def promised_until(rotation: RotationSpec, secret: Secret, journal: Journal) -> datetime | None:
    """Tell until when a rotation would end a credential too early; None: it ends none.

    A previous version with the credential of the current one has none that could end.
    """
    if secret.is_current_credential(secret.stages.previous):
        return None
    return retirement(rotation, secret, journal)


def is_held(
    rotation: RotationSpec, secret: Secret, journal: Journal, sight: Sight, now: datetime
) -> bool:
    """Tell whether consumers keep the previous credential from being ended or replaced now."""
    bound = promised_until(rotation, secret, journal)
    is_bound = bound is not None and now < bound
    return is_bound and waits_for_consumers(rotation) and not sight.has_moved


def keeps_previous(wanted: Wanted, secret: Secret) -> bool:
    """Tell whether a rotation leaves the previous credential valid.

    It goes back to that one, or to other values beside the credential that is current.
    """
    back_to = wanted.back_to if wanted.cause.goes_back else None
    if back_to is None:
        return False
    stood = (secret.stages.current, secret.stages.previous)
    return secret.credential(back_to) in {secret.credential(each) for each in stood if each}


def version_before(secret: Secret, journal: Journal) -> int | None:
    """Tell which version to go back to from the current one; None if there is none.

    The newest before it that has its credential, so that none is changed; else the previous one.
    """
    current = secret.stages.current
    if current is None:
        return None
    older = (one.number for one in reversed(secret.versions) if one.number < current)
    same = (number for number in older if secret.is_current_credential(number))
    tried = journal.abandoned
    return next((number for number in same if number not in tried), secret.stages.previous)


def frozen_by(wanted: Wanted, secret: Secret) -> Frozen | None:
    """Say what a rotation that a failed rollout led to leaves behind.

    Raises:
        RaceError: another version is current than the one that failed.
    """
    if wanted.cause is not Cause.HEALTH:
        return None
    if secret.stages.current is None or not keeps_previous(wanted, secret):
        raise RaceError("the versions changed since the rollout failed")
    return Frozen(secret.stages.current, wanted.requested_by)


def blocked(name: SecretName, secret: Secret, sight: Sight) -> RetireBlockedByConsumersError:
    """Make the error that says who would be locked out, and how to do it all the same."""
    return RetireBlockedByConsumersError(
        f"version {secret.stages.previous} of {name} has to stay valid: {sight.why}; wait, "
        f"or lock them out by: keyturn rotate {name.name} -n {name.namespace} --force"
    )


def is_under_way(name: SecretName) -> ConflictError:
    """Make the error that says why something has to wait, and what ends that."""
    return ConflictError(
        f"a rotation of {name} is under way; wait for it, or run: "
        f"keyturn rotate {name.name} -n {name.namespace} --cancel"
    )
