from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from keyturn.domain.managed_secret import AdoptionPolicy, CreationPolicy, Target
from keyturn.domain.secret import Projected, SecretName
from keyturn.domain.version import Version, VersionReason
from keyturn.projection.existing import ExistingNativeSecret
from keyturn.projection.ownership import Action, Facts, Holder, RefusalReason, decide

OURS, OTHERS = UUID(int=1), UUID(int=2)
NAME, OTHER_NAME = SecretName("shop", "orders-db"), SecretName("shop", "other")
NEWEST = 7


def a_version(reason: VersionReason) -> Version:
    return Version(NEWEST, UUID(int=9), datetime(2030, 1, 1, tzinfo=UTC), reason, "local")


GENERATED, IMPORTED = a_version(VersionReason.CREATED), a_version(VersionReason.IMPORTED)


def a_projection(uid: str = "u1", *, owned: bool = True) -> Projected:
    return Projected("app", uid, "5", NEWEST, "digest", "fingerprint", owned, ("a",))


def facts(policy: CreationPolicy = CreationPolicy.OWNER, /, **changes: object) -> Facts:
    known = Facts(
        target=Target("app", policy),
        name=NAME,
        secret_id=OURS,
        current=GENERATED,
        newest=NEWEST,
        keys=("a",),
        rendered_from="digest",
    )
    return replace(known, **changes)  # type: ignore[arg-type]  # the fields vary by test


def made_for(secret_id: UUID) -> dict[str, str]:
    return {"keyturn.dev/managed": "true", "keyturn.dev/secret-id": str(secret_id)}


def ours(**changes: object) -> ExistingNativeSecret:
    secret = ExistingNativeSecret(
        "u1", "5", labels=made_for(OURS), annotations={"keyturn.dev/version": str(NEWEST)}
    )
    return replace(secret, **changes)  # type: ignore[arg-type]  # the fields vary by test


def shown(number: int, version_id: UUID) -> dict[str, str]:
    return {"keyturn.dev/version": str(number), "keyturn.dev/version-id": str(version_id)}


def somebody_elses(**changes: object) -> ExistingNativeSecret:
    return replace(ExistingNativeSecret("u1", "5"), **changes)  # type: ignore[arg-type]  # as above


ALLOWED = {"keyturn.dev/allow": "orders-db"}
ALLOW = "kubectl annotate secret -n shop app keyturn.dev/allow=orders-db"
DELETE = "kubectl delete secret -n shop app"
NEW = {"current": None, "newest": 0}
IMPORT = {"adoption": AdoptionPolicy.IMPORT}


@pytest.mark.parametrize(
    ("known", "existing", "expected"),
    [
        pytest.param(
            facts(CreationPolicy.NONE), somebody_elses(), Action.NOTHING, id="None writes nothing"
        ),
        pytest.param(facts(), None, Action.CREATE, id="absent"),
        pytest.param(
            facts(projected=a_projection()), None, Action.CREATE, id="deleted by somebody"
        ),
        pytest.param(facts(CreationPolicy.ORPHAN), None, Action.CREATE, id="absent orphan"),
        pytest.param(
            facts(CreationPolicy.CREATE_OR_MERGE), None, Action.CREATE, id="absent, may be made"
        ),
        pytest.param(facts(), ours(), Action.APPLY, id="ours, unknown what is in it"),
        pytest.param(
            facts(held={NEWEST: UUID(int=9)}),
            ours(annotations=shown(NEWEST, UUID(int=9))),
            Action.APPLY,
            id="ours, of a version that the store holds",
        ),
        pytest.param(
            facts(held={NEWEST: UUID(int=9)}),
            ours(annotations=shown(NEWEST - 1, UUID(int=8))),
            Action.APPLY,
            id="ours, of a version that was destroyed since",
        ),
        pytest.param(
            facts(projected=a_projection()), ours(), Action.NOTHING, id="ours, as it was written"
        ),
        pytest.param(
            facts(projected=a_projection(), rendered_from="new"),
            ours(),
            Action.APPLY,
            id="ours, to be rendered anew",
        ),
        pytest.param(
            facts(projected=a_projection()),
            ours(resource_version="6"),
            Action.APPLY,
            id="ours, somebody changed it",
        ),
        pytest.param(
            facts(projected=a_projection("u0")), ours(), Action.APPLY, id="ours, from a backup"
        ),
        pytest.param(
            facts(projected=a_projection()),
            somebody_elses(resource_version="6"),
            Action.APPLY,
            id="ours by its UID, the labels were taken off",
        ),
        pytest.param(
            facts(projected=a_projection()),
            ours(labels=made_for(OTHERS), resource_version="6"),
            Action.APPLY,
            id="ours by its UID, the label was changed",
        ),
        pytest.param(
            facts(),
            ours(controller_kind="ManagedSecret", controller_name="orders-db"),
            Action.APPLY,
            id="ours, of the resource before it was made anew",
        ),
        pytest.param(facts(needs_recreation=True), ours(), Action.RECREATE, id="ours, immutable"),
        pytest.param(
            facts(CreationPolicy.MERGE, projected=a_projection(), rendered_from="new"),
            ours(),
            Action.APPLY,
            id="ours, and the policy became Merge",
        ),
        pytest.param(
            facts(**NEW),
            ours(),
            Action.IMPORT_LOST_STORE,
            id="ours, and the store lost its versions",
        ),
        pytest.param(
            facts(),
            ours(annotations={"keyturn.dev/version": "import"}),
            Action.IMPORT_LOST_STORE,
            id="ours, and a person asked",
        ),
        pytest.param(
            facts(**NEW),
            ours(
                labels=made_for(OTHERS),
                controller_kind="ManagedSecret",
                controller_name="orders-db",
            ),
            Action.IMPORT_LOST_STORE,
            id="made from a lost store",
        ),
        pytest.param(
            facts(current=IMPORTED, is_shown=True, author_checked=True),
            ours(labels=made_for(OTHERS)),
            Action.IMPORT_LOST_STORE,
            id="made from a lost store, the next target",
        ),
        pytest.param(
            facts(**NEW, **IMPORT),
            somebody_elses(annotations=ALLOWED),
            Action.IMPORT,
            id="taken over",
        ),
        pytest.param(
            facts(current=IMPORTED, **IMPORT),
            somebody_elses(annotations=ALLOWED),
            Action.IMPORT,
            id="taken over, after a crash before it was written",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE),
            somebody_elses(annotations=ALLOWED),
            Action.MERGE,
            id="merged into",
        ),
        pytest.param(
            facts(CreationPolicy.CREATE_OR_MERGE),
            somebody_elses(annotations=ALLOWED),
            Action.MERGE,
            id="merged into rather than made",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, projected=a_projection(owned=False), rendered_from="new"),
            somebody_elses(),
            Action.MERGE,
            id="merged into before",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, projected=a_projection(owned=False)),
            somebody_elses(managers={"a": "kubectl"}),
            Action.NOTHING,
            id="merged into before, as it was written",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, **NEW, **IMPORT),
            somebody_elses(annotations=ALLOWED, managers={"a": "helm"}),
            Action.IMPORT,
            id="merged into, the key's value taken over",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, **NEW),
            somebody_elses(annotations=ALLOWED, managers={"a": f"keyturn-{OTHERS}"}),
            Action.IMPORT_LOST_STORE,
            id="merged into from a lost store",
        ),
    ],
)
def test_what_is_done_about_a_target(
    known: Facts, existing: ExistingNativeSecret | None, expected: Action
) -> None:
    assert decide(known, existing).action is expected


OWNED_BY_OTHER = RefusalReason.TARGET_OWNED_BY_OTHER


@pytest.mark.parametrize(
    ("known", "existing", "reason", "advice"),
    [
        pytest.param(
            facts(claimed_by=Holder(OTHER_NAME)),
            None,
            OWNED_BY_OTHER,
            "the Secret app is written by the ManagedSecret shop/other",
            id="claimed",
        ),
        pytest.param(
            facts(claimed_by=Holder(OTHER_NAME, "a")),
            somebody_elses(),
            OWNED_BY_OTHER,
            "the key a of the Secret app is written by the ManagedSecret shop/other",
            id="a key is claimed",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE),
            None,
            RefusalReason.MISSING,
            "creationPolicy: CreateOrMerge",
            id="nothing to merge into",
        ),
        pytest.param(
            facts(), ours(deleting=True), RefusalReason.MISSING, "when it is gone", id="deleting"
        ),
        pytest.param(
            facts(),
            ours(annotations={"keyturn.dev/version": "8"}),
            RefusalReason.STORE_ROLLBACK,
            "kubectl annotate --overwrite secret -n shop app keyturn.dev/version=import",
            id="newer than the store",
        ),
        pytest.param(
            facts(held={NEWEST: UUID(int=9)}),
            ours(annotations=shown(NEWEST, UUID(int=8))),
            RefusalReason.STORE_ROLLBACK,
            "another version 7 than the store holds",
            id="of the same number in another copy of the store",
        ),
        pytest.param(
            facts(),
            ours(controller_kind="ExternalSecret", controller_name="x"),
            OWNED_BY_OTHER,
            "controlled by the ExternalSecret x",
            id="ours, but another took control",
        ),
        pytest.param(
            facts(CreationPolicy.ORPHAN, needs_recreation=True),
            ours(),
            RefusalReason.CANNOT_CHANGE,
            DELETE,
            id="an immutable orphan",
        ),
        pytest.param(
            facts(labelled=OTHER_NAME),
            ours(labels=made_for(OTHERS)),
            OWNED_BY_OTHER,
            "was made for the ManagedSecret shop/other",
            id="made for another",
        ),
        pytest.param(
            facts(),
            ours(labels=made_for(OTHERS)),
            OWNED_BY_OTHER,
            "Restore the store that knows it",
            id="made from a lost store, but there are versions of our own",
        ),
        pytest.param(
            facts(**NEW),
            ours(labels=made_for(OTHERS), controller_kind="ManagedSecret", controller_name="other"),
            OWNED_BY_OTHER,
            "controlled by the ManagedSecret other",
            id="made from a lost store for another resource",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, **NEW),
            ours(labels=made_for(OTHERS)),
            OWNED_BY_OTHER,
            "Restore the store that knows it",
            id="made from a lost store, not to be merged into",
        ),
        pytest.param(
            facts(**NEW), somebody_elses(), OWNED_BY_OTHER, "adoptionPolicy: Import", id="Fail"
        ),
        pytest.param(
            facts(**NEW, **IMPORT), somebody_elses(), OWNED_BY_OTHER, ALLOW, id="no opt-in"
        ),
        pytest.param(
            facts(**NEW, **IMPORT),
            somebody_elses(annotations={"keyturn.dev/allow": "orders"}),
            OWNED_BY_OTHER,
            ALLOW,
            id="an opt-in for another",
        ),
        pytest.param(
            facts(**IMPORT),
            somebody_elses(annotations=ALLOWED),
            OWNED_BY_OTHER,
            DELETE,
            id="an opt-in, but there are versions of our own",
        ),
        pytest.param(
            facts(current=IMPORTED, is_shown=True, **IMPORT),
            somebody_elses(annotations=ALLOWED),
            OWNED_BY_OTHER,
            DELETE,
            id="a second one to import",
        ),
        pytest.param(
            facts(projected=a_projection("u0")),
            somebody_elses(),
            OWNED_BY_OTHER,
            DELETE,
            id="ours was deleted and somebody made another",
        ),
        pytest.param(
            facts(**NEW, **IMPORT, needs_recreation=True),
            somebody_elses(annotations=ALLOWED),
            RefusalReason.CANNOT_CHANGE,
            "write the target as the Secret is",
            id="to be taken over, of another type",
        ),
        pytest.param(
            facts(**NEW, **IMPORT),
            somebody_elses(
                annotations=ALLOWED, controller_kind="ExternalSecret", controller_name="x"
            ),
            OWNED_BY_OTHER,
            "delete that",
            id="to be taken over, of another controller",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE),
            somebody_elses(),
            OWNED_BY_OTHER,
            ALLOW,
            id="Merge, no opt-in",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE),
            somebody_elses(annotations=ALLOWED, managers={"a": "helm"}),
            OWNED_BY_OTHER,
            "the key a of the Secret app is written by helm",
            id="Merge, the key is taken",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, projected=a_projection("u0", owned=False)),
            somebody_elses(annotations=ALLOWED, managers={"a": "helm"}),
            OWNED_BY_OTHER,
            "the key a of the Secret app is written by helm",
            id="Merge, made anew with the key in it",
        ),
        pytest.param(
            facts(CreationPolicy.MERGE, needs_recreation=True),
            somebody_elses(annotations=ALLOWED),
            RefusalReason.CANNOT_CHANGE,
            "its owner has to",
            id="Merge, immutable",
        ),
    ],
)
def test_a_refusal_says_why_and_what_a_person_can_do(
    known: Facts, existing: ExistingNativeSecret | None, reason: RefusalReason, advice: str
) -> None:
    decision = decide(known, existing)

    assert (decision.action, decision.reason) == (Action.REFUSE, reason)
    assert advice in decision.message
