"""The operator's image: what is in it, what is not, and that the operator runs from it as a pod."""

import json
import os
import re
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from canary_scan import CanaryScan
from cluster.installing import installed
from cluster.operating import eventually
from keyturn import __version__
from keyturn_controlplane.binaries import Binaries, NodeBinaries
from keyturn_controlplane.cluster import ControlPlane
from node import operator_pods
from node.archives import ImageArchive, opened
from node.conftest import BUILD_IMAGE
from node.images import BUSYBOX, busybox_image
from node.operator_pods import DATA, IMAGE, POD, a_pod_of_the_image
from node.pods import Pods

ROOT = Path(__file__).parents[2]
USER = 65532
SBOM = "usr/share/keyturn/sbom.cdx.json"
SLEEP = ["python3", "-c", "import time; time.sleep(3600)"]
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"


@pytest.fixture(scope="module")
def image(operator_image: Path) -> Iterator[ImageArchive]:
    with opened(operator_image) as archive:
        yield archive


@pytest.fixture(scope="module")
def site(
    binaries: Binaries,
    node_binaries: NodeBinaries,
    canary_scan: CanaryScan,
    operator_image: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ControlPlane]:
    """A cluster with a node of its own: only one operator may run in one, and here it is a pod."""
    with installed(binaries, canary_scan, with_node=node_binaries) as control_plane:
        busybox = busybox_image().write(tmp_path_factory.mktemp("images") / "busybox.tar")
        for archive in (busybox, operator_image):
            control_plane.node.import_image(archive)
        for namespace in ("shop", "inspection"):
            control_plane.kubectl("create", "namespace", namespace)
        control_plane.kubectl("label", "namespace", "inspection", RESTRICTED)
        yield control_plane


@pytest.fixture(scope="module")
def inspection(site: ControlPlane) -> Pods:
    return Pods(site, "inspection")


@pytest.fixture(scope="module")
def inspect(inspection: Pods) -> Callable[[str], str]:
    """Run Python in a pod of the image, as its user, and return what it printed."""
    name = inspection.start(a_pod_of_the_image("inspected", command=SLEEP))
    return lambda program: inspection.exec(name, "python3", "-c", program)


# What it says of itself


def test_it_runs_the_operator_as_an_unprivileged_user(image: ImageArchive) -> None:
    assert image.config["User"] == f"{USER}:{USER}"
    assert image.config["Entrypoint"] == ["keyturn"]
    assert image.config["Cmd"] == ["run"]
    assert image.config["WorkingDir"] == DATA
    # What an image declares as a volume gets a new one with each container: a store would be lost.
    assert not image.config.get("Volumes")


def test_its_labels_are_those_of_the_open_container_initiative(image: ImageArchive) -> None:
    labels = image.config["Labels"]

    assert labels["org.opencontainers.image.title"] == "Keyturn"
    assert labels["org.opencontainers.image.version"] == __version__
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


# What is in it


def test_it_has_python_and_keyturn_and_no_other_program(image: ImageArchive) -> None:
    python = re.compile(r"(usr|opt/keyturn)/bin/python[\d.]*")
    others = {path for path in image.programs() if not python.fullmatch(path)}

    assert others == {"opt/keyturn/bin/keyturn", "opt/keyturn/bin/kubectl-keyturn"}
    assert image.executables() <= image.programs()


def test_no_file_gives_rights_to_whoever_runs_it(image: ImageArchive) -> None:
    assert [path for path, entry in image.files.items() if entry.mode & 0o6000] == []


def test_its_user_can_write_nothing_but_its_data_and_tmp(image: ImageArchive) -> None:
    writable = {
        path
        for path, entry in image.files.items()
        if not entry.issym() and (entry.mode & 0o002 or USER in (entry.uid, entry.gid))
    }

    assert writable == {"tmp", DATA.lstrip("/")}
    assert image.files["tmp"].mode & 0o7777 == 0o1777
    assert image.files[DATA.lstrip("/")].mode & 0o7777 == 0o700


def test_every_module_is_compiled_and_never_looked_at_again(image: ImageArchive) -> None:
    modules = [Path(p) for p in image.files if p.endswith(".py") and "/lib/python3" in p]
    version = version_of(image)
    compiled = {f"{m.parent}/__pycache__/{m.stem}.cpython-{version}.pyc" for m in modules}

    assert len(modules) > 1000
    assert compiled <= image.files.keys()
    # https://peps.python.org/pep-0552/: a hash of the source, which is not checked.
    assert {struct.unpack("<I", image.read(path)[4:8])[0] for path in compiled} == {1}


def test_certificates_are_those_of_debian_and_none_of_the_machine_it_was_built_on(
    image: ImageArchive,
) -> None:
    mozilla = sorted(path for path in image.files if path.startswith("usr/share/ca-certificates/m"))

    bundle = image.read("etc/ssl/certs/ca-certificates.crt")

    assert len(mozilla) > 100
    assert bundle == b"".join(image.read(path) for path in mozilla if path.endswith(".crt"))
    assert image.config["Env"][-1] == "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"


def test_nothing_of_the_build_is_left(image: ImageArchive) -> None:
    forbidden = re.compile(r"(^|/)(pip|setuptools|hatchling|pip\.conf|ca\.pem|apt|\.cache)(/|$)")

    assert [path for path in image.files if forbidden.search(path)] == []


def version_of(image: ImageArchive) -> str:
    (version,) = {m[1] for p in image.files if (m := re.fullmatch(r"usr/lib/python3\.(\d+)", p))}
    return f"3{version}"


# The list of what is in it


def test_the_list_names_every_package_with_its_version(
    image: ImageArchive, inspect: Callable[[str], str]
) -> None:
    installed_here = inspect(
        "from importlib.metadata import distributions\n"
        "for found in distributions(): print(found.name, found.version)"
    )
    python = {normalized(line) for line in installed_here.splitlines()}
    debian = {
        (field(image.read(path), "Package"), field(image.read(path), "Version"))
        for path in image.files
        if path.startswith("var/lib/dpkg/status.d/")
    }
    listed = json.loads(image.read(SBOM))["components"]

    assert {(c["name"], c["version"]) for c in listed if "pkg:pypi/" in c["purl"]} == python
    assert {(c["name"], c["version"]) for c in listed if "pkg:deb/" in c["purl"]} == debian
    assert {name for name, _ in debian} >= {"base-files", "libc6", "ca-certificates", "tzdata"}


def test_the_locked_packages_are_installed(image: ImageArchive) -> None:
    listed = {c["purl"] for c in json.loads(image.read(SBOM))["components"]}
    pinned = re.findall(
        r"^([\w.-]+)==(\S+) \\$", (ROOT / "requirements" / "runtime.lock").read_text(), re.MULTILINE
    )

    assert len(pinned) > 40
    assert {f"pkg:pypi/{name}@{version}" for name, version in pinned} <= listed


def test_the_list_names_what_wheels_brought_along(image: ImageArchive) -> None:
    components = json.loads(image.read(SBOM))["components"]
    brought = {c["name"]: {n["name"] for n in c.get("components", ())} for c in components}

    assert "openssl" in brought["cryptography"]
    assert "cyrus-sasl-lib" in brought["psycopg-binary"]


def normalized(line: str) -> tuple[str, str]:
    name, version = line.split()
    return re.sub(r"[-_.]+", "-", name).lower(), version


def field(control: bytes, name: str) -> str:
    found = re.search(rf"^{name}: (.+)$", control.decode(), re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_same_list_lies_beside_the_archive(operator_image: Path, image: ImageArchive) -> None:
    assert operator_image.with_suffix(".cdx.json").read_bytes() == image.read(SBOM)


def test_the_wheel_is_built_by_what_the_tests_were_run_with() -> None:
    def pins(path: str) -> dict[str, str]:
        text = (ROOT / path).read_text()
        return dict(re.findall(r"^([\w.-]+)(==(?:.|\n)*?)(?=\n    # via)", text, re.MULTILINE))

    assert pins("image/build.lock").items() <= pins("requirements/development.lock").items()


# As a pod, in the restricted level


def test_it_runs_on_a_root_that_nobody_can_write(inspection: Pods) -> None:
    inspection.apply(a_pod_of_the_image("version", args=["version"]))

    inspection.wait_phase("version", "Succeeded")
    assert f"keyturn:    {__version__}" in inspection.logs("version")


def test_every_module_in_c_finds_its_libraries(inspect: Callable[[str], str]) -> None:
    failed = inspect(LOAD_EVERYTHING)

    assert failed.splitlines()[1:] == []
    assert int(failed.splitlines()[0]) > 60


LOAD_EVERYTHING = """
import ctypes, os, pathlib, sysconfig
folders = [pathlib.Path(os.__file__).parent, pathlib.Path(sysconfig.get_path("platlib"))]
paths = [path for folder in folders for path in folder.rglob("*.so*")]
print(len(paths))
for path in paths:
    try:
        ctypes.PyDLL(path)
    except OSError as error:
        print(error)
"""


def test_time_zones_and_the_names_of_this_pod_are_known(inspect: Callable[[str], str]) -> None:
    said = inspect(
        "import os, pwd, socket, zoneinfo\n"
        "print(zoneinfo.ZoneInfo('Europe/Berlin').key, pwd.getpwuid(os.getuid()).pw_name,"
        " socket.gethostbyname('localhost'))"
    )

    assert said == "Europe/Berlin keyturn 127.0.0.1\n"


@pytest.fixture(scope="module")
def operator(site: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Pods:
    """The operator as a pod, ready, with its store on a volume."""
    pods = Pods(site, "keyturn-system")
    site.kubectl(
        *("apply", "--filename", "-"),
        input=json.dumps(operator_pods.a_volume(tmp_path_factory.mktemp("data"))),
    )
    pods.apply(operator_pods.an_operator())
    pods.wait_ready(POD, within=120)
    return pods


def test_the_operator_runs_in_a_namespace_that_enforces_restricted(
    site: ControlPlane, operator: Pods
) -> None:
    namespace = json.loads(site.kubectl("get", "ns", "keyturn-system", "-o", "json").stdout)

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    ids = operator.exec(POD, *python("import os; print(os.getuid(), os.getgid())"))
    assert ids == f"{USER} {USER}\n"


def test_only_the_operators_user_enters_the_folder_of_the_socket(operator: Pods) -> None:
    ask = f"import os; print(oct(os.stat('{DATA}/run').st_mode & 0o777))"

    # The kubelet opens the volume to the group, as fsGroup says.
    assert operator.exec(POD, *python(ask)) == "0o700\n"


def test_a_pod_that_is_deleted_comes_back_with_the_same_values(
    site: ControlPlane, operator: Pods
) -> None:
    shop = Pods(site, "shop")
    shop.apply(a_managed_secret("db"))
    made = value_of(shop, "db")
    pod = operator.get(POD)["metadata"]["uid"]

    operator.delete(POD)
    eventually(lambda: operator.get(POD).get("metadata", {}).get("uid", pod) != pod, within=60)
    operator.wait_ready(POD, within=120)
    shop.kubectl("delete", "secret", "db")

    # Only the store knows the value now.
    assert value_of(shop, "db") == made
    assert revealed(operator, "db") == made


def test_who_needs_a_shell_brings_one_along(operator: Pods) -> None:
    look = ("--", "ls", f"/proc/1/root{DATA}")
    own = ("--image", BUSYBOX, "--container", "shell", "--profile", "restricted")

    operator.kubectl("debug", POD, *own, "--target", "keyturn", *look)

    def said() -> str:
        return operator.kubectl("logs", POD, "--container", "shell", check=False)

    eventually(lambda: "store.sqlite3" in said(), within=60, what="the shell sees the store")


def test_the_plugin_of_kubectl_finds_the_operator(
    site: ControlPlane, operator: Pods, binaries: Binaries, tmp_path: Path
) -> None:
    shop = Pods(site, "shop")
    shop.apply(a_managed_secret("api"))
    made = value_of(shop, "api")

    said = subprocess.run(
        [
            *(sys.executable, "-c", "from keyturn.cli.kubectl import main; main()"),
            *("get", "api", "-n", "shop", "--reveal", "--key", "password"),
            *("--kubeconfig", str(site.kubeconfig)),
        ],
        env={
            "PATH": os.pathsep.join((str(binaries.kubectl.parent), os.defpath)),
            "HOME": str(tmp_path),
            "KEYTURN_SOCKET": str(tmp_path / "nobody.sock"),
        },
        capture_output=True,
        text=True,
        check=True,
    )

    assert said.stdout.strip() == made


def a_managed_secret(name: str) -> dict[str, Any]:
    password = {"key": "password", "generate": {"password": {"length": 32, "symbols": 0}}}
    return {
        "apiVersion": "keyturn.dev/v1alpha1",
        "kind": "ManagedSecret",
        "metadata": {"name": name},
        "spec": {"data": [password]},
    }


def value_of(pods: Pods, name: str) -> str:
    """Wait for a projected Secret and return its password."""
    password = "go-template={{.data.password|base64decode}}"
    ask = ("secret", name, "--ignore-not-found", "--output", password)
    eventually(lambda: bool(pods.kubectl("get", *ask).strip()), within=60, what=f"{name} is made")
    return pods.kubectl("get", *ask).strip()


def revealed(operator: Pods, name: str) -> str:
    shown = operator.exec(
        POD, "keyturn", "get", name, "-n", "shop", "--reveal", "--key", "password"
    )
    return shown.strip()


def python(program: str) -> list[str]:
    return ["python3", "-c", program]


# Building it


def test_what_is_built_already_is_not_built_again(operator_image: Path) -> None:
    again = subprocess.run([BUILD_IMAGE], capture_output=True, text=True, check=True)

    assert again.stdout.strip() == str(operator_image)
    assert again.stderr == ""


def test_the_image_has_the_name_that_the_chart_looks_for(site: ControlPlane) -> None:
    assert IMAGE in site.node.images()
