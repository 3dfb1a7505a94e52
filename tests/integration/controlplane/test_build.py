"""Binaries are built once per version, whole or not at all, by one run at a time.

A shell script stands for Go: what is tested is when it is called, and how.
"""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from keyturn_controlplane.binaries import find_or_build
from keyturn_controlplane.build import MODULE, PACKAGES, Builder
from keyturn_controlplane.errors import BinaryMissingError, BuildFailedError
from keyturn_controlplane.progress import Reporter

GO = """#!/bin/sh
if [ "$1" = env ]; then echo "${FAKE_VERSION:-go1.99.0}"; exit; fi
echo "$CGO_ENABLED $GOTOOLCHAIN [$GOFLAGS] $@" >> "$FAKE_LOG"
while [ "$1" != -o ]; do shift; done
echo half > "$2"
if [ -n "$FAKE_SLOW" ]; then sleep "$FAKE_SLOW"; fi
if [ -n "$FAKE_ERROR" ]; then echo "$FAKE_ERROR" >&2; exit 1; fi
echo "#!/bin/sh" > "$2"; chmod +x "$2"
"""

NAMES = {"etcd", "kubectl", "kube-apiserver", "kube-controller-manager"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment whose Go is the script, with a cache of its own."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    return {
        "PATH": f"{go.parent}:{os.defpath}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "FAKE_LOG": str(tmp_path / "calls"),
        "GOFLAGS": "-tags=surprise",
    }


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def reporter(said: io.StringIO) -> Reporter:
    return Reporter(Console(file=said, width=200))


def calls(environ: dict[str, str]) -> list[str]:
    log = Path(environ["FAKE_LOG"])
    return log.read_text().splitlines() if log.exists() else []


def test_all_four_are_built_into_the_cache(environ: dict[str, str], reporter: Reporter) -> None:
    binaries = find_or_build(environ, reporter)

    folder = binaries.etcd.parent
    assert folder.is_relative_to(environ["XDG_CACHE_HOME"])
    assert {path.name for path in folder.iterdir()} == NAMES | {".lock"}


def test_what_is_built_is_not_built_again(environ: dict[str, str], reporter: Reporter) -> None:
    find_or_build(environ, reporter)

    find_or_build(environ, reporter)

    assert len(calls(environ)) == len(NAMES)


def test_a_build_is_reproducible_whatever_the_user_set(
    environ: dict[str, str], reporter: Reporter
) -> None:
    find_or_build(environ, reporter)

    assert all(call.startswith("0 local [] build -trimpath ") for call in calls(environ))


def test_the_version_that_go_mod_names_is_stamped_on_the_binaries(
    environ: dict[str, str], reporter: Reporter, tmp_path: Path
) -> None:
    module = copy_of_module(tmp_path)
    go_mod = module / "go.mod"
    go_mod.write_text(go_mod.read_text().replace("k8s.io/kubernetes v1.", "k8s.io/kubernetes v8."))

    Builder.create(environ, reporter, module).build(["etcd"])

    assert "version.gitVersion=v8." in calls(environ)[0]


@pytest.mark.parametrize("file", ["go.mod", "go.sum"])
def test_a_changed_module_is_built_anew(
    environ: dict[str, str], reporter: Reporter, tmp_path: Path, file: str
) -> None:
    module = copy_of_module(tmp_path)
    before = Builder.create(environ, reporter, module).build(["etcd"])
    (module / file).write_text((module / file).read_text() + "\n// changed\n")

    after = Builder.create(environ, reporter, module).build(["etcd"])

    assert before != after


def test_another_version_of_go_builds_anew(environ: dict[str, str], reporter: Reporter) -> None:
    before = find_or_build(environ, reporter)

    after = find_or_build(environ | {"FAKE_VERSION": "go1.99.1"}, reporter)

    assert before != after


def test_a_failed_build_says_what_go_said(environ: dict[str, str], reporter: Reporter) -> None:
    environ["FAKE_ERROR"] = "no space left on device"

    with pytest.raises(BuildFailedError, match=r"etcd \(1 of 4\)(.|\n)*no space left on device"):
        find_or_build(environ, reporter)


def test_a_failed_build_leaves_nothing_that_could_be_taken_for_a_binary(
    environ: dict[str, str], reporter: Reporter
) -> None:
    with pytest.raises(BuildFailedError):
        find_or_build(environ | {"FAKE_ERROR": "broken"}, reporter)

    folder = Builder.create(environ, reporter).folder
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_an_interrupted_build_goes_on_where_it_was(
    environ: dict[str, str], reporter: Reporter
) -> None:
    Builder.create(environ, reporter).build(["etcd", "kubectl"])

    find_or_build(environ, reporter)

    assert len(calls(environ)) == len(NAMES)


def test_of_two_runs_one_builds_and_the_other_waits_and_says_so(
    environ: dict[str, str], reporter: Reporter, said: io.StringIO
) -> None:
    slow = environ | {"FAKE_SLOW": "1"}
    quiet = Reporter(Console(file=io.StringIO()))
    first = threading.Thread(target=find_or_build, args=(slow, quiet))
    first.start()
    wait_for_the_first_call(environ)

    find_or_build(environ, reporter)
    first.join()

    assert len(calls(environ)) == len(NAMES)
    assert said.getvalue() == "Another run builds the control plane: waiting for it\n"


def test_an_interrupt_stops_the_build(environ: dict[str, str]) -> None:
    environ |= {"FAKE_SLOW": "30", "PYTHONPATH": str(MODULE)}
    command = [sys.executable, "-m", "keyturn_controlplane", "build"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as run:
        try:
            wait_for_the_first_call(environ)
            run.send_signal(signal.SIGINT)

            assert run.wait(60) == 130
        finally:
            run.kill()

    files = [path.name for path in Path(environ["XDG_CACHE_HOME"]).rglob("*") if path.is_file()]
    assert files == [".lock"]


def test_the_tests_have_everything_built_that_go_mod_names(environ: dict[str, str]) -> None:
    command = [sys.executable, "-m", "keyturn_controlplane", "build", "--for-tests"]

    run = subprocess.run(
        command,
        env=environ | {"PYTHONPATH": str(MODULE)},
        capture_output=True,
        text=True,
        check=True,
    )

    built = {path.name for path in Path(run.stdout.strip()).iterdir()}
    assert built == set(PACKAGES) | {".lock"}
    assert {"kubelet", "containerd", "helm", "kind"} < built


def test_progress_names_each_binary_and_its_number(
    environ: dict[str, str], reporter: Reporter, said: io.StringIO
) -> None:
    find_or_build(environ, reporter)

    assert "kube-apiserver (3 of 4) ...\nkube-apiserver (3 of 4): 0 s\n" in said.getvalue()


def test_the_assets_folder_wins_over_the_cache(
    environ: dict[str, str], reporter: Reporter, tmp_path: Path
) -> None:
    assets = folder_of(tmp_path / "assets", NAMES)

    binaries = find_or_build(environ | {"KUBEBUILDER_ASSETS": str(assets)}, reporter)

    assert binaries.kube_apiserver == assets / "kube-apiserver"
    assert calls(environ) == []


def test_only_the_controller_manager_is_built_if_the_assets_lack_it(
    environ: dict[str, str], reporter: Reporter, tmp_path: Path
) -> None:
    assets = folder_of(tmp_path / "assets", NAMES - {"kube-controller-manager"})

    binaries = find_or_build(environ | {"KUBEBUILDER_ASSETS": str(assets)}, reporter)

    assert binaries.etcd == assets / "etcd"
    assert len(calls(environ)) == 1
    assert binaries.kube_controller_manager.is_relative_to(environ["XDG_CACHE_HOME"])


def test_assets_without_an_apiserver_are_refused_by_name(
    environ: dict[str, str], reporter: Reporter, tmp_path: Path
) -> None:
    assets = folder_of(tmp_path / "assets", {"etcd", "kubectl"})

    with pytest.raises(BinaryMissingError, match="no executable kube-apiserver is"):
        find_or_build(environ | {"KUBEBUILDER_ASSETS": str(assets)}, reporter)


def copy_of_module(tmp_path: Path) -> Path:
    module = tmp_path / "module"
    module.mkdir()
    for name in ("go.mod", "go.sum"):
        (module / name).write_bytes((MODULE / name).read_bytes())
    return module


def folder_of(folder: Path, names: set[str]) -> Path:
    folder.mkdir()
    for name in names:
        (folder / name).touch(mode=0o755)
    return folder


def wait_for_the_first_call(environ: dict[str, str]) -> None:
    deadline = time.monotonic() + 60
    while not calls(environ):
        assert time.monotonic() < deadline
        time.sleep(0.01)
