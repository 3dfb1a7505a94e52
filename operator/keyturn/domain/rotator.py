"""What an administrator's Rotator or ClusterRotator says, parsed: where and how credentials rotate.

The reader is `keyturn.kube.rotators`; what stands here has passed its checks, but for the
parameters of the type, which only the rotator itself understands.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from keyturn.domain.rotation import RotatorRef

NAMESPACED_KIND, CLUSTER_KIND = "Rotator", "ClusterRotator"

BUILT_IN_TYPES = (
    "postgresql",
    "mysql",
    "mongodb",
    "redis",
    "oracle",
    "sqlserver",
    "ssh",
    "oauth2",
    "webhook",
    "job",
)
"""The types that have a field of their own; those of other packages stand under `plugin`."""

JOBS_NAMESPACE = "keyturn-jobs"
"""Where the Jobs of the type `job` run, with the values that they were given."""

DEFAULT_TIMEOUT = 10.0
DEFAULT_MAX_CONCURRENT = 2


class AdminKind(StrEnum):
    """What an admin credential is kept in."""

    NATIVE = "Secret"
    MANAGED = "ManagedSecret"


class AuthorityKind(StrEnum):
    """What the certificates of a target's authority are kept in."""

    CONFIG_MAP = "ConfigMap"
    NATIVE = "Secret"


@dataclass(frozen=True, slots=True)
class AdminRef:
    """The admin credential; `keys` maps the rotator's own names to the keys that differ."""

    kind: AdminKind
    namespace: str
    name: str
    keys: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuthorityRef:
    """The key that holds the certificates (PEM) of the target's authority."""

    kind: AuthorityKind
    namespace: str
    name: str
    key: str


@dataclass(frozen=True, slots=True)
class RotatorSettings:
    """A Rotator or ClusterRotator, its defaults resolved.

    `type` is the rotator's name among the entry points, `parameters` are as the administrator
    wrote them. `author_checked` tells that its author was allowed to read what it names.
    `allowed_usernames` are patterns of the user names that the admin may set although the secret
    did not prove to own them. `timeout` is in seconds; `max_concurrent` counts rotations at once.
    """

    ref: RotatorRef
    uid: str
    type: str
    parameters: Mapping[str, Any]
    author_checked: bool
    admin: AdminRef | None = None
    authority: AuthorityRef | None = None
    allowed_usernames: tuple[str, ...] = ()
    allowed_namespaces: tuple[str, ...] = ()
    timeout: float = DEFAULT_TIMEOUT
    max_concurrent: int = DEFAULT_MAX_CONCURRENT

    @property
    def consent_name(self) -> str:
        """The name by which an owner lets it read something; none of a ManagedSecret has a `/`."""
        return f"{self.ref.kind.lower()}/{self.ref.name}"


def allows_username(settings: RotatorSettings, username: str) -> bool:
    """Tell whether the admin may set a user that the secret did not prove to own."""
    return _matches_any(settings.allowed_usernames, username)


def allows_namespace(settings: RotatorSettings, namespace: str) -> bool:
    """Tell whether a ManagedSecret of that namespace may use it.

    A Rotator is found in the namespace of the ManagedSecret only, so it allows that one.
    """
    if settings.ref.kind == NAMESPACED_KIND:
        return True
    return _matches_any(settings.allowed_namespaces, namespace)


def _matches_any(patterns: Sequence[str], text: str) -> bool:
    return any(matches(pattern, text) for pattern in patterns)


def matches(pattern: str, text: str) -> bool:
    """Match all of a text by `*` (any characters, or none) and `?` (one); nothing else is special.

    It takes at most len(pattern) * len(text) steps, which a regular expression does not promise.

    >>> matches("app_*", "app_web"), matches("app_?", "app_web"), matches("[a]", "a")
    (True, False, False)
    """
    at, place = 0, 0
    star, resume = -1, 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, place
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", text[place]):
            at, place = at + 1, place + 1
        elif star >= 0:
            # Let the last star take one character more.
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return all(character == "*" for character in pattern[at:])
