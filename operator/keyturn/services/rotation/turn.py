"""One turn of a secret's rotation: what was decided, described so that it can be taken later."""

from collections.abc import Hashable
from dataclasses import dataclass
from uuid import UUID

from keyturn.domain.managed_secret import ManagedSecret
from keyturn.domain.rotation import Cause, RotationSpec, Step
from keyturn.domain.secret import Secret
from keyturn.services.rotation.deciding import Decision, token_of
from keyturn.services.rotation.gating import Sight, version_before
from keyturn.services.rotation.pending import Wanted
from keyturn.store.journal import Journal


@dataclass(frozen=True, slots=True)
class Turn:
    """What is to be done for a secret: a rotation that is to begin, a retirement, or go on.

    `decided_on` is the mark of the journal that it was decided on, `step` is what it begins with.
    """

    resource: ManagedSecret
    secret_id: UUID
    wanted: Wanted | None = None
    retires: bool = False
    decided_on: Hashable = None
    step: Step = Step.CREATE_PENDING

    @property
    def spec(self) -> RotationSpec:
        return self.resource.spec.rotation or RotationSpec()


def turn_of(
    resource: ManagedSecret, secret: Secret, journal: Journal, decision: Decision, sight: Sight
) -> Turn:
    """Describe what was decided as a turn to be taken."""
    wanted = _wanted(resource, secret, journal, decision, sight)
    return Turn(resource, secret.id, wanted, decision.retires, journal.mark, step=step_of(journal))


def step_of(journal: Journal) -> Step:
    """Tell which step the open rotation stands on, or a new one begins with."""
    return journal.open.step if journal.open is not None else Step.CREATE_PENDING


def _wanted(
    resource: ManagedSecret, secret: Secret, journal: Journal, decision: Decision, sight: Sight
) -> Wanted | None:
    match decision.cause:
        case None:
            return None
        case Cause.REQUEST:
            return Wanted(Cause.REQUEST, "annotation keyturn.dev/rotate", token_of(resource))
        case Cause.INITIAL:
            # A token that a resource is made with asks for no second rotation.
            return Wanted(Cause.INITIAL, token=token_of(resource))
        case Cause.HEALTH:
            # Who asked before it failed did not ask for what follows.
            token, back_to = token_of(resource), version_before(secret, journal)
            return Wanted(Cause.HEALTH, sight.failed, token, back_to)
        case cause:
            return Wanted(cause)
