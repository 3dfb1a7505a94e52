"""What every rotator promises.

A rotator is found by its entry point in the group `keyturn.rotators`; the built-in ones come in by
the same way. The engine (`keyturn.services.rotation`) decides what is done and when; a rotator does
single acts in the target system. Each act may be repeated after a crash, with the same values.

Rules that no rotator may break:

- The target is opened by keyword arguments from `Target.parameters`, never by a connection string,
  with TLS verified unless the parameters say `tls: {mode: disable}`; connecting and each statement
  have a deadline of `Target.timeout`, on the server's side too where the server knows one.
- No plaintext leaves but to the target: passwords go as verifiers where the server takes them;
  identifiers are quoted by the driver. The errors of drivers end here: they are replaced by those
  of `keyturn.domain.errors`, with a text of our own and `from None`, since theirs quote statements.
- `False` from `accepts` means that the target itself refused this credential. Whoever cannot tell
  raises `TargetUnavailableError`: the engine then asks again, and never guesses. So does whoever
  gets one answer for a wrong password and for a login that is barred for another reason, such as
  the operator's address: a password that cannot be tested must not be set. What `set` mends by
  itself is no such reason (`Order.original_of`).
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.domain.rotation_job import JobResult, RotationJob


@dataclass(frozen=True, slots=True)
class Traits:
    """What the engine has to know of a rotator with given parameters.

    `values` are the rotator's own names of the values that it reads from a version: name to default
    key of the payload. `required` are those that a version must have. `rotated` are those that are
    new in each rotation; their keys need a generator as source (or are `issued`). With
    AlternatingUsers the user name alternates between the base and base + `clone_suffix`, together
    at most `username_limit` characters.

    `has_lock`: entering a session takes a lock in the target that other sessions of the same
    credential wait for, and that ends with the session. `coexists`: two credentials of one user
    are accepted side by side from `set` until `retire`. `issues`: new values come from the target
    (`Session.issue`) and not from generators. `call_seconds`: how long a call of a session may take
    beside what `Target.timeout` bounds, where it waits for a program with a deadline of its own.
    """

    strategies: frozenset[Strategy]
    values: Mapping[str, str]
    required: frozenset[str]
    rotated: frozenset[str]
    has_lock: bool
    coexists: bool = False
    issues: bool = False
    clone_suffix: str = "_clone"
    username_limit: int = 63
    call_seconds: float = 0.0


class JobRunner(Protocol):
    """Runs a Kubernetes Job for one step of a rotation."""

    @property
    def namespace(self) -> str:
        """Where the Jobs are, for whoever wants to look at one."""

    async def run(self, job: RotationJob) -> JobResult:
        """Run it to its end; one that runs already for the same act is waited for instead.

        One Job of a secret runs at a time. Its Secret is gone when this returns or raises.

        Raises:
            TargetLockedError: a Job of the same secret runs for another act.
            KeyturnError: the cluster cannot be asked, or refuses; the Job may run or not.
        """


@dataclass(frozen=True, slots=True)
class Target:
    """Where a credential is rotated, as the administrator's Rotator says.

    `parameters` have passed `Rotator.check`. `admin` are the values of the admin credential, empty
    if there is none. `authority` are the certificates (PEM) that the target's must chain to; empty:
    those that the system trusts. `timeout` is in seconds, for connecting and for each statement.
    `jobs` runs Kubernetes Jobs; None where there is no cluster.
    """

    parameters: Mapping[str, Any]
    admin: Mapping[str, SecretValue] = field(default_factory=dict)
    authority: bytes = b""
    timeout: float = 10.0
    jobs: JobRunner | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """One version as the target knows it: its values under the rotator's own names."""

    version: int
    values: Mapping[str, SecretValue]


@dataclass(frozen=True, slots=True)
class Order:
    """What one rotation, or one retirement on its own, is about.

    `rotation_id` is the same however often it is tried, whoever tries it, and new for each.
    `pending` is None while an issuing rotator makes it, and in a retirement; `current` is None in
    the first rotation of a secret. `base_username` is the one of the two alternating user names
    that is not the clone's, and the only one with SingleUser: the lock's key is made from it. Empty
    where the rotator knows no user names.
    """

    secret_id: UUID
    rotation_id: UUID
    strategy: Strategy
    base_username: str
    pending: Credential | None
    current: Credential | None = None
    previous: Credential | None = None

    def original_of(self, credential: Credential) -> Credential:
        """Return the one whose user `set` makes that of `credential` like; else `credential`.

        With AlternatingUsers that is `current` for `pending`. Where the current user may log in,
        the other one may after `set`: what bars it until then, such as restrictions that the
        current one has lost, is no reason not to begin.
        """
        alternates = self.strategy is Strategy.ALTERNATING_USERS
        if not alternates or self.pending is None or self.current is None:
            return credential
        return self.current if credential.version == self.pending.version else credential


class Session(Protocol):
    """An open session with the target; with `Traits.has_lock` it holds the lock all along."""

    async def accepts(self, credential: Credential) -> bool:
        """Log in anew with a credential, do something trivial, log out.

        Raises:
            TargetUnavailableError: whether it is accepted cannot be told.
        """

    async def set(self, pending: Credential) -> None:
        """Let the target accept `pending`; do nothing else to what it accepts.

        With AlternatingUsers: make the clone if it is missing, and bring its privileges in line
        with those of the user of the current credential, each time. Repeating it is harmless.

        Raises:
            TargetUnavailableError: it may have happened or not.
            TargetRefusedError: the target refused, and it did not happen.
        """

    async def retire(self, old: Credential, kept: Sequence[Credential]) -> None:
        """Let the target no longer accept `old`, without a change to any of `kept`.

        Open connections stay. Nothing to do where setting the next one ended it already. Repeating
        it is harmless.

        Raises:
            TargetUnavailableError, TargetRefusedError: as for `set`.
        """

    async def holds_lock(self) -> bool:
        """Tell whether the lock is still that of this session; True where there is none."""

    async def issue(self, current: Credential) -> Mapping[str, SecretValue]:
        """Let the target issue new values, by the rotator's own names; only with `Traits.issues`.

        Raises:
            TargetUnavailableError, TargetRefusedError: as for `set`.
        """


class Rotator(Protocol):
    """Changes a credential in one kind of target system. Stateless."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        """Refuse parameters that cannot work. Pure.

        Raises:
            InvalidParameterError: the message names the parameter and says what to write.
        """

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        """Tell what the engine has to know. Pure."""

    def session(self, target: Target, order: Order) -> AbstractAsyncContextManager[Session]:
        """Open a session for one rotation; with `Traits.has_lock`, wait for the lock.

        Raises:
            TargetUnavailableError: it does not answer, or nobody may log in.
            TargetLockedError: another session holds the lock for longer than the timeout.
        """
