import sys
from dataclasses import replace
from datetime import UTC, datetime
from types import FrameType
from uuid import UUID

import pytest

from keyturn.domain.errors import InvalidSpecError, InvalidTemplateError, ValueTooLargeError
from keyturn.domain.managed_secret import (
    CreationPolicy,
    DriftPolicy,
    MergePolicy,
    ProjectedStage,
    Target,
    Template,
)
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import Version, VersionReason
from keyturn.projection.desired import (
    MAX_NATIVE_BYTES,
    DesiredNativeSecret,
    Identity,
    Owner,
    desired_native_secret,
    rendered_from,
)

IDENTITY = Identity(UUID(int=1), UUID(int=2), SecretName("shop", "orders-db"), "resource-uid")
SEVENTH = Version(7, UUID(int=3), datetime(2030, 1, 1, tzinfo=UTC), VersionReason.CREATED, "local")
BOTH_STAGES = (ProjectedStage(Stage.CURRENT), ProjectedStage(Stage.PREVIOUS, "_previous"))


def a_payload(**values: str) -> Payload:
    return Payload({key: SecretValue(text.encode()) for key, text in values.items()})


def desired(
    target: Target,
    current: Payload,
    previous: Payload | None = None,
    *,
    merging: bool = False,
) -> DesiredNativeSecret:
    payloads = {Stage.CURRENT: current}
    if previous is not None:
        payloads[Stage.PREVIOUS] = previous
    return desired_native_secret(target, payloads, IDENTITY, version=SEVENTH, merging=merging)


def shown(secret: DesiredNativeSecret) -> dict[str, str]:
    return {key: str(value.reveal(), "utf-8") for key, value in secret.data.items()}


def test_without_a_template_the_keys_of_the_payload_are_shown() -> None:
    secret = desired(Target("app"), a_payload(username="u", password="p"))

    assert shown(secret) == {"password": "p", "username": "u"}
    assert (secret.namespace, secret.name, secret.type) == ("shop", "app", "Opaque")
    assert not secret.immutable


def test_it_carries_our_marks_and_those_of_the_template() -> None:
    template = Template(labels={"team": "orders"}, annotations={"note": "x"})

    secret = desired(Target("app", template=template), a_payload(a="x"))

    assert secret.labels == {
        "team": "orders",
        "keyturn.dev/managed": "true",
        "keyturn.dev/secret-id": str(UUID(int=1)),
        "app.kubernetes.io/managed-by": "keyturn",
    }
    assert secret.annotations == {
        "note": "x",
        "keyturn.dev/store-id": str(UUID(int=2)),
        "keyturn.dev/version": "7",
        "keyturn.dev/version-id": str(UUID(int=3)),
    }


def test_where_keys_are_merged_nothing_says_that_it_is_ours() -> None:
    target = Target(
        "app",
        CreationPolicy.OWNER,
        template=Template(type="kubernetes.io/tls", labels={"team": "orders"}),
    )

    secret = desired(target, a_payload(a="x"), merging=True)

    assert secret.merging
    assert secret.labels == {"team": "orders", "keyturn.dev/managed": "merge"}
    assert secret.annotations == {}
    assert secret.owner is None
    assert secret.type == ""


@pytest.mark.parametrize(
    ("policy", "owner"),
    [
        (CreationPolicy.OWNER, Owner("orders-db", "resource-uid")),
        (CreationPolicy.ORPHAN, None),
        (CreationPolicy.CREATE_OR_MERGE, None),
    ],
)
def test_only_owner_lets_it_go_with_the_resource(
    policy: CreationPolicy, owner: Owner | None
) -> None:
    assert desired(Target("app", policy), a_payload(a="x")).owner == owner


def test_the_keys_of_a_template_replace_those_of_the_payload() -> None:
    target = Target("app", template=Template(data={"url": "u:{{ password }}"}))

    assert shown(desired(target, a_payload(password="p"))) == {"url": "u:p"}


def test_with_merge_the_keys_of_both_are_shown_and_the_templates_win() -> None:
    template = Template(data={"a": "<{{ a }}>"}, merge_policy=MergePolicy.MERGE)

    secret = desired(Target("app", template=template), a_payload(a="1", b="2"))

    assert shown(secret) == {"a": "<1>", "b": "2"}


def test_each_stage_shows_its_own_values_under_its_suffix() -> None:
    template = Template(data={"url": "u:{{ password }}"}, merge_policy=MergePolicy.MERGE)
    target = Target("app", stages=BOTH_STAGES, template=template)

    secret = desired(target, a_payload(password="new"), a_payload(password="old"))

    assert shown(secret) == {
        "password": "new",
        "password_previous": "old",
        "url": "u:new",
        "url_previous": "u:old",
    }


def test_a_stage_that_no_version_holds_has_no_keys() -> None:
    assert shown(desired(Target("app", stages=BOTH_STAGES), a_payload(a="x"))) == {"a": "x"}


def test_a_template_that_the_previous_version_cannot_render_does_not_stop_the_current() -> None:
    target = Target("app", stages=BOTH_STAGES, template=Template(data={"t": "{{ added }}"}))

    assert shown(desired(target, a_payload(added="x"), a_payload(other="y"))) == {"t": "x"}


def test_a_template_that_the_current_version_cannot_render_is_an_error_that_names_it() -> None:
    target = Target("app", template=Template(data={"url": "{{ missing }}"}))

    with pytest.raises(InvalidTemplateError) as caught:
        desired(target, a_payload(a="x"))

    assert str(caught.value).startswith(
        "spec.targets[app].template.data[url]: there is no key missing; the keys are: a."
    )


def test_the_type_is_checked_against_the_keys() -> None:
    target = Target("app", template=Template(type="kubernetes.io/tls"))

    with pytest.raises(InvalidSpecError, match=r"needs the key tls\.crt"):
        desired(target, a_payload(a="x"))


def test_two_stages_cannot_write_one_key() -> None:
    target = Target("app", stages=BOTH_STAGES)

    with pytest.raises(InvalidSpecError, match="two stages write the key a_previous"):
        desired(target, a_payload(a="1", a_previous="2"), a_payload(a="3"))


def test_a_key_that_a_native_secret_cannot_have_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="cannot have the key 'a b'"):
        desired(Target("app"), Payload({"a b": SecretValue(b"x")}))


def test_values_that_no_native_secret_holds_are_refused() -> None:
    payload = a_payload(**{f"k{n}": "x" * 1000 for n in range(MAX_NATIVE_BYTES // 1000 + 1)})

    with pytest.raises(ValueTooLargeError, match="spread the keys over several targets"):
        desired(Target("app"), payload)


def test_leaving_it_zeroes_what_was_rendered_and_leaves_the_payload_to_the_next_target() -> None:
    template = Template(data={"t": "{{ a }}"}, merge_policy=MergePolicy.MERGE)
    payload = a_payload(a="x")

    with desired(Target("app", template=template), payload) as secret:
        pass

    assert shown(secret) == {"a": "x", "t": "\x00"}


def test_what_was_rendered_before_an_error_is_zeroed() -> None:
    target = Target("app", template=Template(type="kubernetes.io/tls", data={"t": "{{ a }}"}))
    seen: list[SecretValue] = []

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event == "return" and frame.f_code is desired_native_secret.__code__:
            seen.extend(frame.f_locals["rendered"])

    sys.setprofile(watch)
    try:
        with pytest.raises(InvalidSpecError):
            desired(target, a_payload(a="plain"))
    finally:
        sys.setprofile(None)

    assert [bytes(value.reveal()) for value in seen] == [bytes(5)]


def test_no_value_is_in_its_repr() -> None:
    template = Template(data={"t": "{{ a }}"}, merge_policy=MergePolicy.MERGE)

    assert "plain" not in repr(desired(Target("app", template=template), a_payload(a="plain")))


STAGES = Stages({Stage.CURRENT: 7, Stage.PREVIOUS: 6})
PLAIN = Target("app", template=Template(data={"a": "{{ b }}"}))


def test_the_same_inputs_are_serialised_to_the_same_bytes() -> None:
    again = Target("app", template=Template(data={"a": "{{ b }}"}))

    assert rendered_from(PLAIN, STAGES, IDENTITY) == rendered_from(again, STAGES, IDENTITY)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(PLAIN, name="other"), id="name"),
        pytest.param(replace(PLAIN, creation_policy=CreationPolicy.ORPHAN), id="policy"),
        pytest.param(replace(PLAIN, immutable=True), id="immutable"),
        pytest.param(replace(PLAIN, stages=BOTH_STAGES), id="stages"),
        pytest.param(replace(PLAIN, template=Template(data={"a": "{{ c }}"})), id="template"),
        pytest.param(replace(PLAIN, template=replace(PLAIN.template, type="x")), id="type"),
        pytest.param(
            replace(PLAIN, template=replace(PLAIN.template, labels={"x": "y"})), id="label"
        ),
        pytest.param(
            replace(PLAIN, template=replace(PLAIN.template, annotations={"x": "y"})),
            id="annotation",
        ),
        pytest.param(
            replace(PLAIN, template=replace(PLAIN.template, merge_policy=MergePolicy.MERGE)),
            id="merge policy",
        ),
    ],
)
def test_a_target_that_looks_different_is_rendered_anew(other: Target) -> None:
    assert rendered_from(PLAIN, STAGES, IDENTITY) != rendered_from(other, STAGES, IDENTITY)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replace(IDENTITY, secret_id=UUID(int=9)), id="secret"),
        pytest.param(replace(IDENTITY, store_id=UUID(int=9)), id="store"),
        pytest.param(replace(IDENTITY, resource_uid="made-anew"), id="resource"),
    ],
)
def test_another_identity_is_rendered_anew(other: Identity) -> None:
    assert rendered_from(PLAIN, STAGES, IDENTITY) != rendered_from(PLAIN, STAGES, other)


def test_another_version_is_rendered_anew() -> None:
    promoted = Stages({Stage.CURRENT: 8, Stage.PREVIOUS: 6})

    assert rendered_from(PLAIN, STAGES, IDENTITY) != rendered_from(PLAIN, promoted, IDENTITY)


def test_merging_into_anothers_is_rendered_anew() -> None:
    merged = rendered_from(PLAIN, STAGES, IDENTITY, merging=True)

    assert rendered_from(PLAIN, STAGES, IDENTITY) != merged


def test_a_stage_that_is_not_shown_changes_nothing() -> None:
    other = Stages({Stage.CURRENT: 7, Stage.PREVIOUS: 5})

    assert rendered_from(PLAIN, STAGES, IDENTITY) == rendered_from(PLAIN, other, IDENTITY)


def test_drift_policy_is_no_input_of_a_rendering() -> None:
    other = replace(PLAIN, drift=DriftPolicy.IGNORE)

    assert rendered_from(PLAIN, STAGES, IDENTITY) == rendered_from(other, STAGES, IDENTITY)
