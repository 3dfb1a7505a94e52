"""All combinations of what the store and the cluster may say, and what must hold in each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import product
from uuid import UUID

import pytest

from keyturn.domain.managed_secret import AdoptionPolicy, CreationPolicy, Target
from keyturn.domain.secret import Projected, SecretName
from keyturn.domain.version import Version, VersionReason
from keyturn.projection.existing import ExistingNativeSecret
from keyturn.projection.ownership import Action, Decision, Facts, decide

OURS, OTHERS = UUID(int=1), UUID(int=2)
NAME, OTHER_NAME = SecretName("shop", "orders-db"), SecretName("shop", "other")
NEWEST = 7
ALLOWED = {"keyturn.dev/allow": "orders-db"}
WRITES = {Action.APPLY, Action.MERGE, Action.RECREATE}
IMPORTS = {Action.IMPORT, Action.IMPORT_LOST_STORE}
MERGING_POLICIES = {CreationPolicy.MERGE, CreationPolicy.CREATE_OR_MERGE}


def a_version(reason: VersionReason) -> Version:
    return Version(NEWEST, UUID(int=9), datetime(2030, 1, 1, tzinfo=UTC), reason, "local")


GENERATED, IMPORTED = a_version(VersionReason.CREATED), a_version(VersionReason.IMPORTED)


def a_projection(uid: str = "u1", *, owned: bool = True) -> Projected:
    return Projected("app", uid, "5", NEWEST, "digest", "fingerprint", owned, ("a",))


def made_for(secret_id: UUID) -> dict[str, str]:
    return {"keyturn.dev/managed": "true", "keyturn.dev/secret-id": str(secret_id)}


@dataclass(frozen=True)
class Case:
    """One of all combinations of what may be known and what may stand there."""

    known: Facts
    existing: ExistingNativeSecret
    decision: Decision

    @property
    def writes(self) -> bool:
        return self.decision.action in WRITES

    @property
    def is_allowed(self) -> bool:
        return self.existing.allows(NAME.name)

    @property
    def has_our_label(self) -> bool:
        return self.existing.labels == made_for(OURS)

    @property
    def is_ours(self) -> bool:
        record = self.known.projected
        return self.has_our_label or (record is not None and record.uid == self.existing.uid)

    @property
    def is_of_lost_store(self) -> bool:
        is_made = self.existing.labels == made_for(OTHERS) and self.known.labelled is None
        managers = self.existing.managers.values()
        return is_made or any(manager.startswith("keyturn-") for manager in managers)


def all_cases() -> Iterator[Case]:
    histories = [(None, 0), (GENERATED, NEWEST), (IMPORTED, NEWEST)]
    records = [None, a_projection(), a_projection(owned=False), a_projection("u0")]
    labels = [{}, {"keyturn.dev/managed": "merge"}, made_for(OURS), made_for(OTHERS)]
    marks = [str(NEWEST), str(NEWEST + 1), "import", ""]
    controllers = ["", "orders-db", "other"]
    managers: list[dict[str, str]] = [{}, {"a": "helm"}, {"a": f"keyturn-{OTHERS}"}]
    booleans = [False, True]
    known_ones = [
        Facts(
            target=Target("app", policy),
            name=NAME,
            secret_id=OURS,
            keys=("a",),
            rendered_from="digest",
            current=current,
            newest=newest,
            adoption=adoption,
            projected=record,
            is_shown=record is not None,
            labelled=labelled,
            needs_recreation=needs_recreation,
        )
        for policy, (current, newest), adoption, record, labelled, needs_recreation in product(
            CreationPolicy, histories, AdoptionPolicy, records, [None, OTHER_NAME], booleans
        )
    ]
    existing_ones = [
        ExistingNativeSecret(
            "u1",
            "5",
            labels=label,
            annotations={"keyturn.dev/version": mark, **(ALLOWED if allowed else {})},
            controller_kind="ManagedSecret" if controller else "",
            controller_name=controller,
            managers=manager,
        )
        for label, mark, allowed, controller, manager in product(
            labels, marks, booleans, controllers, managers
        )
    ]
    for known, existing in product(known_ones, existing_ones):
        yield Case(known, existing, decide(known, existing))


def _is(case: Case, *actions: Action) -> bool:
    return case.decision.action in actions


PROMISES: dict[str, Callable[[Case], bool]] = {
    "the policy None writes nothing": lambda case: (
        case.known.policy is not CreationPolicy.NONE or _is(case, Action.NOTHING)
    ),
    "what exists is not created": lambda case: not _is(case, Action.CREATE),
    "somebody else's is written with the opt-in of its owner only": lambda case: (
        not case.writes or case.is_ours or case.is_allowed
    ),
    "an import needs the will of both sides": lambda case: (
        not _is(case, Action.IMPORT)
        or (case.is_allowed and case.known.adoption is AdoptionPolicy.IMPORT)
        or case.is_ours
    ),
    "an import never puts a generated value aside": lambda case: (
        not _is(case, Action.IMPORT) or case.known.current is not GENERATED
    ),
    "only what Keyturn wrote is taken for that of a lost store": lambda case: (
        not _is(case, Action.IMPORT_LOST_STORE) or case.is_ours or case.is_of_lost_store
    ),
    "a key that somebody else wrote is not overwritten": lambda case: (
        not _is(case, Action.MERGE) or case.is_ours or "helm" not in case.existing.managers.values()
    ),
    "an older store does not overwrite what is newer": lambda case: (
        not case.writes or not case.has_our_label or case.existing.version <= case.known.newest
    ),
    "an empty store does not overwrite what it made": lambda case: (
        not case.writes or not case.has_our_label or case.known.current is not None
    ),
    "only what is ours and goes with the resource is replaced": lambda case: (
        not _is(case, Action.RECREATE)
        or (case.known.policy is CreationPolicy.OWNER and case.is_ours)
    ),
    "what another controller holds is not written as owner": lambda case: (
        case.known.policy is not CreationPolicy.OWNER
        or not case.existing.is_controlled_by_other(NAME.name)
        or not (case.writes or (_is(case, *IMPORTS) and not case.is_ours))
    ),
    "only the policies that merge merge": lambda case: (
        not case.decision.merging or case.known.policy in MERGING_POLICIES
    ),
    "nothing is done only where nothing changed": lambda case: (
        not _is(case, Action.NOTHING)
        or case.known.policy is CreationPolicy.NONE
        or (case.known.projected is not None and case.known.projected.uid == case.existing.uid)
    ),
    "a refusal says why, and nothing else does": lambda case: (
        _is(case, Action.REFUSE) is bool(case.decision.reason and case.decision.message)
    ),
}


@pytest.fixture(scope="module")
def cases() -> list[Case]:
    return list(all_cases())


@pytest.mark.parametrize("promise", PROMISES)
def test_no_combination_breaks_a_promise(cases: list[Case], promise: str) -> None:
    holds = PROMISES[promise]

    assert next((case for case in cases if not holds(case)), None) is None


def test_every_action_but_create_is_met(cases: list[Case]) -> None:
    assert {case.decision.action for case in cases} == set(Action) - {Action.CREATE}
