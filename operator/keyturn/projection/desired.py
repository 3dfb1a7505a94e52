"""What a native Secret should be, from a target and the versions that it shows."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID

from keyturn.domain.errors import InvalidSpecError, InvalidTemplateError, ValueTooLargeError
from keyturn.domain.managed_secret import MAX_KEY, CreationPolicy, Target, is_key
from keyturn.domain.payload import Payload, SecretValue
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stage, Stages
from keyturn.domain.version import Version
from keyturn.projection import marks, template
from keyturn.projection.secret_types import check_type

MAX_NATIVE_BYTES = 900 * 1024
"""Below the apiserver's limit of 1 MiB, which counts the keys that others add too."""

_RENDERING = 1
"""Raised when a release renders the same inputs differently, so that all is rendered anew."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is projected: the secret, its store, and the resource that it is attached to."""

    secret_id: UUID
    store_id: UUID
    name: SecretName
    resource_uid: str


@dataclass(frozen=True, slots=True)
class Owner:
    """The ManagedSecret that a native Secret goes with."""

    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class DesiredNativeSecret:
    """A native Secret as it should be. Leaving its `with` zeroes what was rendered for it.

    Where keys are merged into another's Secret, `type` is empty: it stays as it is.
    """

    namespace: str
    name: str
    type: str
    immutable: bool
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    owner: Owner | None
    data: Mapping[str, SecretValue]
    rendered: tuple[SecretValue, ...] = field(default=(), repr=False)
    """The values that are not the payloads' own: those stay whole for the next target."""

    @property
    def merging(self) -> bool:
        return not self.type

    def zero(self) -> None:
        """Overwrite the rendered values with zeros."""
        for value in self.rendered:
            value.zero()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.zero()


def desired_native_secret(
    target: Target,
    payloads: Mapping[Stage, Payload],
    identity: Identity,
    *,
    version: Version | None,
    merging: bool = False,
) -> DesiredNativeSecret:
    """Render a target.

    A stage that no version holds has no keys. `version` is the Current one, if there is one;
    `merging` tells whether the keys go into a native Secret that somebody else made.

    Raises:
        InvalidTemplateError: a template cannot be rendered with the Current version.
        InvalidSpecError: the type of the Secret needs keys that are missing, or two stages
            write one key.
        ValueTooLargeError: the values are too large for one native Secret.
    """
    data: dict[str, SecretValue] = {}
    rendered: list[SecretValue] = []
    try:
        for key, value, is_rendered in _entries(target, payloads):
            if is_rendered:
                rendered.append(value)
            _check_key(target, key, data)
            data[key] = value
        _check_size(target, data)
        if not merging:
            check_type(target, data)
    except BaseException:
        for value in rendered:
            value.zero()
        raise
    return DesiredNativeSecret(
        namespace=identity.name.namespace,
        name=target.name,
        type="" if merging else target.template.type,
        immutable=target.immutable and not merging,
        labels=_labels(target, identity, merging=merging),
        annotations=_annotations(target, identity, version, merging=merging),
        owner=_owner(target, identity, merging=merging),
        data=dict(sorted(data.items())),
        rendered=tuple(rendered),
    )


def rendered_from(
    target: Target, stages: Stages, identity: Identity, *, merging: bool = False
) -> bytes:
    """Serialise everything that a rendering depends on: the same bytes mean the same rendering.

    It holds templates as their author wrote them, so only a keyed digest of it may be kept.
    """
    shown = {stage for stage, _ in target.stages} | {Stage.CURRENT}
    inputs = {
        "rendering": _RENDERING,
        "versions": {stage: stages.version(stage) for stage in shown},
        "identity": [str(identity.store_id), str(identity.secret_id), str(identity.name)],
        "owner": identity.resource_uid,
        "merging": merging,
        "name": target.name,
        "creationPolicy": target.creation_policy,
        "immutable": target.immutable,
        "stages": target.stages,
        "type": target.template.type,
        "mergePolicy": target.template.merge_policy,
        "labels": dict(target.template.labels),
        "annotations": dict(target.template.annotations),
        "data": dict(target.template.data),
    }
    return json.dumps(inputs, sort_keys=True, separators=(",", ":")).encode()


def _entries(
    target: Target, payloads: Mapping[Stage, Payload]
) -> Iterator[tuple[str, SecretValue, bool]]:
    """Give each key with its value, and whether the value was rendered."""
    for stage, suffix in target.stages:
        payload = payloads.get(stage)
        if payload is None:
            continue
        if target.template.shows_payload:
            for key in payload.keys() - target.template.data.keys():
                yield key + suffix, payload[key], False
        for key, value in _rendered(target, stage, payload):
            yield key + suffix, value, True


def _rendered(target: Target, stage: Stage, payload: Payload) -> Iterator[tuple[str, SecretValue]]:
    for key, text in target.template.data.items():
        try:
            value = template.render(text, payload)
        except InvalidTemplateError as error:
            if stage is Stage.CURRENT:
                where = f"spec.targets[{target.name}].template.data[{key}]"
                raise InvalidTemplateError(f"{where}: {error}") from error
            # The older version may lack a key that the template has come to name. That must not
            # keep the Current one from the pods.
            continue
        yield key, value


def _check_key(target: Target, key: str, taken: Collection[str]) -> None:
    field = f"spec.targets[{target.name}]"
    if not is_key(key):
        raise InvalidSpecError(f"{field}: a native Secret cannot have the key {key[:MAX_KEY]!r}")
    if key in taken:
        raise InvalidSpecError(
            f"{field}.stages: two stages write the key {key}; write another keySuffix"
        )


def _check_size(target: Target, data: Mapping[str, SecretValue]) -> None:
    size = sum(len(key) + len(value) for key, value in data.items())
    if size > MAX_NATIVE_BYTES:
        raise ValueTooLargeError(
            f"spec.targets[{target.name}]: the native Secret would be {size} bytes large; "
            f"the limit is {MAX_NATIVE_BYTES}: spread the keys over several targets"
        )


def _owner(target: Target, identity: Identity, *, merging: bool) -> Owner | None:
    # Of the policies that make it, only Owner lets it go with the resource: into one of
    # CreateOrMerge others merge, and their keys would go too.
    if merging or target.creation_policy is not CreationPolicy.OWNER:
        return None
    return Owner(identity.name.name, identity.resource_uid)


def _labels(target: Target, identity: Identity, *, merging: bool) -> dict[str, str]:
    if merging:
        return {**target.template.labels, marks.MANAGED: marks.MERGED}
    return {
        **target.template.labels,
        marks.MANAGED: marks.MADE,
        marks.IDENTITY: str(identity.secret_id),
        marks.MANAGED_BY: "keyturn",
    }


def _annotations(
    target: Target, identity: Identity, version: Version | None, *, merging: bool
) -> dict[str, str]:
    if merging:
        # Several resources may merge into one Secret; each its own version here, and they would
        # overwrite each other for ever.
        return dict(target.template.annotations)
    return {
        **target.template.annotations,
        marks.STORE_ID: str(identity.store_id),
        marks.VERSION: str(version.number if version else 0),
        **({marks.VERSION_ID: str(version.id)} if version else {}),
    }
