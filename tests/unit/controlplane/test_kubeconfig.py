"""Kubeconfigs hold what is needed, are private, and overwrite nobody's."""

import stat
from pathlib import Path

import pytest
import yaml

from keyturn_controlplane import kubeconfig
from keyturn_controlplane.errors import ControlPlaneError


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    ca_file = tmp_path / "ca.crt"
    ca_file.write_text("certificate")
    return kubeconfig.write_for_token(tmp_path / "ours", "https://127.0.0.1:1", ca_file, "token")


def test_it_is_yaml_that_names_the_server_and_its_authority(ours: Path) -> None:
    document = yaml.safe_load(ours.read_text())

    assert document["clusters"][0]["cluster"] == {
        "server": "https://127.0.0.1:1",
        "certificate-authority-data": "Y2VydGlmaWNhdGU=",
    }


def test_nobody_but_the_owner_may_read_it(ours: Path) -> None:
    assert stat.S_IMODE(ours.stat().st_mode) == 0o600


def test_it_is_published_privately_where_it_was_asked_for(ours: Path, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "config"

    kubeconfig.publish(ours, target)

    assert target.read_bytes() == ours.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_one_that_an_earlier_run_left_is_overwritten(ours: Path, tmp_path: Path) -> None:
    target = tmp_path / "config"
    kubeconfig.publish(ours, target)

    kubeconfig.publish(ours, target)

    assert target.read_bytes() == ours.read_bytes()


@pytest.mark.parametrize(
    "content", ["kind: Config\n", '{"clusters": [{"name": "prod"}]}', "[]", ""]
)
def test_a_file_of_the_user_is_not_overwritten(ours: Path, tmp_path: Path, content: str) -> None:
    target = tmp_path / "config"
    target.write_text(content)

    with pytest.raises(ControlPlaneError, match="not of a control plane of Keyturn"):
        kubeconfig.publish(ours, target)

    assert target.read_text() == content
