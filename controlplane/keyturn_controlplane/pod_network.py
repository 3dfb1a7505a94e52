"""The network plugin of a node: how a pod that has a network of its own talks to this machine.

containerd runs it as the CNI says, with the command in the environment and the configuration on
its standard input. Nothing of the machine's own network is changed: no bridge, no NAT, no
forwarding. All that it makes is a pair of devices and their routes, which go with the pod.

::

    pod                                        this machine
    eth0 100.N.M.x ──────── veth ────────────  169.254.1.1   route to 100.N.M.x

The addresses 127.N.M.0/24 are the machine's loopback in the eyes of the pod, too: the apiserver
answers there, and a test's servers can. Pods do not reach each other, or the world.
It is a script with nothing but the standard library.
"""

import ctypes
import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

GATEWAY = "169.254.1.1"
"""The machine, for each pod at its own end; an address of the link, the same for all."""

VERSION = "1.0.0"

_INIT = 1
"""A process that is never in the network of a pod: the one that this runs under."""

_CLONE_NEWNET = 0x40000000
_ERROR = 100

_libc = ctypes.CDLL(None, use_errno=True)


def main(environ: Mapping[str, str] = os.environ) -> int:
    try:
        config = json.load(sys.stdin)
        match environ["CNI_COMMAND"]:
            case "ADD":
                answer = add(config, environ)
            case "DEL":
                answer = delete(config, environ)
            case "VERSION":
                answer = {"supportedVersions": [VERSION]}
            case _:
                answer = {}
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        failed = {"cniVersion": VERSION, "code": _ERROR, "msg": str(error)}
        print(json.dumps(failed))
        return 1
    print(json.dumps({"cniVersion": VERSION, **answer}))
    return 0


def add(config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Give a pod its device, its address and its routes, and return the result of the CNI."""
    container, device, pod = (
        environ[name] for name in ("CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS")
    )
    address, peer = _take_address(config, container), _peer(container)
    with _within(pod):
        _ip(
            f"link add {device} type veth peer name {peer} netns {_INIT}",
            f"address add {address}/32 dev {device}",
            f"link set {device} up",
        )
        _route_loopback(device)
    _ip(f"address add {GATEWAY}/32 dev {peer}", f"link set {peer} up")
    _route_loopback(peer)
    _ip(f"route replace {address}/32 dev {peer} src {GATEWAY}")
    with _within(pod):
        via = f"via {GATEWAY} dev {device} src {address}"
        _ip(
            f"route add {GATEWAY} dev {device}",
            f"route add default {via}",
            f"route add {config['servers']} {via} table local",
        )
    return {
        "interfaces": [{"name": device, "sandbox": pod}],
        "ips": [{"address": f"{address}/32", "gateway": GATEWAY, "interface": 0}],
        "routes": [{"dst": "0.0.0.0/0", "gw": GATEWAY}],
        "dns": {},
    }


def delete(config: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Take a pod's address back; its device goes with its network, or is gone already."""
    container = environ["CNI_CONTAINERID"]
    subprocess.run(
        ["ip", "link", "delete", _peer(container)], stderr=subprocess.DEVNULL, check=False
    )
    for taken in Path(config["taken"]).glob("*"):
        if taken.read_text() == container:
            taken.unlink()
    return {}


def _take_address(config: Mapping[str, Any], container: str) -> str:
    """Take an address that no pod has; the file named like it says whose it is."""
    folder = Path(config["taken"])
    folder.mkdir(parents=True, exist_ok=True)
    for address in ipaddress.ip_network(config["pods"]).hosts():
        with suppress(FileExistsError), (folder / str(address)).open("x") as taken:
            taken.write(container)
            return str(address)
    raise OSError(f"all addresses of {config['pods']} are taken")


def _peer(container: str) -> str:
    return f"kt{container[:12]}"  # A name has at most 15 characters.


def _route_loopback(device: str) -> None:
    """Let addresses of loopback come and go by a device."""
    Path(f"/proc/sys/net/ipv4/conf/{device}/route_localnet").write_text("1")


def _ip(*commands: str) -> None:
    batch: Sequence[str] = ("ip", "-batch", "-")
    subprocess.run(batch, input="\n".join(commands), capture_output=True, text=True, check=True)


@contextmanager
def _within(namespace: str) -> Iterator[None]:
    """Be in the network namespace of a pod for the length of a `with`."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY)
    there = os.open(namespace, os.O_RDONLY)
    try:
        _enter(there)
        yield
    finally:
        _enter(home)
        os.close(home)
        os.close(there)


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "no such network namespace")


if __name__ == "__main__":
    sys.exit(main())
