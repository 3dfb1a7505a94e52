"""How a pod, or a pod template, uses native Secrets: by which names, and by which ways.

A pod's environment may hold values that somebody wrote in the open. Only names are taken out of it.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from keyturn.domain.consumers import Via

Json = Mapping[str, Any]
Uses = dict[str, set[Via]]
"""Native Secrets by their names, each with the ways in which it is used."""

_CONTAINERS = ("initContainers", "containers", "ephemeralContainers")
_VOLUME_REFS = (
    ("secret", "secretName"),
    ("azureFile", "secretName"),
    ("csi", "nodePublishSecretRef"),
    ("cephfs", "secretRef"),
    ("cinder", "secretRef"),
    ("flexVolume", "secretRef"),
    ("iscsi", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("storageos", "secretRef"),
)
"""Where a volume names a Secret: the one that is mounted, and those that its driver logs in by."""

_UNMOUNTED = frozenset({Via.VOLUME, Via.PROJECTED})


def containers_of(spec: Json) -> Iterator[Json]:
    """List all containers, those of the start and those for debugging too."""
    for kind in _CONTAINERS:
        yield from spec.get(kind) or ()


def uses_by_container(spec: Json) -> dict[str, Uses]:
    """Tell what each container uses, by its name."""
    volumes = {volume["name"]: list(_of_volume(volume)) for volume in spec.get("volumes") or ()}
    return {
        container["name"]: _collected(
            [*_of_environment(container), *_of_mounts(container, volumes)]
        )
        for container in containers_of(spec)
    }


def add_uses_of_pod(uses: Uses, spec: Json) -> None:
    """Add what a pod uses beside its containers: to pull images, and volumes nobody mounts."""
    for name, ways in _uses_of_pod(spec).items():
        # A mount tells more of a volume than the volume itself.
        more = ways - _UNMOUNTED if name in uses else ways
        uses.setdefault(name, set()).update(more)


def _uses_of_pod(spec: Json) -> Uses:
    pulls = (
        (ref.get("name"), Via.IMAGE_PULL_SECRETS) for ref in spec.get("imagePullSecrets") or ()
    )
    volumes = (use for volume in spec.get("volumes") or () for use in _of_volume(volume))
    return _collected([*pulls, *volumes])


def all_uses(spec: Json) -> Mapping[str, frozenset[Via]]:
    """Tell all that a pod template uses."""
    mounted: Uses = {}
    for uses in uses_by_container(spec).values():
        for name, ways in uses.items():
            mounted.setdefault(name, set()).update(ways)
    add_uses_of_pod(mounted, spec)
    return {name: frozenset(ways) for name, ways in mounted.items()}


def env_names(spec: Json) -> frozenset[str]:
    """Name the variables of all containers; never their values."""
    return frozenset(
        entry["name"] for container in containers_of(spec) for entry in container.get("env") or ()
    )


def _of_environment(container: Json) -> Iterator[tuple[str | None, Via]]:
    for entry in container.get("env") or ():
        reference = (entry.get("valueFrom") or {}).get("secretKeyRef") or {}
        yield reference.get("name"), Via.ENV
    for entry in container.get("envFrom") or ():
        yield (entry.get("secretRef") or {}).get("name"), Via.ENV_FROM


def _of_mounts(
    container: Json, volumes: Mapping[str, list[tuple[str | None, Via]]]
) -> Iterator[tuple[str | None, Via]]:
    for mount in container.get("volumeMounts") or ():
        by_path = mount.get("subPath") or mount.get("subPathExpr")
        for name, way in volumes.get(mount["name"], ()):
            yield name, Via.SUB_PATH if by_path else way


def _of_volume(volume: Json) -> Iterator[tuple[str | None, Via]]:
    for plugin, field in _VOLUME_REFS:
        named = (volume.get(plugin) or {}).get(field)
        yield (named.get("name") if isinstance(named, Mapping) else named), Via.VOLUME
    for source in (volume.get("projected") or {}).get("sources") or ():
        yield (source.get("secret") or {}).get("name"), Via.PROJECTED


def _collected(found: Iterable[tuple[str | None, Via]]) -> Uses:
    uses: Uses = {}
    for name, way in found:
        if name:
            uses.setdefault(name, set()).add(way)
    return uses
