"""A pod with a network of its own reaches the node's loopback, is reached, and leaves nothing."""

import json
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from keyturn_controlplane import pod_network
from keyturn_controlplane.addresses import ReservedAddresses

ASK = "import socket; print(socket.create_connection(('{}', {}), 5).recv(9).decode())"
SERVE = """
import socket
with socket.create_server(("{}", 8080)) as server:
    print("listening", flush=True)
    server.accept()[0].sendall(b"a pod")
"""


@dataclass
class Pod:
    """A network namespace, and the plugin as a container runtime calls it."""

    name: str
    config: dict[str, Any]

    def call(self, command: str) -> dict[str, Any]:
        environ = {
            "CNI_COMMAND": command,
            "CNI_CONTAINERID": self.name,
            "CNI_IFNAME": "eth0",
            "CNI_NETNS": f"/var/run/netns/{self.name}",
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        }
        said = subprocess.run(
            [sys.executable, "-I", "-S", pod_network.__file__],
            input=json.dumps(self.config),
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        answer: dict[str, Any] = json.loads(said.stdout)
        return answer

    def command(self, script: str) -> list[str]:
        return ["ip", "netns", "exec", self.name, sys.executable, "-c", script]


@pytest.fixture
def addresses() -> Iterator[ReservedAddresses]:
    with ReservedAddresses() as addresses:
        yield addresses


@pytest.fixture
def pods(addresses: ReservedAddresses, tmp_path: Path) -> Iterator[tuple[Pod, Pod]]:
    config = {
        "pods": addresses.pods,
        "servers": addresses.servers,
        "taken": str(tmp_path / "taken"),
    }
    made = tuple(Pod(secrets.token_hex(16), config) for _ in range(2))
    for pod in made:
        subprocess.run(["ip", "netns", "add", pod.name], check=True)
    yield made[0], made[1]
    for pod in made:
        subprocess.run(["ip", "netns", "delete", pod.name], check=True)


def address_of(answer: dict[str, Any]) -> str:
    (address,) = (each["address"].removesuffix("/32") for each in answer["ips"])
    return str(address)


def test_a_pod_reaches_what_listens_on_the_loopback_of_the_node(
    pods: tuple[Pod, Pod], addresses: ReservedAddresses
) -> None:
    pod, _ = pods
    pod.call("ADD")
    with socket.create_server((addresses.server, 0)) as server:
        asking = subprocess.Popen(
            pod.command(ASK.format(addresses.server, server.getsockname()[1])),
            stdout=subprocess.PIPE,
            text=True,
        )
        connection, (address, _) = server.accept()
        with connection:
            connection.sendall(b"the node")

    assert asking.communicate()[0] == "the node\n"
    assert address.startswith(addresses.pods.removesuffix("0/24"))


def test_a_pod_is_reached_by_its_address(pods: tuple[Pod, Pod]) -> None:
    pod, _ = pods
    address = address_of(pod.call("ADD"))
    with subprocess.Popen(pod.command(SERVE.format(address)), stdout=subprocess.PIPE) as serving:
        assert serving.stdout is not None
        assert serving.stdout.readline() == b"listening\n"

        with socket.create_connection((address, 8080), 5) as connection:
            assert connection.recv(9) == b"a pod"


def test_each_pod_has_an_address_of_its_own_until_it_is_gone(pods: tuple[Pod, Pod]) -> None:
    first, second = pods
    address, other = address_of(first.call("ADD")), address_of(second.call("ADD"))
    assert address != other

    first.call("DEL")
    first.call("DEL")  # A runtime that is not sure asks again.

    assert address_of(first.call("ADD")) == address


def test_nothing_of_a_pod_is_left_on_this_machine(pods: tuple[Pod, Pod], tmp_path: Path) -> None:
    forwarding = Path("/proc/sys/net/ipv4/ip_forward")
    before = forwarding.read_text()
    for pod in pods:
        pod.call("ADD")
        assert len(traces(pod)) >= 2
    assert forwarding.read_text() == before

    for pod in pods:
        pod.call("DEL")

    assert [traces(pod) for pod in pods] == [[], []]
    assert list((tmp_path / "taken").iterdir()) == []


def test_what_fails_is_told_as_the_cni_has_it(pods: tuple[Pod, Pod]) -> None:
    pod, _ = pods
    pod.call("ADD")

    answer = pod.call("ADD")

    assert answer["code"] == 100
    assert "ip" in answer["msg"]


def traces(pod: Pod) -> list[str]:
    """The devices and routes of this machine that are there for a pod."""
    said = [
        subprocess.run(["ip", *what], capture_output=True, text=True, check=True).stdout
        for what in (["-brief", "link"], ["route", "show", "table", "all"])
    ]
    lines = [line for part in said for line in part.splitlines()]
    network = pod.config["pods"].removesuffix("0/24")
    return [line for line in lines if pod_network._peer(pod.name) in line or network in line]
