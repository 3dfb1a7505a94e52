"""Kubeconfig files, written as JSON, which is YAML too."""

import base64
import json
from pathlib import Path
from typing import Any

from keyturn_controlplane.certificates import KeyPair
from keyturn_controlplane.errors import ControlPlaneError
from keyturn_controlplane.files import write_private

_NAME = "keyturn"


def write_for_certificate(path: Path, url: str, ca_file: Path, client: KeyPair) -> Path:
    """Write a kubeconfig for the user of a client certificate, which it holds whole."""
    user = {
        "client-certificate-data": _encoded(client.certificate),
        "client-key-data": _encoded(client.key),
    }
    return _write(path, url, ca_file, user)


def write_for_token(path: Path, url: str, ca_file: Path, token: str) -> Path:
    """Write a kubeconfig for the bearer of a token."""
    return _write(path, url, ca_file, {"token": token})


def _write(path: Path, url: str, ca_file: Path, user: dict[str, str]) -> Path:
    cluster = {"server": url, "certificate-authority-data": _encoded(ca_file)}
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": _NAME, "cluster": cluster}],
        "users": [{"name": _NAME, "user": user}],
        "contexts": [{"name": _NAME, "context": {"cluster": _NAME, "user": _NAME}}],
        "current-context": _NAME,
    }
    return write_private(path, json.dumps(document, indent=2) + "\n")


def _encoded(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def publish(source: Path, target: Path) -> None:
    """Copy a kubeconfig that this module wrote; a file of anybody else is not overwritten.

    Raises:
        ControlPlaneError: The target is there and was not written here.
    """
    if target.exists() and not _is_ours(target):
        raise ControlPlaneError(f"{target} is there, and not of a control plane of Keyturn")
    write_private(target, source.read_bytes())


def _is_ours(path: Path) -> bool:
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        return False
    clusters = document.get("clusters", []) if isinstance(document, dict) else []
    return [cluster.get("name") for cluster in clusters] == [_NAME]
