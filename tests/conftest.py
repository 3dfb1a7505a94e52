"""What every kind of test may use."""

import gc
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from canary import Canary
from canary_scan import CanaryScan
from keyturn_controlplane.binaries import Binaries, find_or_build

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


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Binaries:
    """The binaries of the control plane; a first build takes minutes, so it is shown."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    if capture is None:
        return find_or_build()
    with capture.global_and_fixture_disabled():
        return find_or_build()


@pytest.fixture(scope="session")
def canary_scan(canary: Canary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CanaryScan]:
    """The search for all secret values of the run, at its end; see tests/canary_scan.py."""
    scan = CanaryScan(canary, tmp_path_factory.getbasetemp())
    with scan.sampling():
        yield scan
    leaks = scan.search()
    assert not leaks, "\n".join(str(leak) for leak in leaks)


@pytest.fixture(scope="module")
def collected() -> Iterator[None]:
    """Collect what the tests of a file leave, before another file has to answer for it."""
    yield
    gc.collect()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--kills",
        type=int,
        default=1,
        metavar="N",
        help="kill a rotation N times at each place where it can be killed",
    )
