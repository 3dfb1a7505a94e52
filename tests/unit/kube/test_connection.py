from pathlib import Path

import pytest

from keyturn.domain.errors import ClusterUnavailableError
from keyturn.kube.connection import Connection

CLUSTER = """
current-context: a
contexts: [{name: a, context: {cluster: a, user: a}}]
users: [{name: a, user: {token: t}}]
clusters: [{name: a, cluster: {%s}}]
"""
CUT_OFF = CLUSTER % "server: https://a.example, certificate-authority-data: TFMwdA0KZ"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"host.example\n", id="a word"),
        pytest.param(b"- a\n", id="a list"),
        pytest.param(b"clusters: [{\n", id="no YAML"),
        pytest.param(b"\x00", id="what no YAML may hold"),
        pytest.param(b"\xff\xfe\xff", id="no text"),
        pytest.param(b"kind: Config\n", id="no context"),
        pytest.param(CUT_OFF.encode(), id="a certificate that is cut off"),
        pytest.param((CLUSTER % "server: 8443").encode(), id="no address"),
    ],
)
async def test_a_file_that_is_no_kubeconfig_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_bytes(content)

    with pytest.raises(ClusterUnavailableError, match=f"in {path}; set KEYTURN_KUBECONFIG"):
        await Connection(path).load()


async def test_a_kubeconfig_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailableError, match="no credentials"):
        await Connection(tmp_path / "config").load()
