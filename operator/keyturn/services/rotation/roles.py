"""Which values of a secret its rotator reads and changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import Generate, ManagedSecret, ManagedSecretSpec
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.rotation import RotationSpec, Strategy
from keyturn.rotators.interface import Credential, Traits

USERNAME = "username"


@dataclass(frozen=True, slots=True)
class Roles:
    """`keys` maps the rotator's own names of the values to the keys of the payload that hold them.

    `rotated` are the keys that are new in each rotation. `held` are those that only a rotation
    changes: these, and the user name, which belongs to the rotation once there is a version.
    `is_issued` says that the target makes the new values: then a person may put others, since only
    a person can authorise anew what the target does not take any more.
    """

    keys: Mapping[str, str] = field(default_factory=dict)
    rotated: frozenset[str] = frozenset()
    held: frozenset[str] = frozenset()
    is_issued: bool = False

    @property
    def refused_to_people(self) -> frozenset[str]:
        """The keys that nobody may put a value to."""
        return self.held - self.rotated if self.is_issued else self.held

    @property
    def credential_keys(self) -> frozenset[str]:
        """The keys by which two versions are told to have one credential."""
        return self.rotated if self.username is None else self.rotated | {self.username}

    @property
    def username(self) -> str | None:
        """The key that holds the user name."""
        return self.keys.get(USERNAME)

    def credential(self, version: int, payload: Payload) -> Credential:
        """Show a version to the rotator, under its own names; the values stay the payload's."""
        return Credential(
            version, {name: payload[key] for name, key in self.keys.items() if key in payload}
        )


def regenerated(spec: ManagedSecretSpec) -> Roles:
    """Name what the strategy Regenerate makes anew: all that is generated."""
    return Roles(rotated=spec.generated_keys)


def roles_of(resource: ManagedSecret, rotation: RotationSpec, traits: Traits) -> Roles:
    """Match the rotator's values with the keys of the resource.

    Raises:
        InvalidSpecError: the rotator does not have the strategy, a value that it needs has no key,
            or one that is to be new each time has no generator.
    """
    if rotation.strategy not in traits.strategies:
        named = " or ".join(sorted(strategy.value for strategy in traits.strategies))
        raise InvalidSpecError(f"spec.rotation.strategy must be {named} with this rotator")
    chosen = {**traits.values, **dict(rotation.keys)}
    unknown = sorted(chosen.keys() - traits.values.keys())
    if unknown:
        known = ", ".join(sorted(traits.values))
        raise InvalidSpecError(
            f"spec.rotation.keys[{unknown[0]}] is nothing that this rotator knows; it has: {known}"
        )
    present = set(resource.spec.keys)
    keys = {name: key for name, key in chosen.items() if key in present}
    missing = sorted(traits.required - keys.keys())
    if missing:
        raise InvalidSpecError(
            f"spec.data has no key {chosen[missing[0]]}, from which the rotator takes the "
            f"{missing[0]}; add it, or name another in spec.rotation.keys"
        )
    rotated = frozenset(keys[name] for name in traits.rotated if name in keys)
    if not traits.issues:
        _require_generators(resource.spec, rotated)
    held = rotated | {keys[USERNAME]} if USERNAME in keys else rotated
    return Roles(keys, rotated, frozenset(held), traits.issues)


def _require_generators(spec: ManagedSecretSpec, rotated: frozenset[str]) -> None:
    for entry in spec.data:
        if set(entry.fills) & rotated and not isinstance(entry.source, Generate):
            raise InvalidSpecError(
                f"spec.data[{entry.key}] is new in each rotation, so its source must be a "
                "generator; write for example generate: {password: {}}"
            )


def text_of(value: SecretValue) -> str:
    """Read a user name; what is no text is no user name.

    Raises:
        InvalidSpecError: it is not UTF-8, or empty.
    """
    try:
        text = str(value.reveal(), "utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text:
        raise InvalidSpecError("the user name is empty, or no text")
    return text


def turn(username: str, base: str, traits: Traits) -> str:
    """Name the user whose turn is next, after `username`: the base or its clone.

    Raises:
        InvalidSpecError: the clone's name would be too long for the target.
    """
    if username != base:
        return base
    clone = base + traits.clone_suffix
    if len(clone.encode()) > traits.username_limit:
        raise InvalidSpecError(
            f"the user name and {traits.clone_suffix!r} are longer than the "
            f"{traits.username_limit} bytes that the target takes; choose a shorter user name"
        )
    return clone


def takes_turns(rotation: RotationSpec) -> bool:
    return rotation.strategy is Strategy.ALTERNATING_USERS
