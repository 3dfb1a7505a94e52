"""What the rotators have in common that hand each step to somebody else's code.

Keyturn does not know that code's values, nor what it can do: the administrator says so.
"""

import re
from dataclasses import dataclass

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Traits
from keyturn.rotators.parameters import Parameters

USERNAME = "username"
SET, TEST, RETIRE, ISSUE = "set", "test", "retire", "issue"

FIELDS = ("strategies", "values", "rotated", "steps", "coexists")
"""The parameters that `Delegation.read` reads."""

MAX_VALUES = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_STRATEGIES = (Strategy.SINGLE_USER.value, Strategy.ALTERNATING_USERS.value)


@dataclass(frozen=True, slots=True)
class Delegation:
    """What somebody else's code can do; the fields are those of `Traits`.

    `retires`: it wants to be told that a credential is to be accepted no longer.
    """

    strategies: frozenset[Strategy]
    values: tuple[str, ...]
    rotated: frozenset[str]
    coexists: bool
    retires: bool

    @classmethod
    def read(cls, parameters: Parameters) -> "Delegation":
        """Read it from the parameters of a rotator. Raises: InvalidParameterError."""
        strategies = parameters.choices("strategies", _STRATEGIES, default=_STRATEGIES[:1])
        steps = parameters.choices("steps", (SET, TEST, RETIRE), default=(SET, TEST, RETIRE))
        if not {SET, TEST} <= set(steps):
            raise parameters.refusal("steps", "must have set and test; only retire may be missing")
        values = _names(parameters, "values", ("username", "password"))
        rotated = _names(parameters, "rotated", ("password",))
        if not set(rotated) <= set(values):
            raise parameters.refusal("rotated", "has what is not among values; add it there")
        alternates = Strategy.ALTERNATING_USERS.value in strategies
        if alternates and (USERNAME not in values or USERNAME in rotated):
            raise parameters.refusal(
                "values", "must have username, not rotated, as AlternatingUsers changes it"
            )
        return cls(
            frozenset(Strategy(strategy) for strategy in strategies),
            values,
            frozenset(rotated),
            parameters.flag("coexists"),
            RETIRE in steps,
        )

    def traits(self, *, issues: bool = False) -> Traits:
        """Tell the engine; there is no lock in a target that nobody here knows."""
        alternates = Strategy.ALTERNATING_USERS in self.strategies
        return Traits(
            strategies=self.strategies,
            values={name: name for name in self.values},
            required=self.rotated | ({USERNAME} if alternates else set()),
            rotated=self.rotated,
            has_lock=False,
            coexists=self.coexists,
            issues=issues,
        )


def _names(parameters: Parameters, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    example = f"{name}: [{', '.join(default)}]"
    names = parameters.texts(name, _NAME, example, most=MAX_VALUES)
    if parameters.has(name) and not names:
        raise parameters.refusal(name, f"must not be empty; write for example {example}")
    return tuple(dict.fromkeys(names)) or default
