"""Whether we may write a native Secret, and in which way: the decision, without the deed.

A native Secret is ours by its label or by what the store says of its UID. What belongs to somebody
else is never written without the opt-in of its owner, and what is ours is never overwritten by a
store that knows less than the cluster does.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from keyturn.domain.managed_secret import AdoptionPolicy, CreationPolicy, Target, gives_rights
from keyturn.domain.secret import Projected, SecretName
from keyturn.domain.version import Version, VersionReason
from keyturn.projection import marks
from keyturn.projection.existing import MANAGER_PREFIX, ExistingNativeSecret


class Action(StrEnum):
    """What to do about a target.

    Import and ImportLostStore come before any value is generated: read the native Secret, make its
    values the Current version unless they are, then write it as ours. Both may come again after a
    crash, or for the next target of one resource, and then find the values there.
    """

    NOTHING = "Nothing"
    CREATE = "Create"
    APPLY = "Apply"
    MERGE = "Merge"
    IMPORT = "Import"
    IMPORT_LOST_STORE = "ImportLostStore"
    RECREATE = "Recreate"
    REFUSE = "Refuse"


class RefusalReason(StrEnum):
    """The reason of the condition that a refusal ends in."""

    TARGET_OWNED_BY_OTHER = "TargetOwnedByOther"
    STORE_ROLLBACK = "StoreRollback"
    MISSING = "SecretMissing"
    CANNOT_CHANGE = "SecretSyncedError"


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do; for a refusal why, and what a person can do about it.

    `merging` tells that the native Secret stays somebody else's and only our keys are written.
    """

    action: Action
    merging: bool = False
    reason: RefusalReason | None = None
    message: str = ""


class Holder(NamedTuple):
    """The secret that holds a claim in the way of ours: of a `key`, or of the whole Secret."""

    name: SecretName
    key: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """What was gathered about a target of a secret.

    `newest` is the number of the newest version that the store holds, 0 for none; `held` are the
    ids of those that it holds, by number. `claimed_by` is who holds a claim in the way of ours;
    `labelled` the secret that the store knows by the label of the native Secret, if it is not this
    one. `is_shown` tells whether any target of the secret was ever written. `keys` are those that
    the resource names, `unnamed` the others that would be written. `needs_recreation` is what
    `drift.needs_recreation` said, where the native Secret was read. `author_checked` tells that the
    author may write the targets.
    """

    target: Target
    name: SecretName
    secret_id: UUID
    adoption: AdoptionPolicy = AdoptionPolicy.FAIL
    current: Version | None = None
    newest: int = 0
    held: Mapping[int, UUID] = field(default_factory=dict)
    projected: Projected | None = None
    is_shown: bool = False
    claimed_by: Holder | None = None
    labelled: SecretName | None = None
    keys: Collection[str] = ()
    unnamed: Collection[str] = ()
    rendered_from: str = ""
    needs_recreation: bool = False
    author_checked: bool = False

    @property
    def policy(self) -> CreationPolicy:
        return self.target.creation_policy

    @property
    def has_imported_at_most(self) -> bool:
        """Tell whether no value is in use that an import could put aside.

        Nor is a first value that was made before its Secret was found to be there already.
        """
        if self.current is None or self.current.reason is VersionReason.IMPORTED:
            return True
        is_first = self.newest == 1 and self.current.reason is VersionReason.CREATED
        return is_first and not self.is_shown


def decide(facts: Facts, existing: ExistingNativeSecret | None) -> Decision:
    """Decide what to do about a target, given the native Secret that stands there."""
    if facts.policy is CreationPolicy.NONE:
        return Decision(Action.NOTHING)
    if facts.claimed_by is not None:
        return _claimed(facts, facts.claimed_by)
    if existing is None:
        return _absent(facts)
    if existing.deleting:
        return _refuse(
            RefusalReason.MISSING,
            f"{_what(facts)} is being deleted; it is written again when it is gone",
        )
    return _present(facts, existing)


def _claimed(facts: Facts, holder: Holder) -> Decision:
    what = f"the key {holder.key} of {_what(facts)}" if holder.key else _what(facts)
    return _owned_by_other(
        f"{what} is written by the ManagedSecret {holder.name} already; "
        "write another name in spec.targets"
    )


def _absent(facts: Facts) -> Decision:
    if facts.policy is not CreationPolicy.MERGE:
        return Decision(Action.CREATE)
    return _refuse(
        RefusalReason.MISSING,
        f"{_what(facts)} does not exist, and creationPolicy: Merge does not make it; "
        "create it, or write creationPolicy: CreateOrMerge",
    )


def _present(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    if _is_ours(facts, existing):
        return _ours(facts, existing)
    if gives_rights(existing.type):
        return _owned_by_other(
            f"{_what(facts)} is a login to the cluster or a record of Helm, which Keyturn never "
            "writes; write another name in spec.targets"
        )
    if existing.is_made_by_keyturn:
        return _made_for_another(facts, existing)
    if facts.policy in (CreationPolicy.MERGE, CreationPolicy.CREATE_OR_MERGE):
        return _merge(facts, existing)
    return _foreign(facts, existing)


def _is_ours(facts: Facts, existing: ExistingNativeSecret) -> bool:
    is_labelled = existing.is_made_by_keyturn and existing.secret_id == facts.secret_id
    # Somebody may have changed our labels; the UID still says that we made it.
    is_stored = facts.projected is not None and facts.projected.owned
    return is_labelled or (is_stored and _is_as_stored(facts, existing))


def _ours(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    """Decide about one that we made; it stays so even where the policy has become Merge."""
    if facts.current is None or existing.is_to_be_taken_over:
        return Decision(Action.IMPORT_LOST_STORE)
    if not _is_held(facts, existing):
        return _rolled_back(facts, existing)
    if facts.policy is CreationPolicy.OWNER and existing.is_controlled_by_other(facts.name.name):
        return _controlled(facts, existing)
    if facts.needs_recreation:
        return _recreate(facts)
    return Decision(Action.NOTHING if _is_unchanged(facts, existing) else Action.APPLY)


def _is_held(facts: Facts, existing: ExistingNativeSecret) -> bool:
    """Tell whether the store knows the version that is shown; an old one may be destroyed since.

    A store that was restored from an older copy gives the same numbers anew, with other ids.
    """
    if existing.version > facts.newest:
        return False
    held = facts.held.get(existing.version)
    return held is None or existing.version_id in ("", str(held))


def _rolled_back(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    take_over = (
        f"kubectl annotate --overwrite secret -n {facts.name.namespace} {facts.target.name} "
        f"{marks.VERSION}={marks.TAKE_OVER}"
    )
    return _refuse(
        RefusalReason.STORE_ROLLBACK,
        f"{_what(facts)} shows {_shown(facts, existing)}: it is older than the cluster. Restore a "
        f"newer store, or make the values of the Secret the next version: {take_over}",
    )


def _shown(facts: Facts, existing: ExistingNativeSecret) -> str:
    if existing.version > facts.newest:
        return f"version {existing.version}, and the store ends at version {facts.newest}"
    return f"another version {existing.version} than the store holds"


def _recreate(facts: Facts) -> Decision:
    if facts.policy is CreationPolicy.OWNER:
        return Decision(Action.RECREATE)
    return _refuse(
        RefusalReason.CANNOT_CHANGE,
        f"{_what(facts)} is immutable or of another type, and only creationPolicy: Owner replaces "
        f"it by a new one; to have it made again: {_delete_command(facts)}",
    )


def _made_for_another(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    if facts.labelled is not None:
        return _owned_by_other(
            f"{_what(facts)} was made for the ManagedSecret {facts.labelled}; "
            f"write another name in spec.targets, or remove it: {_delete_command(facts)}"
        )
    if existing.is_controlled_by_other(facts.name.name):
        return _controlled(facts, existing)
    if facts.policy is not CreationPolicy.MERGE and facts.has_imported_at_most:
        return _import_lost_store(facts, existing)
    return _owned_by_other(
        f"{_what(facts)} was made by Keyturn for a secret that this store does not know, "
        f"{existing.secret_id}. Restore the store that knows it, or, when its values are needed "
        f"no more: {_delete_command(facts)}"
    )


def _import_lost_store(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    """Take back what a lost store left behind: not every resource that names it may."""
    is_its_controller = bool(existing.controller_kind)
    if is_its_controller or facts.author_checked or existing.allows(facts.name.name):
        return Decision(Action.IMPORT_LOST_STORE)
    return _owned_by_other(
        f"{_what(facts)} was made by Keyturn for a secret that this store does not know; to take "
        f"its values over, let its owner run: {_allow_command(facts)}"
    )


def _merge(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    is_known = _is_as_stored(facts, existing)
    if not is_known and not existing.allows(facts.name.name):
        return _owned_by_other(
            f"{_what(facts)} is somebody else's; its owner lets this ManagedSecret write keys "
            f"into it by: {_allow_command(facts)}"
        )
    taken = _taken_keys(facts, existing, is_known=is_known)
    if taken:
        return _merge_into_taken(facts, taken)
    marked = _taken_metadata(facts, existing)
    if marked:
        return _owned_by_other(
            f"the {marked[0]} of {_what(facts)} is somebody else's; leave it out of "
            f"spec.targets[{facts.target.name}].template.metadata"
        )
    if facts.needs_recreation:
        return _refuse(
            RefusalReason.CANNOT_CHANGE,
            f"{_what(facts)} is immutable, and it is not ours to replace; its owner has to",
        )
    action = Action.NOTHING if is_known and _is_unchanged(facts, existing) else Action.MERGE
    return Decision(action, merging=True)


def _taken_keys(
    facts: Facts, existing: ExistingNativeSecret, *, is_known: bool
) -> list[tuple[str, str]]:
    """List the keys that stand there and were not written by us, with who wrote them."""
    ours = facts.projected.keys if is_known and facts.projected is not None else ()
    manager = f"{MANAGER_PREFIX}{facts.secret_id}"
    return [
        (key, existing.managers[key])
        for key in sorted({*facts.keys, *facts.unnamed})
        if key not in ours and existing.managers.get(key, manager) != manager
    ]


def _taken_metadata(facts: Facts, existing: ExistingNativeSecret) -> list[str]:
    """List what the template's metadata would change of what others wrote."""
    manager = f"{MANAGER_PREFIX}{facts.secret_id}"
    template = facts.target.template
    return [
        f"{section[:-1]} {name}"
        for section, wanted, stands in (
            ("labels", template.labels, existing.labels),
            ("annotations", template.annotations, existing.annotations),
        )
        for name in sorted(wanted)
        if stands.get(name, wanted[name]) != wanted[name]
        and name not in existing.metadata_of(manager, section)
    ]


def _merge_into_taken(facts: Facts, taken: list[tuple[str, str]]) -> Decision:
    is_of_lost_store = all(manager.startswith(MANAGER_PREFIX) for _, manager in taken)
    # An import takes no value for a key that the resource does not name: it would be overwritten.
    can_import = all(key not in facts.unnamed for key, _ in taken)
    if can_import and is_of_lost_store and facts.has_imported_at_most:
        return Decision(Action.IMPORT_LOST_STORE, merging=True)
    if can_import and facts.adoption is AdoptionPolicy.IMPORT and _may_import(facts):
        return Decision(Action.IMPORT, merging=True)
    key, manager = taken[0]
    return _owned_by_other(
        f"the key {key} of {_what(facts)} is written by {manager or 'somebody'}; remove the key "
        "there, or write another key in spec.data, or adoptionPolicy: Import before the first "
        "version is made"
    )


def _foreign(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    if existing.is_controlled_by_other(facts.name.name):
        return _controlled(facts, existing)
    if not _may_import(facts):
        return _owned_by_other(
            f"{_what(facts)} is somebody else's, and this ManagedSecret has versions of its own; "
            f"write another name in spec.targets, or remove it: {_delete_command(facts)}"
        )
    if facts.adoption is AdoptionPolicy.FAIL or not existing.allows(facts.name.name):
        how = "" if facts.adoption is AdoptionPolicy.IMPORT else "write adoptionPolicy: Import and "
        return _owned_by_other(
            f"{_what(facts)} exists already and is somebody else's; to take its values over, {how}"
            f"let its owner run: {_allow_command(facts)}"
        )
    if facts.needs_recreation:
        return _refuse(
            RefusalReason.CANNOT_CHANGE,
            f"{_what(facts)} is immutable or of another type than template.type; write the target "
            "as the Secret is, so that it can be taken over unchanged",
        )
    return Decision(Action.IMPORT)


def _may_import(facts: Facts) -> bool:
    # An import that was committed but whose native Secret was not written yet comes again.
    return facts.current is None or (facts.has_imported_at_most and not facts.is_shown)


def _is_as_stored(facts: Facts, existing: ExistingNativeSecret) -> bool:
    return facts.projected is not None and facts.projected.uid == existing.uid


def _is_unchanged(facts: Facts, existing: ExistingNativeSecret) -> bool:
    projected = facts.projected
    return (
        projected is not None
        and projected.uid == existing.uid
        and projected.resource_version == existing.resource_version
        and projected.rendered_from == facts.rendered_from
    )


def _controlled(facts: Facts, existing: ExistingNativeSecret) -> Decision:
    return _owned_by_other(
        f"{_what(facts)} is controlled by the {existing.controller_kind} "
        f"{existing.controller_name}; delete that, or write another name in spec.targets"
    )


def _owned_by_other(message: str) -> Decision:
    return _refuse(RefusalReason.TARGET_OWNED_BY_OTHER, message)


def _refuse(reason: RefusalReason, message: str) -> Decision:
    return Decision(Action.REFUSE, reason=reason, message=message)


def _what(facts: Facts) -> str:
    return f"the Secret {facts.target.name}"


def _allow_command(facts: Facts) -> str:
    return (
        f"kubectl annotate secret -n {facts.name.namespace} {facts.target.name} "
        f"{marks.ALLOW}={facts.name.name}"
    )


def _delete_command(facts: Facts) -> str:
    return f"kubectl delete secret -n {facts.name.namespace} {facts.target.name}"
