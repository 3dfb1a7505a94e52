"""Where the binaries of a control plane come from: the environment, the cache, or a build."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from keyturn_controlplane.build import Builder
from keyturn_controlplane.errors import BinaryMissingError
from keyturn_controlplane.progress import Reporter

ASSETS = "KUBEBUILDER_ASSETS"
"""The variable by which projects of Kubernetes name a folder of binaries."""

CONTROLLER_MANAGER = "kube-controller-manager"
KUBECTL = "kubectl"
NAMES = ("etcd", KUBECTL, "kube-apiserver", CONTROLLER_MANAGER)
NODE_NAMES = ("kube-scheduler", "kubelet", "containerd", "containerd-shim-runc-v2", "ctr")


@dataclass(frozen=True, slots=True)
class Binaries:
    """The paths of the four binaries."""

    etcd: Path
    kubectl: Path
    kube_apiserver: Path
    kube_controller_manager: Path

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        return cls(*(folder / name for name in NAMES))


@dataclass(frozen=True, slots=True)
class NodeBinaries:
    """The paths of what a node runs."""

    kube_scheduler: Path
    kubelet: Path
    containerd: Path
    containerd_shim: Path
    ctr: Path
    runc: Path

    @classmethod
    def in_folder(cls, folder: Path, runc: Path) -> Self:
        scheduler, kubelet, containerd, shim, ctr = (folder / name for name in NODE_NAMES)
        return cls(scheduler, kubelet, containerd, shim, ctr, runc)


def find_or_build(
    environ: Mapping[str, str] = os.environ, reporter: Reporter | None = None
) -> Binaries:
    """Return binaries: of KUBEBUILDER_ASSETS if that is set, else built once and then cached.

    The folder that KUBEBUILDER_ASSETS names often lacks kube-controller-manager; only that is
    built then.

    Raises:
        BinaryMissingError: KUBEBUILDER_ASSETS lacks one of the others.
        BuildFailedError: A binary could not be built.
    """
    reporter = reporter or Reporter()
    assets = environ.get(ASSETS)
    if not assets:
        return Binaries.in_folder(Builder.create(environ, reporter).build(NAMES))
    found = _assets(Path(assets).absolute())
    if os.access(found.kube_controller_manager, os.X_OK):
        return found
    built = Builder.create(environ, reporter).build([CONTROLLER_MANAGER])
    return Binaries(found.etcd, found.kubectl, found.kube_apiserver, built / CONTROLLER_MANAGER)


def find_or_build_node(
    environ: Mapping[str, str] = os.environ,
    reporter: Reporter | None = None,
    *,
    folders: Sequence[str] = ("/usr/local/sbin", "/usr/sbin"),
) -> NodeBinaries:
    """Return what a node runs: of KUBEBUILDER_ASSETS if all is there, else built and then cached.

    Args:
        environ: The environment.
        reporter: Who tells about a build.
        folders: Where runc, which the system has, is looked for besides PATH.

    Raises:
        BinaryMissingError: There is no runc.
        BuildFailedError: A binary could not be built.
    """
    runc = shutil.which("runc", path=os.pathsep.join([environ.get("PATH", ""), *folders]))
    if runc is None:
        raise BinaryMissingError("a node needs runc: apt-get install runc")
    assets = Path(environ.get(ASSETS, "")).absolute()
    if environ.get(ASSETS) and all(os.access(assets / name, os.X_OK) for name in NODE_NAMES):
        return NodeBinaries.in_folder(assets, Path(runc))
    folder = Builder.create(environ, reporter or Reporter()).build(NODE_NAMES)
    return NodeBinaries.in_folder(folder, Path(runc))


def find_kubectl(environ: Mapping[str, str] = os.environ, reporter: Reporter | None = None) -> Path:
    """Return kubectl alone, for a cluster that runs: that of PATH, else as `find_or_build` does.

    Raises:
        BinaryMissingError: KUBEBUILDER_ASSETS lacks it.
        BuildFailedError: It could not be built.
    """
    on_path = shutil.which(KUBECTL, path=environ.get("PATH", ""))
    if on_path is not None:
        return Path(on_path)
    if environ.get(ASSETS):
        return find_or_build(environ, reporter).kubectl
    return Builder.create(environ, reporter or Reporter()).build([KUBECTL]) / KUBECTL


def _assets(folder: Path) -> Binaries:
    needed = (name for name in NAMES if name != CONTROLLER_MANAGER)
    missing = [name for name in needed if not os.access(folder / name, os.X_OK)]
    if missing:
        raise BinaryMissingError(
            f"{ASSETS} is {folder}, where no executable {', '.join(missing)} is; "
            f"unset it to have them built"
        )
    return Binaries.in_folder(folder)
