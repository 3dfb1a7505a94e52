import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio.config.config_exception import ConfigException

from keyturn.domain.errors import ClusterUnavailableError
from keyturn.kube.client import KubeClient, _parsed
from keyturn.kube.connection import Connection


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[KubeClient]:
    document = {
        "clusters": [{"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}],
        "users": [{"name": "a", "user": {"token": "of-nobody"}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "current-context": "a",
    }
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(document))
    async with KubeClient(Connection(path)) as kube:
        yield kube


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ConfigException("the file is empty"), id="empty"),
        pytest.param(FileNotFoundError(), id="missing"),
    ],
)
async def test_a_token_that_cannot_be_read_just_now_is_waited_for(
    error: Exception, kube: KubeClient
) -> None:
    def read_anew(_: Any) -> Any:
        raise error

    setattr(kube._configuration, "refresh_api_key_hook", read_anew)  # noqa: B010 - its type is that of None

    with pytest.raises(ClusterUnavailableError, match="token cannot be read"):
        await kube.request("GET", "/api")


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b'{"metadata":', id="cut off"),
        pytest.param(b"<html>", id="no JSON"),
        pytest.param(b"[]", id="no object"),
    ],
)
def test_an_answer_that_is_none_is_trouble_of_the_cluster(content: bytes) -> None:
    with pytest.raises(ClusterUnavailableError):
        _parsed(content)
