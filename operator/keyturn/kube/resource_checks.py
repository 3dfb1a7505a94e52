"""Refuse what is well-formed and yet cannot be done, field by field."""

from collections.abc import Iterator
from itertools import chain

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import (
    MAX_KEY,
    RESERVED_NAMES,
    CreationPolicy,
    Literal,
    ManagedSecret,
    ManagedSecretSpec,
    Target,
    gives_rights,
    secrets_named_by,
)

MAX_TEXT_BYTES = 64 * 1024

_REFUSED_DOMAINS = ("keyturn.dev", "kubernetes.io", "k8s.io", "helm.sh", "argocd.argoproj.io")
_ALLOWED_LABELS = frozenset({"argocd.argoproj.io/secret-type"})
_REFUSED_LABELS = frozenset({"app.kubernetes.io/managed-by"})


def invalid(field: str, what_to_do: str) -> InvalidSpecError:
    """Make the error of a field: what is wrong with it, and what to write."""
    return InvalidSpecError(f"{field} {what_to_do}")


def check(resource: ManagedSecret) -> None:
    """Check what spans several fields.

    Raises:
        InvalidSpecError: something cannot be done.
    """
    _check_text_size(resource.spec)
    for target in resource.effective_targets:
        _check_target(target, resource.spec)
    _check_names(resource.spec)
    _check_sources(resource)


def _check_text_size(spec: ManagedSecretSpec) -> None:
    values = (entry.source.value for entry in spec.data if isinstance(entry.source, Literal))
    templates = (text for target in spec.targets for text in target.template.data.values())
    size = sum(len(text.encode()) for text in chain(values, templates))
    if size > MAX_TEXT_BYTES:
        raise invalid(
            "spec", f"holds {size} bytes of values and templates; the limit is {MAX_TEXT_BYTES}"
        )


def _check_names(spec: ManagedSecretSpec) -> None:
    names = set()
    for target in spec.targets:
        if target.name in names:
            raise invalid(f"spec.targets[{target.name}]", "is there twice; write each target once")
        names.add(target.name)


def _check_target(target: Target, spec: ManagedSecretSpec) -> None:
    field = f"spec.targets[{target.name}]"
    if target.name in RESERVED_NAMES:
        raise invalid(f"{field}.name", "is reserved for Keyturn itself; choose another")
    if target.immutable and target.creation_policy is not CreationPolicy.OWNER:
        raise invalid(
            f"{field}.immutable", "needs creationPolicy: Owner, as it is replaced by a new one"
        )
    _check_template(target, field)
    _check_stages(target, spec, field)


def _check_template(target: Target, field: str) -> None:
    template = target.template
    if gives_rights(template.type):
        raise invalid(
            f"{field}.template.type", f"cannot be {template.type}: such a Secret gives rights"
        )
    if target.creation_policy is CreationPolicy.MERGE and template.type != "Opaque":
        raise invalid(
            f"{field}.template.type", "cannot be changed by creationPolicy: Merge; leave it out"
        )
    labels = (name for name in template.labels if _is_refused_label(name))
    annotations = (name for name in template.annotations if _has_refused_domain(name))
    for kind, names in (("labels", labels), ("annotations", annotations)):
        for name in names:
            raise invalid(
                f"{field}.template.metadata.{kind}",
                f"cannot set {name}: other programs would act on it; use a prefix of your own",
            )


def _is_refused_label(name: str) -> bool:
    return name in _REFUSED_LABELS or (name not in _ALLOWED_LABELS and _has_refused_domain(name))


def _has_refused_domain(name: str) -> bool:
    domain, slash, _ = name.rpartition("/")
    if not slash or domain == "app.kubernetes.io":
        return False
    return any(domain == end or domain.endswith(f".{end}") for end in _REFUSED_DOMAINS)


def _check_stages(target: Target, spec: ManagedSecretSpec, field: str) -> None:
    written: dict[str, str] = {}
    for stage, suffix in target.stages:
        for key in set(_shown_keys(target, spec)):
            name = key + suffix
            where = f"{field}.stages[{stage}]"
            if written.setdefault(name, where) != where or len(name) > MAX_KEY:
                why = "is too long" if len(name) > MAX_KEY else f"is written by {written[name]} too"
                raise invalid(
                    f"{where}.keySuffix", f"makes the key {name}, which {why}; write another"
                )
    if len({stage for stage, _ in target.stages}) < len(target.stages):
        raise invalid(f"{field}.stages", "holds a stage twice; write each once")


def _shown_keys(target: Target, spec: ManagedSecretSpec) -> Iterator[str]:
    yield from target.template.data
    if target.template.shows_payload:
        yield from spec.keys


def _check_sources(resource: ManagedSecret) -> None:
    made_here = {
        target.name
        for target in resource.effective_targets
        if target.creation_policy in (CreationPolicy.OWNER, CreationPolicy.ORPHAN)
    }
    for entry in resource.spec.data:
        field = f"spec.data[{entry.key}]"
        for name in secrets_named_by(entry.source):
            if name in RESERVED_NAMES:
                raise invalid(field, f"cannot read {name}: it is reserved for Keyturn itself")
            if name in made_here:
                raise invalid(
                    field,
                    f"reads the Secret {name}, which this resource writes; to take over what "
                    "stands there write a generate or input source and adoptionPolicy: Import",
                )
