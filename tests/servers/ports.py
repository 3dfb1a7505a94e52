"""Ports for the servers of the tests: each is chosen once, and no other test run has it."""

import random
import socket
from itertools import chain, count
from typing import Final

# Below what Linux gives to clients and to who asks for any port, and below Kubernetes' NodePorts.
_FIRST, _END = 12000, 30000
_CANDIDATES: Final = iter(
    chain.from_iterable(random.sample(range(_FIRST, _END), _END - _FIRST) for _ in count())
)
_claims: Final[list[socket.socket]] = []


def free_port() -> int:
    """Choose a port that stays this process's own, whether something listens on it or not.

    So a server may be started on it later, and again after a stop. It was free on all addresses,
    also of connections that wait for their end.
    """
    return next(port for port in _CANDIDATES if _is_claimed(port))


def _is_claimed(port: int) -> bool:
    # Of such a name there is one in the machine, until its process ends; it needs no file.
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0keyturn-tests-port-{port}")
        with socket.socket() as trial:
            trial.bind(("", port))
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True
