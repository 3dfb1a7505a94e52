"""The turns of the secrets: put into the pool, taken, and what went wrong with one remembered."""

import asyncio
import logging
from collections.abc import Callable

from keyturn.domain.errors import KeyturnError, LeadershipLostError, RaceError
from keyturn.domain.rotation import Failure
from keyturn.domain.secret import SecretName
from keyturn.observability.failures import describe
from keyturn.services.clock import Clock
from keyturn.services.rotation.failing import failure_of
from keyturn.services.rotation.leadership import Leadership
from keyturn.services.rotation.matching import Known, Trouble
from keyturn.services.rotation.pausing import pause_after
from keyturn.services.rotation.performing import Performing
from keyturn.services.rotation.pool import Assignment, RotationPool
from keyturn.services.rotation.run import UNEXPECTED
from keyturn.services.rotation.turn import Turn

logger = logging.getLogger(__name__)


class Turns:
    """Lets the pool take the turns; each end is news of its secret, which is looked at then."""

    def __init__(
        self,
        performing: Performing,
        pool: RotationPool,
        leadership: Leadership,
        *,
        told: Callable[[], None],
        changed: Callable[[SecretName], None],
        clock: Clock,
    ) -> None:
        self._performing = performing
        self._pool = pool
        self._leadership = leadership
        self._told = told
        self._changed = changed
        self._clock = clock
        self._withheld: set[SecretName] = set()

    def is_at_work(self, name: SecretName) -> bool:
        return self._pool.is_at_work(name)

    def assign(self, turn: Turn, known: Known) -> None:
        """Let a turn be taken when there is room for it."""

        async def perform() -> None:
            await self._take(turn, known)

        self._pool.put(Assignment(turn.resource.name, known.place, known.at_most, perform))

    async def begin(self, turn: Turn, known: Known) -> bool:
        """Begin the rotation that a turn wants, and wait for that; False if one is at work.

        Raises:
            KeyturnError: it cannot begin.
        """
        name = turn.resource.name
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def perform() -> None:
            error: Exception | None = None
            try:
                await self._performing.begin(turn)
            except LeadershipLostError as lost:
                self._leadership.lose()
                error = lost
            except asyncio.CancelledError:
                done.cancel()
                raise
            except Exception as failed:  # noqa: BLE001 - whoever waits has to hear of it
                error = failed
            finally:
                # Whoever waited may have gone.
                if not done.done():
                    done.set_result(None) if error is None else done.set_exception(error)
                self._told()
                self._changed(name)

        assignment = Assignment(name, known.place, known.at_most, perform, is_awaited=True)
        if not self._pool.put(assignment):
            return False
        await done
        known.trouble = None
        return True

    def take_back(self, name: SecretName) -> None:
        """Forget what waits for room, unless somebody awaits it: it is not wanted any more."""
        self._pool.drop(name)

    def withhold(self, name: SecretName) -> None:
        """Remember a secret that could not be acted on, as this operator does not lead."""
        self._withheld.add(name)

    def release(self) -> None:
        """Let those be looked at that could not be acted on: this operator leads now."""
        withheld, self._withheld = self._withheld, set()
        for name in withheld:
            self._changed(name)

    def forget(self, name: SecretName) -> None:
        """Forget what waits of a secret."""
        self._withheld.discard(name)
        self.take_back(name)

    async def _take(self, turn: Turn, known: Known) -> None:
        name = turn.resource.name
        try:
            await self._performing.perform(turn)
            known.trouble = None
        except LeadershipLostError:
            self._leadership.lose()
        except RaceError as error:
            logger.info("rotation of %s is looked at again: %s", name, error.message)
            self._note(known, None)
        except KeyturnError as error:
            if self._leadership.is_leading():
                logger.warning("rotation of %s has to wait: %s", name, error.message)
                self._note(known, failure_of(error, turn.step))
            else:
                self.withhold(name)
        except Exception as error:  # noqa: BLE001 - else it would be tried again at once, for ever
            logger.critical("rotating %s failed unexpectedly: %s", name, describe(error))
            message = "the operator failed unexpectedly; see its log"
            self._note(known, Failure(turn.step, UNEXPECTED, message))
        finally:
            self._told()
            self._changed(name)

    def _note(self, known: Known, failure: Failure | None) -> None:
        count = known.trouble.count + 1 if known.trouble else 1
        known.trouble = Trouble(failure, self._clock() + pause_after(count), count)
