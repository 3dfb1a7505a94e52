"""The next version of a secret: what changed is made anew, all else is carried over.

Compared is with the newest version, carried over from the current one: so a rollback, after
which the newest version is not the current one, is not rolled forward again. What only the newest
one has makes no version of its own either; the next one takes it along.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from keyturn.domain.errors import AwaitingInputError, InvalidSpecError
from keyturn.domain.managed_secret import (
    DataKey,
    Generate,
    Input,
    Literal,
    ManagedSecretSpec,
)
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import Secret, SecretName
from keyturn.domain.version import KeyOrigin, Version, VersionReason
from keyturn.services.generating import Generating

Fingerprint = Callable[..., str]
"""`RootKeys.fingerprint`: a purpose and parts to a keyed digest."""

Followed = Mapping[str, SecretValue]
"""The values read for `valueFrom`, by the key of their entry."""


@dataclass(frozen=True, slots=True)
class RotatedKeys:
    """What a rotation asks of the next version.

    `held` are keys that stay as they are, whatever became of their source; `renewed` are keys that
    are generated anew although their source is the same. `abandoned` are versions that never were
    Current: what was new in them is still to be done.
    """

    held: frozenset[str] = frozenset()
    renewed: frozenset[str] = frozenset()
    abandoned: frozenset[int] = frozenset()


NO_ROTATION = RotatedKeys()


@dataclass(frozen=True, slots=True)
class Plan:
    """What the next version needs; `changed` are the entries whose value is made or read anew.

    `compared` is the number of the version that it was compared with, None if there was none.
    """

    changed: tuple[DataKey, ...]
    origins: Mapping[str, KeyOrigin]
    reason: VersionReason
    compared: int | None = None
    followed: Followed = field(default_factory=dict)
    given: Mapping[str, SecretValue] = field(default_factory=dict)


class Standing(NamedTuple):
    """The payloads that the next version carries over from.

    `compared` is that of the version which the plan was compared with. It says nothing of keys
    that `current` has; after a rollback it has those that came with a version gone back from.
    """

    current: Payload
    compared: Payload


def plan(
    spec: ManagedSecretSpec,
    secret: Secret,
    *,
    followed: Followed,
    fingerprint: Fingerprint,
    siblings_of: Callable[[Generate], frozenset[str]],
    rotation: RotatedKeys = NO_ROTATION,
) -> Plan | None:
    """Compare the specification with the newest version; None if nothing changed."""
    origins = _origins(spec, followed, fingerprint)
    compared = newest_but(secret, rotation.abandoned)
    stood = compared.origins if compared else {}
    origins.update({key: stood[key] for key in rotation.held if key in stood and key in origins})
    changed = [
        e
        for e in spec.data
        if any(origins[k] != stood.get(k) or k in rotation.renewed for k in e.fills)
    ]
    changed = _with_dependants(spec, changed, siblings_of)
    if not changed and origins.keys() == stood.keys():
        return None
    reason = VersionReason.ROTATED if rotation.renewed else _reason(changed, origins, stood)
    number = compared.number if compared else None
    return Plan(tuple(changed), origins, reason, number, followed)


def newest_but(secret: Secret, abandoned: Collection[int]) -> Version | None:
    """Find the newest version that is none of those."""
    known = reversed(secret.versions)
    return next((version for version in known if version.number not in abandoned), None)


def plan_put(
    spec: ManagedSecretSpec,
    secret: Secret,
    given: Mapping[str, SecretValue],
    *,
    fingerprint: Fingerprint,
    siblings_of: Callable[[Generate], frozenset[str]],
) -> Plan:
    """Plan a version in which a person gives the values of some keys.

    Raises:
        InvalidSpecError: a key is not there, or its source does not take a value.
    """
    by_key = {key: entry for entry in spec.data for key in entry.fills}
    for key in given:
        entry = by_key.get(key)
        if entry is None:
            raise InvalidSpecError(f"{secret.name} has no key {key!r}; add it to spec.data first")
        if not isinstance(entry.source, Input | Generate):
            raise InvalidSpecError(f"{key!r} has a source of its own; change that in the resource")
    stood = secret.newest.origins if secret.newest else {}
    origins = {
        key: _origin(entry, None, fingerprint, None if key in given else stood.get(key))
        for key, entry in by_key.items()
    }
    put = [by_key[key] for key in given]
    missing = [e for e in spec.data if any(k not in stood for k in e.fills) and e not in put]
    changed = _with_dependants(spec, [*put, *missing], siblings_of)
    number = secret.newest.number if secret.newest else None
    return Plan(tuple(changed), origins, VersionReason.PUT, number, {}, given)


async def payload_of(
    plan: Plan,
    spec: ManagedSecretSpec,
    name: SecretName,
    standing: Standing,
    generating: Generating,
) -> Payload:
    """Make the payload that a plan asks for; the caller zeroes it, and what is standing.

    Raises:
        AwaitingInputError: a key with the source `input` has no value yet.
        InvalidParameterError, SourceNotFoundError: a generator cannot run.
    """
    values = carried_over(spec, standing, generating.siblings_of)
    plan = _completed(plan, spec, standing.current, values, generating.siblings_of)
    for entry in plan.changed:
        if isinstance(entry.source, Literal):
            values[entry.key] = SecretValue(entry.source.value.encode())
        elif entry.key in plan.followed:
            values[entry.key] = plan.followed[entry.key].copy()
    values.update({key: value.copy() for key, value in plan.given.items()})
    _require_inputs(name, plan, values)
    for entry, source in _to_generate(plan, generating):
        made = await generating.generate(name, entry, source, values)
        values.update({key: value for key, value in made.items() if key not in plan.given})
    return Payload({key: values[key] for key in spec.keys if key in values})


def carried_over(
    spec: ManagedSecretSpec,
    standing: Standing,
    siblings_of: Callable[[Generate], frozenset[str]],
) -> dict[str, SecretValue]:
    """Copy what stands; an entry that is not whole in the current version is the compared one's.

    One that is made from another value is not taken from there: that value may be another one.
    """
    current, compared = standing
    values = {key: current[key].copy() for key in spec.keys if key in current}
    for entry in _lacking(spec, current):
        is_derived = isinstance(entry.source, Generate) and siblings_of(entry.source)
        if not is_derived and all(key in compared for key in entry.fills):
            values.update({key: compared[key].copy() for key in entry.fills})
    return values


def _lacking(spec: ManagedSecretSpec, values: Mapping[str, SecretValue]) -> list[DataKey]:
    return [entry for entry in spec.data if any(key not in values for key in entry.fills)]


def _completed(
    plan: Plan,
    spec: ManagedSecretSpec,
    current: Payload,
    carried: Mapping[str, SecretValue],
    siblings_of: Callable[[Generate], frozenset[str]],
) -> Plan:
    """Add what nothing could be carried over for, and what is made from keys that come anew."""
    brought = [entry for entry in _lacking(spec, current) if entry not in plan.changed]
    absent = _lacking(spec, carried)
    changed = [
        entry
        for entry in _with_dependants(spec, [*plan.changed, *brought], siblings_of)
        if entry not in brought or entry in absent
    ]
    return replace(plan, changed=tuple(changed))


def _to_generate(plan: Plan, generating: Generating) -> list[tuple[DataKey, Generate]]:
    """List what to generate: first what is made from nothing, then what is made from others."""
    chosen = [
        (entry, entry.source)
        for entry in plan.changed
        if isinstance(entry.source, Generate) and not set(entry.fills) <= plan.given.keys()
    ]
    return sorted(chosen, key=lambda pair: len(generating.siblings_of(pair[1])))


def _require_inputs(name: SecretName, plan: Plan, values: Mapping[str, SecretValue]) -> None:
    awaited = [e.key for e in plan.changed if isinstance(e.source, Input) and e.key not in values]
    if awaited:
        raise _awaiting(name, awaited)


def _awaiting(name: SecretName, keys: Iterable[str]) -> AwaitingInputError:
    listed = sorted(keys)
    return AwaitingInputError(
        f"waits for a value of {', '.join(listed)}; run: "
        f"keyturn put {name.name} -n {name.namespace} --key {listed[0]}"
    )


def _origins(
    spec: ManagedSecretSpec, followed: Followed, fingerprint: Fingerprint
) -> dict[str, KeyOrigin]:
    return {
        key: _origin(entry, followed.get(entry.key), fingerprint, None)
        for entry in spec.data
        for key in entry.fills
    }


def _origin(
    entry: DataKey,
    followed: SecretValue | None,
    fingerprint: Fingerprint,
    stood: KeyOrigin | None,
) -> KeyOrigin:
    source = fingerprint("source", entry.key.encode(), entry.source.canonical())
    if followed is not None:
        return KeyOrigin(source, fingerprint("followed", followed.reveal()))
    # Not read this time: what stood before still holds, unless the source was changed since.
    return stood if stood is not None else KeyOrigin(source)


def _with_dependants(
    spec: ManagedSecretSpec,
    changed: Iterable[DataKey],
    siblings_of: Callable[[Generate], frozenset[str]],
) -> list[DataKey]:
    """Add the entries that are made from a changed one, for example the hash of a password."""
    moved = {key for entry in changed for key in entry.fills}
    chosen = {entry.key for entry in changed}
    for entry in spec.data:
        if isinstance(entry.source, Generate) and siblings_of(entry.source) & moved:
            chosen.add(entry.key)
    return [entry for entry in spec.data if entry.key in chosen]


def _reason(
    changed: Iterable[DataKey], origins: Mapping[str, KeyOrigin], stood: Mapping[str, KeyOrigin]
) -> VersionReason:
    if not stood:
        return VersionReason.CREATED
    same_sources = origins.keys() == stood.keys() and all(
        origins[key].spec == stood[key].spec for entry in changed for key in entry.fills
    )
    return VersionReason.SOURCE_CHANGED if same_sources else VersionReason.SPEC_CHANGED
