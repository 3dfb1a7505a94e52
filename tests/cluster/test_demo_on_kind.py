"""The demo where a container engine answers.

No engine can run here. So a stand-in answers, and the cluster that "kind" makes is a real control
plane of ours: shown are the way there and back, not that kind makes a cluster.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.demonstrating import DemoProcess
from engine_stand_in import StandIn
from keyturn_controlplane.binaries import ASSETS, Binaries
from keyturn_controlplane.cluster import ControlPlane


@pytest.fixture(scope="module")
def plane(binaries: Binaries) -> Iterator[ControlPlane]:
    with ControlPlane(binaries) as plane:
        yield plane


@pytest.fixture
def stand_in(binaries: Binaries, plane: ControlPlane, tmp_path: Path) -> StandIn:
    stand_in = StandIn(tmp_path / "stand-in", "docker", "kind", kubeconfig=plane.kubeconfig)
    (stand_in.bin / "kubectl").symlink_to(binaries.kubectl)
    return stand_in


def start(binaries: Binaries, folder: Path, stand_in: StandIn, *arguments: str) -> DemoProcess:
    environment = {"PATH": stand_in.path, ASSETS: ""}
    return DemoProcess(binaries, folder, *arguments, environment=environment)


def test_it_plays_on_a_cluster_of_its_own_and_removes_that(
    binaries: Binaries, tmp_path: Path, stand_in: StandIn
) -> None:
    stand_in.has_cluster("keyturn")
    demo = start(binaries, tmp_path, stand_in)

    assert demo.finish() == 0, demo.seen

    assert "1. A cluster of kind" in demo.seen
    assert "Version 1 is Current again" in demo.seen
    (made,) = stand_in.told("kind", "create")
    (removed,) = stand_in.told("kind", "delete")
    assert re.fullmatch(r"keyturn-demo-\d+", made[4])
    assert removed[3:5] == made[3:5]
    assert stand_in.clusters == ["keyturn"]
    assert demo.traces() == []


def test_an_interrupt_while_kind_is_at_work_removes_the_cluster(
    binaries: Binaries, tmp_path: Path, stand_in: StandIn
) -> None:
    stand_in.wish("kind create", seconds=60)
    demo = start(binaries, tmp_path, stand_in)
    demo.expect("Making the cluster keyturn-demo-")

    demo.interrupt()

    assert demo.finish() == 130
    assert len(stand_in.told("kind", "delete")) == 1
    assert demo.traces() == []


def test_a_refusal_of_kind_is_shown(binaries: Binaries, tmp_path: Path, stand_in: StandIn) -> None:
    stand_in.wish("kind create", error="ERROR: failed to create cluster: no space left")
    demo = start(binaries, tmp_path, stand_in)

    assert demo.finish() == 1

    assert 'the demo failed at "1. A cluster of kind"' in demo.seen
    assert "no space left" in demo.seen
    assert demo.traces() == []


def test_without_an_engine_it_builds_its_control_plane(
    binaries: Binaries, tmp_path: Path, stand_in: StandIn
) -> None:
    stand_in.wish("docker info", error="Cannot connect to the Docker daemon")
    demo = start(binaries, tmp_path, stand_in)
    demo.expect("1. A real control plane")

    demo.interrupt()

    assert demo.finish() == 130
    assert stand_in.told("kind") == []
    assert demo.traces() == []
