"""Each way of use, as people write it in a manifest."""

import pytest
import yaml

from keyturn.domain.consumers import Via
from keyturn.kube.pod_uses import all_uses, env_names

WAYS = {
    "a variable": (
        "containers: [{name: a, env: [{name: P, valueFrom: {secretKeyRef: {name: db, key: p}}}]}]",
        {"db": {Via.ENV}},
    ),
    "a variable that may be missing": (
        "containers: [{name: app, env: [{name: PW, valueFrom: "
        "{secretKeyRef: {name: db, key: p, optional: true}}}]}]",
        {"db": {Via.ENV}},
    ),
    "all keys as variables": (
        "containers: [{name: app, envFrom: [{prefix: D_, secretRef: {name: db, optional: true}}]}]",
        {"db": {Via.ENV_FROM}},
    ),
    "a volume": (
        "{volumes: [{name: v, secret: {secretName: db}}],"
        " containers: [{name: app, volumeMounts: [{name: v, mountPath: /v}]}]}",
        {"db": {Via.VOLUME}},
    ),
    "one file of a volume": (
        "{volumes: [{name: v, secret: {secretName: db}}],"
        " containers: [{name: app, volumeMounts: [{name: v, mountPath: /v, subPath: p}]}]}",
        {"db": {Via.SUB_PATH}},
    ),
    "one file of a volume by a variable": (
        "{volumes: [{name: v, secret: {secretName: db}}],"
        " containers: [{name: app, volumeMounts: [{name: v, mountPath: /v, subPathExpr: $(P)}]}]}",
        {"db": {Via.SUB_PATH}},
    ),
    "a projected volume": (
        "{volumes: [{name: v, projected: {sources: [{configMap: {name: c}}, {secret: {name: db}},"
        " {serviceAccountToken: {path: t}}, {secret: {name: tls, optional: true}}]}}],"
        " containers: [{name: app, volumeMounts: [{name: v, mountPath: /v}]}]}",
        {"db": {Via.PROJECTED}, "tls": {Via.PROJECTED}},
    ),
    "a volume that nobody mounts": (
        "{volumes: [{name: v, secret: {secretName: db}}], containers: [{name: app}]}",
        {"db": {Via.VOLUME}},
    ),
    "the login of a storage driver": (
        "{volumes: [{name: v, csi: {driver: d, nodePublishSecretRef: {name: db}}},"
        " {name: w, azureFile: {secretName: azure, shareName: s}},"
        " {name: x, cinder: {volumeID: i, secretRef: {name: cinder}}}], containers: [{name: app,"
        " volumeMounts: [{name: v, mountPath: /v}, {name: w, mountPath: /w}]}]}",
        {"db": {Via.VOLUME}, "azure": {Via.VOLUME}, "cinder": {Via.VOLUME}},
    ),
    "a container of the start": (
        "{initContainers: [{name: migrate, envFrom: [{secretRef: {name: db}}]}],"
        " containers: [{name: app}]}",
        {"db": {Via.ENV_FROM}},
    ),
    "a container for debugging": (
        "{containers: [{name: app}], ephemeralContainers: [{name: debug,"
        " env: [{name: PW, valueFrom: {secretKeyRef: {name: db, key: p}}}]}]}",
        {"db": {Via.ENV}},
    ),
    "the pull of images": (
        "{imagePullSecrets: [{name: registry}], containers: [{name: app}]}",
        {"registry": {Via.IMAGE_PULL_SECRETS}},
    ),
    "several ways at once": (
        "{volumes: [{name: v, secret: {secretName: db}}], imagePullSecrets: [{name: db}],"
        " initContainers: [{name: i, volumeMounts: [{name: v, mountPath: /v, subPath: p}]}],"
        " containers: [{name: app, envFrom: [{secretRef: {name: db}}],"
        " volumeMounts: [{name: v, mountPath: /v}]}]}",
        {"db": {Via.ENV_FROM, Via.VOLUME, Via.SUB_PATH, Via.IMAGE_PULL_SECRETS}},
    ),
    "nothing but a ConfigMap": (
        "{volumes: [{name: v, configMap: {name: c}}], containers: [{name: app,"
        " env: [{name: A, value: b}, {name: C, valueFrom: {fieldRef: {fieldPath: status.podIP}}}],"
        " envFrom: [{configMapRef: {name: c}}], volumeMounts: [{name: v, mountPath: /v}]}]}",
        {},
    ),
    "empty references, which the apiserver takes": (
        "{imagePullSecrets: [{}], containers: [{name: app, env: null, envFrom: null}]}",
        {},
    ),
}


@pytest.mark.parametrize(("spec", "uses"), WAYS.values(), ids=WAYS)
def test_each_way_of_use_is_found(spec: str, uses: dict[str, set[Via]]) -> None:
    assert all_uses(yaml.safe_load(spec)) == uses


def test_of_the_environment_only_the_names_are_taken() -> None:
    spec = yaml.safe_load(
        "{initContainers: [{name: i, env: [{name: A, value: plain}]}],"
        " containers: [{name: app, env: [{name: B, value: plain}]}]}"
    )

    assert env_names(spec) == {"A", "B"}
