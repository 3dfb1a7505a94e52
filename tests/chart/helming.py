"""The real helm, alone and with a cluster."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from make_chart import CHART

Object = dict[str, Any]

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""That of libyaml, as the CRDs are long: it takes a tenth of the time."""

HOOK = "helm.sh/hook"
ANYWHERE = "0.0.0.0"  # noqa: S104 - what the pod is told; nothing listens here


class HelmError(Exception):
    """helm ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Helm:
    """helm in a home of its own; with a kubeconfig, helm with that cluster."""

    binary: Path
    home: Path
    kubeconfig: Path | None = None

    def __call__(
        self, *arguments: str | Path, values: Mapping[str, Any] | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run it, with values if there are any.

        Raises:
            HelmError: it ended with an error, and `check` is true.
        """
        given = ["--values=-"] if values is not None else []
        done = subprocess.run(
            [self.binary, *arguments, *given],
            input=yaml.safe_dump(values) if values is not None else None,
            env={
                "PATH": os.defpath,
                "HOME": str(self.home),
                "KUBECONFIG": str(self.kubeconfig or os.devnull),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        if check and done.returncode != 0:
            raise HelmError(done.stderr)
        return done

    def template(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        release: str = "keyturn",
        namespace: str = "keyturn-system",
        flags: Sequence[str] = (),
    ) -> "Rendered":
        """Render the chart without a cluster. Raises: HelmError."""
        done = self(
            "template", release, CHART, "--namespace", namespace, *flags, values=values or {}
        )
        return Rendered([each for each in yaml.load_all(done.stdout, Loader=LOADER) if each])


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a chart makes."""

    objects: list[Object]

    def __iter__(self) -> Iterator[Object]:
        return iter(self.objects)

    @property
    def installed(self) -> list[Object]:
        """All but the pod of `helm test`."""
        return [each for each in self if HOOK not in each["metadata"].get("annotations", {})]

    def of(self, *kinds: str) -> list[Object]:
        return [each for each in self.installed if each["kind"] in kinds]

    def one(self, kind: str, name: str = "") -> Object:
        (found,) = (each for each in self.of(kind) if name in ("", each["metadata"]["name"]))
        return found

    @property
    def test_pod(self) -> Object:
        (found,) = (each for each in self if each not in self.installed)
        return found

    @property
    def pod(self) -> Object:
        """The spec of the operator's pod."""
        spec: Object = self.one("StatefulSet")["spec"]["template"]["spec"]
        return spec

    @property
    def container(self) -> Object:
        found: Object = self.pod["containers"][0]
        return found

    @property
    def environment(self) -> dict[str, str]:
        pairs = [(each["name"], each.get("value", "")) for each in self.container["env"]]
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    def text(self) -> str:
        return yaml.safe_dump_all(self.installed)


def identity(each: Object) -> tuple[str, str, str]:
    metadata = each["metadata"]
    return each["kind"], metadata.get("namespace", ""), metadata["name"]
