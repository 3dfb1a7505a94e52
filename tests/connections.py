"""A connection to a server of the tests that stands in for an apiserver, without TLS."""

import json
from pathlib import Path

from keyturn.kube.connection import Connection


def connection_to(server: str, folder: Path) -> Connection:
    """Write a kubeconfig for the URL of a server, as somebody with the token `of-nobody`."""
    document = {
        "clusters": [{"name": "a", "cluster": {"server": server}}],
        "users": [{"name": "a", "user": {"token": "of-nobody"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(document))
    return Connection(path)
