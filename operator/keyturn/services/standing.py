"""The versions that the next one carries over from, open for as long as it is made."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from keyturn.domain.errors import DecryptionFailedError
from keyturn.domain.payload import Payload
from keyturn.domain.secret import Secret
from keyturn.services.next_version import Plan, Standing
from keyturn.services.versions import Versions

logger = logging.getLogger(__name__)


@asynccontextmanager
async def standing(versions: Versions, secret: Secret, plan: Plan) -> AsyncIterator[Standing]:
    """Open them inside the `with`; they are zeroed after it.

    Raises:
        DecryptionFailedError: the current version does not open.
    """
    # Without a current one it holds no stage: what was put before a rotation could make the first.
    carried = secret.stages.current or plan.compared or (secret.newest and secret.newest.number)
    current = await versions.open(secret, carried) if carried else Payload({})
    with current:
        is_other = plan.compared not in (None, carried)
        with await _compared(versions, secret, plan.compared if is_other else None) as compared:
            yield Standing(current, compared)


async def _compared(versions: Versions, secret: Secret, number: int | None) -> Payload:
    if number is None:
        return Payload({})
    try:
        return await versions.open(secret, number)
    except DecryptionFailedError as error:
        # A person has gone back from it, maybe just for that; what only it has is made anew.
        logger.warning("nothing is carried over from %s: %s", secret.name, error.message)
        return Payload({})
