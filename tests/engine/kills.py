"""kill -9 at each named place of a rotation, as a suite that the tests of each rotator inherit.

::

    class TestMine(KillContract):
        rotator = MyRotator()
        strategy = Strategy.SINGLE_USER

        @pytest.fixture(scope="class")
        def place(self, server) -> Place: ...
"""

import random
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from engine import places
from engine.harness import PASSWORD, Case, Rotated, Victim
from engine.promises import all_is_in_step, nothing_is_lost
from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Credential, Traits
