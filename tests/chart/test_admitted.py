"""The apiserver takes what the chart makes of each set of values, and the manifest for kubectl."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helming import Helm, identity
from chart.sets import VALUES
from cluster.operating import eventually
from documents import ROOT
from keyturn_controlplane.cluster import ControlPlane

DEPLOY = ROOT / "deploy"

RUNTIME_CLASS = (
    "{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: gvisor}, handler: runsc}"
)
PROBED = ("probe", "probe-shop", "probe-web", "keyturn-jobs")


@pytest.fixture(scope="module")
def probed(bare: ControlPlane) -> ControlPlane:
    """The control plane with the namespaces and the runtime class that the sets of values name."""
    for namespace in PROBED:
        bare.kubectl("create", "namespace", namespace)
    bare.kubectl("apply", "-f", "-", input=RUNTIME_CLASS)
    return bare


@pytest.fixture(scope="module")
def admitted() -> set[str]:
    """The objects that the apiserver took already: most sets of values make most of the same."""
    return set()


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())
def test_the_apiserver_takes_all_of_it(
    helm: Helm, probed: ControlPlane, admitted: set[str], values: Mapping[str, Any]
) -> None:
    made = helm.template({"policies": {"keep": False}, **values}, namespace="probe")
    others = {json.dumps(each) for each in made} - admitted
    if not others:  # They only leave something out.
        return

    applied = probed.kubectl(
        *("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-"),
        input="\n".join(others),
    )

    assert len(applied.stdout.splitlines()) == len(others)
    assert "would violate" not in applied.stderr
    admitted |= others


def test_the_pods_are_admitted_by_the_level_restricted(helm: Helm, probed: ControlPlane) -> None:
    made = helm.template(namespace="probe")
    probed.kubectl(
        *("label", "namespace", "probe", "pod-security.kubernetes.io/enforce=restricted"),
        "pod-security.kubernetes.io/warn=restricted",
    )
    pods = [made.one("StatefulSet"), made.test_pod, made.one("ServiceAccount")]

    applied = probed.kubectl(
        *("apply", "--server-side", "--dry-run=server", "-f", "-"), input=yaml.safe_dump_all(pods)
    )

    assert applied.stderr == ""


# kubectl alone


@pytest.fixture
def clean(bare: ControlPlane) -> Iterator[ControlPlane]:
    """The control plane; what belongs to the whole cluster goes afterwards."""
    yield bare
    bare.kubectl("delete", "--ignore-not-found", "--wait=false", "-k", str(DEPLOY))


def test_kubectl_alone_installs_the_same(helm: Helm, clean: ControlPlane) -> None:
    clean.kubectl("delete", "namespace", "keyturn-jobs", "--ignore-not-found")
    wanted = {identity(each) for each in helm.template({"namespace": {"create": True}}).installed}

    plain = clean.kubectl("apply", "-f", str(DEPLOY / "keyturn.yaml"))
    server_side = clean.kubectl("apply", "--server-side", "-f", str(DEPLOY / "keyturn.yaml"))
    by_folder = clean.kubectl("apply", "--server-side", "-k", str(DEPLOY))

    assert {line.rsplit(" ", 1)[1] for line in plain.stdout.splitlines()} == {"created"}
    assert len(plain.stdout.splitlines()) == len(wanted)
    assert len(by_folder.stdout.splitlines()) == len(wanted)
    assert server_side.stderr == by_folder.stderr == ""
    # One more time by the first way: nothing is too large for the annotation that it writes.
    again = clean.kubectl("apply", "-f", str(DEPLOY / "keyturn.yaml"))
    assert {line.rsplit(" ", 1)[1] for line in again.stdout.splitlines()} <= {
        "unchanged",
        "configured",
    }
    eventually(
        lambda: "data-keyturn-0" in clean.kubectl("get", "pvc", "-n", "keyturn-system").stdout,
        what="the claim of the store is made",
    )


def test_the_manifest_is_what_helm_installs(helm: Helm) -> None:
    manifest = list(yaml.safe_load_all((DEPLOY / "keyturn.yaml").read_text()))

    installed = helm.template({"namespace": {"create": True}}).installed
    assert [identity(each) for each in manifest] == [identity(each) for each in installed]
    marks = [
        mark
        for each in manifest
        for kind in ("labels", "annotations")
        for mark in each["metadata"].get(kind, {}).items()
    ]
    assert [mark for mark in marks if "helm" in str(mark).lower()] == []


OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [{base}]
images:
- {{name: localhost/keyturn, newName: registry.example/keyturn, newTag: 1.2.3}}
patches:
- target: {{kind: StatefulSet, name: keyturn}}
  patch: |
    - op: add
      path: /spec/volumeClaimTemplates/0/spec/storageClassName
      value: fast
"""


def test_an_overlay_sets_the_image_and_the_class(bare: ControlPlane, tmp_path: Path) -> None:
    base = os.path.relpath(DEPLOY, tmp_path)
    (tmp_path / "kustomization.yaml").write_text(OVERLAY.format(base=base))

    made = bare.kubectl("kustomize", str(tmp_path)).stdout

    (found,) = (each for each in yaml.safe_load_all(made) if each["kind"] == "StatefulSet")
    assert found["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    container = found["spec"]["template"]["spec"]["containers"][0]
    assert container["image"] == "registry.example/keyturn:1.2.3"
