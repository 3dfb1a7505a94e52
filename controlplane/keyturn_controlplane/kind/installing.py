"""Keyturn in a cluster of kind: made or found, with the image and the chart of the checkout."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from keyturn_controlplane.binaries import find_kubectl
from keyturn_controlplane.build import Builder, cache_folder
from keyturn_controlplane.commands import run_step
from keyturn_controlplane.errors import KindError
from keyturn_controlplane.kind.clusters import Kind
from keyturn_controlplane.kind.engine import require_engine
from keyturn_controlplane.kind.images import Image, build_image, save_image
from keyturn_controlplane.progress import Reporter

NAME = "keyturn"
"""The cluster, the release and what the chart makes."""

NAMESPACE = "keyturn-system"

_ANSWER = "15s"
_INSTALL_WAIT = "5m"


def install(root: Path, environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Make what is missing, install or upgrade Keyturn, and tell line by line how to go on.

    Each step may be stopped and repeated: what is there is found, and only a cluster that did not
    become whole is removed.

    Raises:
        ControlPlaneError: A step failed; the message says which, and what was said.
    """
    engine, reporter = require_engine(environ), Reporter()
    kind = Kind.find(engine, root, reporter, environ)
    kubectl = find_kubectl(environ, reporter)
    helm = Builder.create(environ, reporter).build(["helm"]) / "helm"
    kubeconfig = cache_folder(environ).parent / "kind" / "kubeconfig"
    _make_or_find(kind, kubectl, kubeconfig)
    image = build_image(engine, root, kind.environ, reporter)
    with tempfile.TemporaryDirectory(prefix="keyturn-image-") as folder:
        archive = Path(folder) / "image.tar"
        save_image(engine, image, archive, kind.environ)
        kind.load(NAME, archive)
    command = [str(helm), *helm_arguments(image, kubeconfig)]
    title = "Installing the chart, and waiting until the operator is ready"
    run_step(reporter, title, command, kind.environ, root, failure=KindError)
    yield from _next_steps(kind, kubectl, kubeconfig, environ)


def helm_arguments(image: Image, kubeconfig: Path) -> list[str]:
    """Return how helm installs or upgrades the chart of the checkout, with an image of its own."""
    values = {"image.repository": image.repository, "image.tag": image.tag}
    return [
        *("upgrade", NAME, "charts/keyturn", "--install", f"--kubeconfig={kubeconfig}"),
        *(f"--namespace={NAMESPACE}", "--create-namespace", "--wait", f"--timeout={_INSTALL_WAIT}"),
        *(f"--set-string={name}={value}" for name, value in values.items()),
    ]


def _make_or_find(kind: Kind, kubectl: Path, kubeconfig: Path) -> None:
    if NAME not in kind.names():
        kubeconfig.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kind.create(NAME, kubeconfig)
        return
    kind.reporter.say(f"The cluster {NAME} of kind is there: it is used")
    try:
        kind.write_kubeconfig(NAME, kubeconfig)
        _require_answer(kubectl, kubeconfig, kind.environ)
    except KindError as error:
        remove = shlex.join(kind.deletion(NAME, kubeconfig))
        raise KindError(
            f"the cluster {NAME} of kind is there, but it does not answer: start its container, or"
            f" remove it by\n  {remove}\nand run make kind again\n{error}"
        ) from error


def _require_answer(kubectl: Path, kubeconfig: Path, environ: Mapping[str, str]) -> None:
    ask = ["get", "--raw=/readyz", f"--request-timeout={_ANSWER}"]
    done = subprocess.run(
        [str(kubectl), f"--kubeconfig={kubeconfig}", *ask],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise KindError(f"kubectl {' '.join(ask)} failed:\n{done.stderr.strip()}")


def _next_steps(
    kind: Kind, kubectl: Path, kubeconfig: Path, environ: Mapping[str, str]
) -> Iterator[str]:
    yield f"Keyturn runs in the cluster {NAME} of kind. Copy this into a shell:"
    yield f"  export KUBECONFIG={shlex.quote(str(kubeconfig))}"
    if shutil.which(kubectl.name, path=environ.get("PATH", "")) is None:
        yield f'  export PATH={shlex.quote(str(kubectl.parent))}:"$PATH"'
    yield "and try, for example:"
    yield "  kubectl apply -f examples/database-login.yaml"
    yield "  kubectl wait managedsecret --all --for=condition=Ready"
    yield "  kubectl get managedsecrets,secrets"
    yield f"  kubectl exec -n {NAMESPACE} statefulset/{NAME} -- keyturn list"
    yield "After a change of the checkout run make kind again. This removes the cluster:"
    yield f"  {shlex.join(kind.deletion(NAME, kubeconfig))}"
