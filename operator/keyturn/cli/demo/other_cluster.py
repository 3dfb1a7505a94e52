"""The cluster of KEYTURN_KUBECONFIG, which is left as it was found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from keyturn.cli.demo.cluster import NAMESPACE, Cluster, Left, install_crds, prepare
from keyturn.cli.demo.errors import CommandFailedError, DemoError
from keyturn.cli.demo.kubectl import Kubectl
from keyturn.cli.demo.screen import Screen
from keyturn_controlplane.binaries import find_kubectl

ANSWER_SECONDS = 15
CRD = "managedsecrets.keyturn.dev"


@contextmanager
def other_cluster(kubeconfig: Path, root: Path, folder: Path, screen: Screen) -> Iterator[Cluster]:
    """Install Keyturn for the length of the `with` in a cluster that does not have it.

    Raises:
        DemoError: there is no such cluster, or Keyturn is in it already.
    """
    if not kubeconfig.is_file():
        raise DemoError(f"expected: KEYTURN_KUBECONFIG names a file\nsaw: no file {kubeconfig}")
    kubectl = Kubectl(find_kubectl(reporter=screen.reporter), kubeconfig.absolute(), folder)
    with _named(kubeconfig):
        address = _address(kubectl)
        screen.step("The cluster of KEYTURN_KUBECONFIG", f"It is {address}, by {kubeconfig}.")
        kubectl.run("get", "--raw=/version", f"--request-timeout={ANSWER_SECONDS}s")
    made = ("-f", str(root / "crds"), "-f", str(root / "rbac"))
    _refuse_where_it_is(kubectl, made, address)
    is_kept = False

    def detach() -> Left:
        nonlocal is_kept
        is_kept = True
        run = f"kubectl --kubeconfig={kubeconfig.absolute()} delete"
        return Left(commands=(f"{run} namespace {NAMESPACE}", f"{run} {' '.join(made)}"))

    try:
        install_crds(kubectl, root)
        prepare(kubectl, root)
        screen.well("It has the CRD, the rights and the policies until the end of the demo.")
        yield Cluster(kubectl, detach, watch_namespaces=(NAMESPACE,))
    finally:
        if not is_kept:
            _remove(kubectl, made, screen)


@contextmanager
def _named(kubeconfig: Path) -> Iterator[None]:
    """Name the variable in whatever kubectl says of its file."""
    try:
        yield
    except CommandFailedError as error:
        raise DemoError(
            f"expected: the cluster of KEYTURN_KUBECONFIG, {kubeconfig}, answers\nsaw: {error.said}"
        ) from error


def _address(kubectl: Kubectl) -> str:
    path = "{.clusters[0].cluster.server}"
    return kubectl.run("config", "view", "--minify", f"--output=jsonpath={path}")


def _refuse_where_it_is(kubectl: Kubectl, made: Sequence[str], address: str) -> None:
    """Refuse a cluster that has anything that the demo would make, and remove in the end."""
    names = [
        *kubectl.run("get", *made, "--ignore-not-found", "-o", "name").split(),
        *kubectl.run("get", "namespace", NAMESPACE, "--ignore-not-found", "-o", "name").split(),
    ]
    if names:
        raise DemoError(
            f"expected: a cluster without Keyturn, so that nothing of it can come to harm\n"
            f"saw: {', '.join(names)} in {address}; remove them if they are left of a demo"
        )


def _remove(kubectl: Kubectl, made: Sequence[str], screen: Screen) -> None:
    with screen.waiting(f"Removing the namespace {NAMESPACE} from the cluster"):
        kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found")
    if _is_used_by_others(kubectl):
        screen.say("Somebody else made ManagedSecrets meanwhile: the CRD, the rights and the")
        screen.say(f"policies stay. This removes them: kubectl delete {' '.join(made)}")
        return
    with screen.waiting("Removing the CRD, the rights and the policies from the cluster"):
        kubectl.run("delete", "--ignore-not-found", *made)


def _is_used_by_others(kubectl: Kubectl) -> bool:
    if not kubectl.run("get", "crd", CRD, "--ignore-not-found", "-o", "name"):
        return False
    return bool(kubectl.run("get", CRD, "--all-namespaces", "-o", "name"))
