"""Parse ManagedSecrets, and keep them as their authors wrote them.

Every check of the CRD that safety rests on is made again, as the admission of a cluster can be
bypassed or be of another release, together with those that CEL cannot make.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from keyturn.domain import managed_secret as domain
from keyturn.domain.duration import parse_duration
from keyturn.domain.errors import InvalidError, InvalidSpecError, UnknownFormatError
from keyturn.domain.recovery import ReclaimPolicy, Retention
from keyturn.domain.secret import SecretName
from keyturn.domain.stage import Stage
from keyturn.kube import resource_schema as schema
from keyturn.kube.consumers_spec import consumers_of
from keyturn.kube.resource_checks import check, invalid
from keyturn.kube.rotations import rotation_of
from keyturn.kube.validation import validated

OutputsOf = Callable[[str, str, Mapping[str, Any]], Mapping[str, str]]
"""Names the keys that a generator fills: (generator, key, parameters) to output name to key.

It raises an `InvalidError` when there is no such generator, or a parameter is wrong.
"""

_BUILT_IN_GENERATORS = frozenset(
    ("password", "passphrase", "hex", "base64", "uuid", "sshKey", "tls", "privateKey", "htpasswd")
)
_SHORTEST_WINDOW = parse_duration("1h")
_LONGEST_WINDOW = parse_duration("365d")
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def parse(
    body: Mapping[str, Any],
    *,
    outputs_of: OutputsOf,
    own_namespaces: frozenset[str] = domain.OWN_NAMESPACES,
) -> domain.ManagedSecret:
    """Parse a ManagedSecret as the apiserver gives it.

    Raises:
        InvalidSpecError: something in it cannot be done; the message names the field and says
            what to write, and holds no `value`.
    """
    resource = validated(schema.Resource, body)
    metadata = resource.metadata
    if metadata.namespace in own_namespaces:
        raise invalid("metadata.namespace", "is the operator's own; use another namespace")
    if metadata.namespace in domain.CLUSTER_NAMESPACES:
        raise invalid("metadata.namespace", "is the cluster's own; use another namespace")
    parsed = domain.ManagedSecret(
        name=SecretName(metadata.namespace, metadata.name),
        uid=metadata.uid,
        generation=metadata.generation,
        resource_version=metadata.resource_version,
        labels=metadata.labels,
        annotations=metadata.annotations,
        status=resource.status,
        deleting=metadata.deletion_timestamp is not None,
        spec=_spec(resource.spec, metadata.namespace, outputs_of),
    )
    check(parsed)
    return parsed


def to_manifest(body: Mapping[str, Any]) -> bytes:
    """Serialise a resource as its author wrote it, so that `keyturn restore` can apply it again.

    Left out is what the cluster adds, and kubectl's copy of all the rest. The same resource
    always gives the same bytes.
    """
    metadata = body["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(_LAST_APPLIED, None)
    kept = {"name": metadata["name"], "namespace": metadata["namespace"]}
    if metadata.get("labels"):
        kept["labels"] = metadata["labels"]
    if annotations:
        kept["annotations"] = annotations
    manifest = {
        "apiVersion": domain.API_VERSION,
        "kind": domain.KIND,
        "metadata": kept,
        "spec": body["spec"],
    }
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def from_manifest(manifest: bytes) -> dict[str, Any]:
    """Read back what `to_manifest` wrote.

    Raises:
        UnknownFormatError: it is no such manifest.
    """
    try:
        body = json.loads(manifest)
    except ValueError:
        # The manifest may hold a `value`, and the parser's text quotes what it read.
        raise UnknownFormatError("the kept manifest is no JSON") from None
    if not isinstance(body, dict) or body.get("kind") != domain.KIND:
        raise UnknownFormatError(f"the kept manifest is no {domain.KIND}")
    return body


def _spec(spec: schema.Spec, namespace: str, outputs_of: OutputsOf) -> domain.ManagedSecretSpec:
    data = _data(spec.data, outputs_of)
    return domain.ManagedSecretSpec(
        data=data,
        description=spec.description,
        encryption_key=spec.encryption_key_ref.name,
        adoption_policy=domain.AdoptionPolicy(spec.adoption_policy),
        retention=_retention(spec),
        history_limit=spec.revision_history_limit,
        targets=tuple(_target(target) for target in spec.targets),
        rotation=None if spec.rotation is None else rotation_of(spec.rotation, data),
        consumers=None if spec.consumers is None else consumers_of(spec.consumers, namespace),
    )


def _retention(spec: schema.Spec) -> Retention:
    field = "spec.recoveryWindow"
    try:
        window = parse_duration(spec.recovery_window)
    except InvalidError as error:
        raise InvalidSpecError(f"{field} {error}") from error
    if not _SHORTEST_WINDOW <= window <= _LONGEST_WINDOW:
        raise invalid(field, "is out of bounds; write 1h to 365d")
    return Retention(ReclaimPolicy(spec.reclaim_policy), window)


def _data(items: Iterable[schema.DataItem], outputs_of: OutputsOf) -> tuple[domain.DataKey, ...]:
    data: list[domain.DataKey] = []
    filled_by: dict[str, str] = {}
    for item in items:
        field = f"spec.data[{item.key}]"
        source = _source(item, field)
        fills = _fills(item.key, source, field, outputs_of)
        for name in fills:
            if name in filled_by:
                raise invalid(
                    field, f"fills the key {name}, and so does {filled_by[name]}; rename one"
                )
            filled_by[name] = field
        data.append(domain.DataKey(item.key, source, tuple(fills)))
    return tuple(data)


def _source(item: schema.DataItem, field: str) -> domain.Source:
    given = [
        source
        for source in (item.value, item.generate, item.input, item.value_from)
        if source is not None
    ]
    if len(given) != 1:
        raise invalid(field, "needs exactly one source; write value, generate, input or valueFrom")
    if item.value is not None:
        return domain.Literal(item.value)
    if item.generate is not None:
        return _generate(item.generate, f"{field}.generate")
    if item.value_from is not None:
        return _value_from(item.value_from, f"{field}.valueFrom")
    if item.input:
        raise invalid(f"{field}.input", "takes no fields; write input: {}")
    return domain.Input()


def _generate(generate: Mapping[str, Mapping[str, Any]], field: str) -> domain.Generate:
    if len(generate) != 1:
        raise invalid(field, "needs exactly one generator; write for example password: {}")
    ((generator, parameters),) = generate.items()
    if generator != "plugin":
        return domain.Generate(generator, parameters)
    try:
        plugin = schema.PluginParameters.model_validate(parameters)
    except ValidationError:
        plugin = None
    if plugin is None:
        raise invalid(f"{field}.plugin", "needs a name, and parameters that are texts")
    if plugin.name in _BUILT_IN_GENERATORS:
        raise invalid(
            f"{field}.plugin.name", f"is built in; write {plugin.name}: {{}} without plugin"
        )
    return domain.Generate(plugin.name, plugin.parameters)


def _value_from(value_from: schema.ValueFrom, field: str) -> domain.ConfigMapKey | domain.SecretKey:
    of_config_map, of_secret = value_from.config_map_key_ref, value_from.secret_key_ref
    if of_config_map is not None and of_secret is None:
        return domain.ConfigMapKey(of_config_map.name, of_config_map.key)
    if of_secret is not None and of_config_map is None:
        return domain.SecretKey(of_secret.name, of_secret.key)
    raise invalid(field, "needs exactly one of configMapKeyRef and secretKeyRef")


def _fills(key: str, source: domain.Source, field: str, outputs_of: OutputsOf) -> list[str]:
    fills = [key]
    if isinstance(source, domain.Generate):
        try:
            outputs = list(outputs_of(source.generator, key, source.parameters).values())
        except InvalidError as error:
            raise InvalidSpecError(f"{field}.generate.{source.generator}: {error}") from error
        fills = outputs if key in outputs else [key, *outputs]
    for name in fills:
        if not domain.is_key(name):
            raise invalid(
                field, f"names a key that is none: write 1 to {domain.MAX_KEY} of a-z A-Z 0-9 - . _"
            )
    return fills


def _target(target: schema.Target) -> domain.Target:
    template = target.template
    return domain.Target(
        name=target.name,
        creation_policy=domain.CreationPolicy(target.creation_policy),
        drift=domain.DriftPolicy(target.drift),
        immutable=target.immutable,
        stages=tuple(
            domain.ProjectedStage(Stage(shown.stage), shown.key_suffix) for shown in target.stages
        ),
        template=domain.Template(
            type=template.type,
            merge_policy=domain.MergePolicy(template.merge_policy),
            labels=template.metadata.labels,
            annotations=template.metadata.annotations,
            data=template.data,
        ),
    )
