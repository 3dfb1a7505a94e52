"""Stages: the movable labels on the versions of a secret, and the rules of moving them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from keyturn.domain.errors import InvalidParameterError


class Stage(StrEnum):
    """A label that at most one version of a secret holds.

    In AWS Secrets Manager: AWSCURRENT, AWSPREVIOUS and AWSPENDING.
    """

    CURRENT = "Current"
    PREVIOUS = "Previous"
    PENDING = "Pending"


@dataclass(frozen=True, slots=True)
class Stages:
    """Which version holds which stage.

    The rules are those of AWS Secrets Manager (UpdateSecretVersionStage): a stage is on at most
    one version; moving Current puts Previous on the version that Current left; and a version that
    becomes Current is neither Previous nor Pending any more. One rule is ours: a version with the
    credential of the one that it replaces may leave Previous where it is.

    >>> Stages().promote(1).promote(2)
    Stages(Current=2, Previous=1)
    >>> Stages().promote(1).promote(2).promote(1)
    Stages(Current=1, Previous=2)
    >>> Stages().promote(1).promote(2).promote(3, keeps_previous=True)
    Stages(Current=3, Previous=1)
    """

    versions: Mapping[Stage, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", MappingProxyType(dict(self.versions)))

    def __repr__(self) -> str:
        held = (f"{stage}={number}" for stage, number in sorted(self.versions.items()))
        return f"Stages({', '.join(held)})"

    def version(self, stage: Stage) -> int | None:
        """Tell the number of the version that holds the stage."""
        return self.versions.get(stage)

    @property
    def current(self) -> int | None:
        return self.version(Stage.CURRENT)

    @property
    def previous(self) -> int | None:
        return self.version(Stage.PREVIOUS)

    @property
    def pending(self) -> int | None:
        return self.version(Stage.PENDING)

    def of(self, number: int) -> Stage | None:
        """Tell the stage that a version holds."""
        return next((stage for stage, held in self.versions.items() if held == number), None)

    def promote(self, number: int, *, keeps_previous: bool = False) -> "Stages":
        """Make a version Current; the version that was Current becomes Previous.

        With `keeps_previous` the one that is Previous stays so, unless it is this version itself.
        """
        if number == self.current:
            return self
        moved = {Stage.CURRENT: number}
        if keeps_previous and self.previous not in (None, number):
            moved[Stage.PREVIOUS] = self.versions[Stage.PREVIOUS]
        elif self.current is not None:
            moved[Stage.PREVIOUS] = self.current
        if self.pending is not None and self.pending != number:
            moved[Stage.PENDING] = self.pending
        return Stages(moved)

    def begin(self, number: int) -> "Stages":
        """Make a version Pending.

        Raises:
            InvalidParameterError: another version is Pending, or this one is in use already: one
                pending value per rotation, else a crash could leave two.
        """
        if self.pending is not None and self.pending != number:
            raise InvalidParameterError(f"version {self.pending} is Pending already")
        if number in (self.current, self.previous):
            raise InvalidParameterError(f"version {number} holds the stage {self.of(number)}")
        return Stages({**self.versions, Stage.PENDING: number})

    def retire(self, stage: Stage) -> "Stages":
        """Take Previous or Pending off its version.

        Raises:
            InvalidParameterError: Current cannot be taken off, only moved.
        """
        if stage is Stage.CURRENT:
            raise InvalidParameterError("Current cannot be taken off a version, only moved")
        return Stages({held: n for held, n in self.versions.items() if held is not stage})
