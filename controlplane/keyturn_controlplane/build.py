"""Building the binaries from the Go module, once per machine and version."""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from keyturn_controlplane.commands import run_step
from keyturn_controlplane.errors import BuildFailedError
from keyturn_controlplane.golang import Go, find_go
from keyturn_controlplane.progress import Reporter

MODULE = Path(__file__).parents[1]
"""The folder of go.mod, which names every binary as a tool."""

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kube-scheduler": "k8s.io/kubernetes/cmd/kube-scheduler",
    "kubelet": "k8s.io/kubernetes/cmd/kubelet",
    "containerd": "github.com/containerd/containerd/v2/cmd/containerd",
    "containerd-shim-runc-v2": "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
    "ctr": "github.com/containerd/containerd/v2/cmd/ctr",
    "helm": "helm.sh/helm/v4/cmd/helm",
    "kind": "sigs.k8s.io/kind",
}

# GOFLAGS and GOWORK of the user would build something else under the same cache key.
_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}


@dataclass(frozen=True, slots=True)
class Builder:
    """Builds into a folder whose name says all that the binaries depend on.

    A binary appears there whole or not at all, so an interrupted build goes on where it was.
    """

    module: Path
    folder: Path
    go: Go
    flags: tuple[str, ...]
    environ: Mapping[str, str]
    reporter: Reporter

    @classmethod
    def create(cls, environ: Mapping[str, str], reporter: Reporter, module: Path = MODULE) -> Self:
        """Find the toolchain and the cache folder for a Go module.

        Raises:
            BuildFailedError: There is no Go that is new enough.
        """
        cache = cache_folder(environ)
        text = (module / "go.mod").read_text()
        go = find_go(cache, _stated(text, r"^go (\S+)"), environ)
        version = _stated(text, r"^\s+k8s\.io/kubernetes (v\S+)")
        variable = "k8s.io/component-base/version.gitVersion"
        flags = ("-trimpath", "-mod=readonly", "-ldflags", f"-s -w -X {variable}={version}")
        inputs = (text, (module / "go.sum").read_text(), go.version, *flags)
        key = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]
        return cls(module, cache / key, go, flags, environ, reporter)

    def build(self, names: Sequence[str]) -> Path:
        """Build what is missing of some binaries and return the folder that holds them.

        Of several runs at once one builds, and the others wait for it and say so.

        Raises:
            BuildFailedError: A binary could not be built; the message says what Go said.
        """
        if self._missing(names):
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            with self._locked():
                self._build_missing(names)
        return self.folder

    def _missing(self, names: Sequence[str]) -> list[str]:
        return [name for name in names if not (self.folder / name).exists()]

    def _build_missing(self, names: Sequence[str]) -> None:
        missing = self._missing(names)  # Anew: another run may have built them meanwhile.
        if not missing:
            return
        self.go.install(self.environ, self.reporter)
        self.reporter.say(
            f"Building {', '.join(missing)} with {self.go.version}: minutes the first time, "
            f"then kept in {self.folder}"
        )
        for number, name in enumerate(missing, start=1):
            self._build_one(name, f"{name} ({number} of {len(missing)})")

    def _build_one(self, name: str, title: str) -> None:
        temporary = self.folder / f".{name}.new"
        binary, target = str(self.go.binary), str(temporary)
        argv = [binary, "build", *self.flags, "-o", target, PACKAGES[name]]
        try:
            run_step(self.reporter, title, argv, {**self.environ, **_ENVIRONMENT}, self.module)
            temporary.replace(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.reporter.say("Another run builds the control plane: waiting for it")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder outside the checkout that holds what is built and fetched."""
    stated = environ.get("XDG_CACHE_HOME", "")
    base = Path(stated) if Path(stated).is_absolute() else Path.home() / ".cache"
    return base / "keyturn" / "control-plane"


def _stated(text: str, pattern: str) -> str:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise BuildFailedError(f"go.mod has no line like {pattern!r}")
    return found[1]
