"""What every kind of test may use."""

import pytest

from canary import Canary


@pytest.fixture(scope="session")
def canary() -> Canary:
    """The secret values of this run: made here, and looked for where they must not be."""
    return Canary()
