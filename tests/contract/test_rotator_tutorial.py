"""The rotator of docs/write-a-rotator.md: taken from the page, installed, and run on a wiki."""

import importlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from documents import ROOT, document
from keyturn.domain.errors import InvalidParameterError

PAGE = document("docs/write-a-rotator.md")
SECONDS = 120

CONFTEST = """
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from servers import wiki as server
from servers.certificates import Authority
from servers.wiki import Wiki


@dataclass
class Served:
    url: str
    authority: bytes
    admin: tuple[str, str]
    put: object


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[Served]:
    authority = Authority.create(tmp_path)
    with server.serving(tmp_path, authority) as served:
        yield Served(served.url, authority.pem, server.ADMIN, served.put)
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a reader of the page would have."""
    folder = tmp_path_factory.mktemp("keyturn-rotator-wiki")
    source, test = PAGE.blocks("python")
    (project,) = PAGE.blocks("toml")
    for name, content in {
        "pyproject.toml": project,
        "keyturn_rotator_wiki.py": source,
        "test_wiki.py": test,
        "conftest.py": CONFTEST,
    }.items():
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def installed(package: Path) -> Path:
    """A folder where pip has installed the package, without what it depends on."""
    site = package / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    run([*pip, "--no-build-isolation", "--target", str(site), str(package)], cwd=package)
    return site


def run(command: list[str], *, cwd: Path, paths: tuple[Path, ...] = (), **variables: str) -> str:
    environment = {
        **variables,
        "PYTHONPATH": ":".join(map(str, paths)),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_suite_of_the_page_passes_with_the_package_installed(
    package: Path, installed: Path
) -> None:
    # Without the source beside it, so that what runs is what was installed.
    (package / "keyturn_rotator_wiki.py").rename(package / "read.py")
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    told = run(
        [*pytest_command, "-W", "error", "test_wiki.py"],
        cwd=package,
        paths=(installed, ROOT / "operator", ROOT / "tests"),
    )

    passed = re.search(r"(\d+) passed", told)
    assert passed is not None
    assert int(passed[1]) >= 18
    assert "skipped" not in told
    assert "failed" not in told


def test_mypy_and_ruff_have_nothing_to_say(package: Path, installed: Path) -> None:
    source, test = installed / "keyturn_rotator_wiki.py", package / "test_wiki.py"
    tools = Path(sys.executable).parent
    ruff, form = [str(tools / "ruff")], ["--isolated", "--line-length=100", str(source), str(test)]

    run([*ruff, "check", "--select=E,F,UP,B,ANN,RET,SIM,ASYNC", "--ignore=ANN401", *form], cwd=ROOT)
    run([*ruff, "format", "--check", *form], cwd=ROOT)
    # With the settings and the cache of this repository: a check of all that it imports is slow.
    run([str(tools / "mypy"), str(source)], cwd=ROOT, MYPYPATH=str(installed))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"url": "http://wiki.example.com"}, "must begin with https://"),
        ({"url": "https://10.0.0.1"}, "private address"),
        ({"url": "https://wiki.example.com", "network": "any"}, "network is not of the right form"),
    ],
)
def test_it_refuses_what_cannot_work(
    installed: Path,
    monkeypatch: pytest.MonkeyPatch,
    parameters: Mapping[str, str],
    message: str,
) -> None:
    monkeypatch.syspath_prepend(installed)
    rotator = importlib.import_module("keyturn_rotator_wiki").WikiRotator()

    with pytest.raises(InvalidParameterError, match=message):
        rotator.check(parameters)
