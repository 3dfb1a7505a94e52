"""Which engine is taken, which clusters are made and removed; with stand-ins for both."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from engine_stand_in import StandIn
from keyturn_controlplane.binaries import ASSETS
from keyturn_controlplane.build import MODULE
from keyturn_controlplane.errors import EngineMissingError, KindError
from keyturn_controlplane.kind.clusters import Kind
from keyturn_controlplane.kind.engine import (
    PROVIDER,
    Engine,
    engine_for_demo,
    find_engine,
    require_engine,
)
from keyturn_controlplane.progress import Reporter

ROOT = MODULE.parent


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path / "stand-in", "docker", "podman", "kind")


@pytest.fixture
def kind(stand_in: StandIn) -> Kind:
    return kind_of(stand_in)


def kind_of(stand_in: StandIn, **environ: str) -> Kind:
    quiet = Reporter(Console(file=io.StringIO()))
    engine = Engine("docker", stand_in.bin / "docker")
    return Kind.find(engine, ROOT, quiet, {"PATH": stand_in.path, **environ})


# The engine


def test_the_first_engine_in_the_order_of_kind_that_answers_is_taken(stand_in: StandIn) -> None:
    environ = {"PATH": stand_in.path}
    assert find_engine(environ) == Engine("docker", stand_in.bin / "docker")

    stand_in.wish("docker info", error="Cannot connect to the Docker daemon")

    assert find_engine(environ) == Engine("podman", stand_in.bin / "podman")


def test_a_client_that_names_no_version_of_an_engine_has_none(stand_in: StandIn) -> None:
    (stand_in.bin / "docker").write_text("#!/bin/sh\necho\n")

    assert find_engine({"PATH": stand_in.path}) == Engine("podman", stand_in.bin / "podman")


def test_an_engine_that_does_not_answer_in_time_is_none(
    stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyturn_controlplane.kind.engine.ANSWER_SECONDS", 0.5)
    stand_in.wish("docker info", seconds=60)
    stand_in.wish("podman info", seconds=60)

    assert find_engine({"PATH": stand_in.path}) is None


def test_the_engine_that_kind_was_told_to_use_is_asked_alone(stand_in: StandIn) -> None:
    environ = {"PATH": stand_in.path, PROVIDER: "podman"}

    assert find_engine(environ) == Engine("podman", stand_in.bin / "podman")
    stand_in.wish("podman info", error="no")
    assert find_engine(environ) is None
    assert stand_in.told("docker") == []


@pytest.mark.parametrize(
    ("names", "environ", "told"),
    [
        ((), {}, "none of docker, nerdctl, podman is on PATH"),
        (("docker",), {}, "docker info does not answer: start the engine"),
        (("docker",), {PROVIDER: "podman"}, f"{PROVIDER} is podman"),
    ],
    ids=["no client", "no engine", "another engine is asked for"],
)
def test_without_an_engine_it_is_said_what_is_missing_and_what_works(
    tmp_path: Path, names: tuple[str, ...], environ: dict[str, str], told: str
) -> None:
    stand_in = StandIn(tmp_path / "away", *names)
    stand_in.wish("docker info", error="Cannot connect to the Docker daemon")

    with pytest.raises(EngineMissingError) as caught:
        require_engine({"PATH": str(stand_in.bin), **environ})

    assert told in str(caught.value)
    assert "make demo" in str(caught.value)


def test_binaries_that_were_named_win_over_an_engine_that_answers(stand_in: StandIn) -> None:
    environ = {"PATH": stand_in.path}

    assert engine_for_demo(environ) == Engine("docker", stand_in.bin / "docker")
    assert engine_for_demo({**environ, ASSETS: "/opt/assets"}) is None


# Clusters


def test_a_cluster_is_made_of_the_file_in_the_checkout_and_leaves_the_users_kubeconfig_alone(
    stand_in: StandIn, tmp_path: Path
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kind = kind_of(
        stand_in, KUBECONFIG="/home/me/.kube/config", KIND_CLUSTER_NAME="mine", HELM_NAMESPACE="n"
    )

    kind.create("keyturn", kubeconfig)

    (told,) = stand_in.told("kind", "create")
    assert f"--config={ROOT / 'kind-config.yaml'}" in told
    assert f"--kubeconfig={kubeconfig}" in told
    assert kind.environ == {"PATH": stand_in.path, PROVIDER: "docker"}


def test_a_cluster_that_did_not_become_whole_is_removed(
    stand_in: StandIn, kind: Kind, tmp_path: Path
) -> None:
    stand_in.wish("kind create", error="failed to init node with kubeadm")

    with pytest.raises(KindError, match="failed to init node with kubeadm"):
        kind.create("keyturn", tmp_path / "kubeconfig")

    (told,) = stand_in.told("kind", "delete")
    assert told[3:5] == ["--name", "keyturn"]


def test_a_cluster_of_somebody_else_is_neither_made_nor_removed(
    stand_in: StandIn, kind: Kind, tmp_path: Path
) -> None:
    stand_in.has_cluster("theirs")

    with pytest.raises(KindError, match="there already"):
        kind.create("theirs", tmp_path / "kubeconfig")

    assert stand_in.clusters == ["theirs"]
    assert stand_in.told("kind", "delete") == []


def test_an_interrupt_removes_what_was_made_of_a_cluster(stand_in: StandIn, tmp_path: Path) -> None:
    stand_in.wish("kind create", seconds=60)
    program = (
        "import sys, pathlib\n"
        "from keyturn_controlplane.kind.clusters import Kind\n"
        "from keyturn_controlplane.kind.engine import find_engine\n"
        "from keyturn_controlplane.progress import Reporter\n"
        f"kind = Kind.find(find_engine(), pathlib.Path({str(ROOT)!r}), Reporter())\n"
        f"kind.create('keyturn', pathlib.Path({str(tmp_path / 'kubeconfig')!r}))\n"
    )
    environ = {"PATH": stand_in.path, "PYTHONPATH": str(MODULE)}
    run = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environ,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 20
        while not stand_in.told("kind", "create"):
            assert time.monotonic() < deadline
            time.sleep(0.02)

        os.killpg(run.pid, signal.SIGINT)

        assert run.wait(20) != 0
    finally:
        run.kill()
        run.wait()
    assert [words[3:5] for words in stand_in.told("kind", "delete")] == [["--name", "keyturn"]]
