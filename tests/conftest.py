"""What every kind of test may use."""

import signal

import pytest
from hypothesis import HealthCheck, settings

from canary import Canary

# A busy machine is slow, and that is no failure.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

# Who was started in the background may ignore ^C, and so would all that the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def canary() -> Canary:
    """The secret values of this run: made here, and looked for where they must not be."""
    return Canary()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills",
        type=int,
        default=1,
        metavar="N",
        help="kill a rotation N times at each place where it can be killed",
    )
