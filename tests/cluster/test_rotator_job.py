"""The Job rotator on a real apiserver and Job controller, with the script of the example.

The pods are run by the stand-in of tests/servers/pod_runner.py; a real node takes its place later.
The Jobs are made by the operator's own identity, under the policies of rbac/.
"""

import asyncio
import base64
import json
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml

from apiserver import Answer, Apiserver, connected, core
from canary import Canary
from canary_scan import CanaryScan
from cluster.faults.life import token_of
from cluster.operating import eventually
from cluster.people import the_operator
from documents import document
from faulty_proxy import (
    Answers,
    FallsSilent,
    Fault,
    FaultyProxy,
    LosesReply,
    Resets,
    Says,
    requests,
)
from keyturn.domain.errors import (
    ClusterUnavailableError,
    InvalidParameterError,
    TargetLockedError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.domain.rotation_job import JobPod, JobResult, RotationJob
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.jobs import Jobs
from keyturn.rotators.interface import Credential, Rotator, Target
from keyturn.rotators.job.rotator import JobRotator
from keyturn.testing.rotators import SECRET, RotatorContract, Site, order_of
from keyturn_controlplane.binaries import Binaries
from keyturn_controlplane.cluster import ControlPlane
from keyturn_controlplane.components import CONTROLLERS
from servers import wiki
from servers.pod_runner import PodRunner
from servers.wiki import Wiki

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "rotate-with-a-script"
NAMESPACE = "keyturn-jobs"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
FOR_JOBS = ("job-controller", "ttl-after-finished-controller")
NAME = f"rotation-{SECRET}"


@dataclass
class Place:
    """A control plane where Jobs run."""

    control_plane: ControlPlane
    apiserver: Apiserver
    kubeconfig: Path
    pods: PodRunner

    def secrets(self) -> list[str]:
        items = self.apiserver.request("GET", core("secrets", NAMESPACE)).body["items"]
        return [item["metadata"]["name"] for item in items]

    def owners(self) -> list[str]:
        """The Jobs that own the Secrets."""
        items = self.apiserver.request("GET", core("secrets", NAMESPACE)).body["items"]
        return [owner["name"] for item in items for owner in item["metadata"]["ownerReferences"]]

    def job(self, name: str = NAME) -> Answer:
        return self.apiserver.request("GET", f"{JOBS}/{name}")


@pytest.fixture(scope="module")
def place(
    binaries: Binaries, canary_scan: CanaryScan, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    with ControlPlane(
        binaries, crds=[ROOT / "crds"], controllers=(*CONTROLLERS, *FOR_JOBS)
    ) as control_plane:
        control_plane.kubectl("apply", "--server-side", "-f", str(ROOT / "rbac"))
        control_plane.kubectl(
            *("create", "configmap", "rotate-wiki", "-n", NAMESPACE),
            *("--from-file", str(EXAMPLE / "rotate.py")),
        )
        with the_operator(control_plane) as operator:
            eventually(lambda: is_caged(operator), what="the cage is enforced")
        kubeconfig = control_plane.kubeconfig_for_service_account("keyturn-system", "keyturn")
        pods = PodRunner(control_plane.kubeconfig, tmp_path_factory.mktemp("pods") / "node")
        with (
            connected(control_plane.kubeconfig) as apiserver,
            canary_scan.watching(control_plane),
            pods.running(),
        ):
            yield Place(control_plane, apiserver, kubeconfig, pods)


def is_caged(operator: Apiserver) -> bool:
    unmarked = {"metadata": {"name": "unmarked"}}
    answer = operator.request("POST", core("secrets", NAMESPACE), unmarked, dryRun="All")
    return "ValidatingAdmissionPolicy 'keyturn-cage'" in answer.message


@pytest.fixture(autouse=True)
def clean(place: Place) -> Iterator[None]:
    """Nothing is left of a test's Jobs, and nothing of their Secrets."""
    yield
    for item in place.apiserver.request("GET", JOBS).body["items"]:
        name = item["metadata"]["name"]
        place.apiserver.request("DELETE", f"{JOBS}/{name}", propagationPolicy="Background")
    eventually(lambda: place.secrets() == [], what="no Secret of a Job is left")


@pytest.fixture
async def jobs(place: Place) -> AsyncIterator[Jobs]:
    async with KubeClient(Connection(place.kubeconfig)) as kube:
        yield Jobs(kube)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Wiki]:
    with wiki.serving(tmp_path) as server:
        yield server


def parameters(url: str) -> dict[str, Any]:
    """Take the parameters of the example, for the wiki of the test."""
    _, rotator = yaml.safe_load_all((EXAMPLE / "resources.yaml").read_text())
    written: dict[str, Any] = rotator["spec"]["job"]
    return {**written, "args": [url, "/keyturn"]}


def admin() -> dict[str, SecretValue]:
    user, password = wiki.ADMIN
    return {"username": SecretValue(user.encode()), "password": SecretValue(password.encode())}


class WikiSite:
    """The users of the wiki, made without the rotator."""

    def __init__(self, server: Wiki) -> None:
        self._server = server

    async def born(self, strategy: Strategy) -> Credential:
        user, password = f"user_{secrets.token_hex(4)}", secrets.token_urlsafe(24)
        self._server.put(user, password)
        values = {"username": user, "password": password}
        return Credential(1, {name: SecretValue(v.encode()) for name, v in values.items()})

    def renewed(self, credential: Credential, version: int) -> Credential:
        password = SecretValue(secrets.token_urlsafe(24).encode())
        return Credential(version, {**credential.values, "password": password})

    def base_username(self, credential: Credential) -> str:
        return bytes(credential.values["username"].reveal()).decode()


class TestJob(RotatorContract):
    @pytest.fixture
    def rotator(self) -> Rotator:
        return JobRotator()

    @pytest.fixture
    def target(self, server: Wiki, jobs: Jobs) -> Target:
        return Target(parameters(server.url), admin=admin(), jobs=jobs)

    @pytest.fixture
    def unreachable(self, target: Target) -> Target:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        return replace(target, parameters=parameters(f"http://127.0.0.1:{port}"))

    @pytest.fixture
    def site(self, server: Wiki) -> Site:
        return WikiSite(server)


# What people write


def test_the_resources_of_the_example_are_taken(place: Place) -> None:
    applied = place.control_plane.kubectl(
        *("apply", "--dry-run=server", "-n", "default", "-f", "-"),
        input=(EXAMPLE / "resources.yaml").read_text().replace("namespace: shop", ""),
    )

    assert applied.stdout.count("created") == 2


@pytest.mark.parametrize("page", ["rotators-job", "rotators-webhook", "write-a-rotator"])
def test_the_rotator_of_a_page_is_taken(place: Place, page: str) -> None:
    (manifest,) = document(f"docs/{page}.md").manifests()
    path = "/apis/keyturn.dev/v1alpha1/namespaces/default/rotators"
    manifest["metadata"]["namespace"] = "default"

    answer = place.apiserver.request("POST", path, manifest, dryRun="All")

    assert answer.is_ok, answer.message


# What a Job is given, and what it is not


def a_job(*command: str, act: str = "a", deadline: int = 60, **files: bytes) -> RotationJob:
    return RotationJob(
        SECRET,
        "set",
        act,
        JobPod("image", command, deadline=deadline),
        b'{"step": "set"}',
        {path.replace("__", "/"): SecretValue(value) for path, value in files.items()},
    )


def shell(script: str, **given: Any) -> RotationJob:
    return a_job("sh", "-c", script, "sh", "/keyturn", **given)


async def test_the_values_are_in_files_and_nowhere_else(
    place: Place, jobs: Jobs, canary: Canary, tmp_path: Path
) -> None:
    awkward, plain, binary = canary.make_awkward(), canary.make(), bytes(range(256))
    job = shell(
        f"cp -R $1/. {tmp_path}/",
        pending__password=awkward,
        kept__1__password=plain,
        admin__key=binary,
    )
    before = len(place.pods.specs)

    assert await jobs.run(job) is JobResult.DONE

    assert (tmp_path / "pending" / "password").read_bytes() == awkward
    assert (tmp_path / "kept" / "1" / "password").read_bytes() == plain
    assert (tmp_path / "admin" / "key").read_bytes() == binary
    assert json.loads((tmp_path / "request.json").read_text()) == {"step": "set"}
    # The search for the values of the run looks here too, at its end.
    shutil.rmtree(tmp_path)
    (spec,) = place.pods.specs[before:]
    events = place.apiserver.request("GET", f"/apis/events.k8s.io/v1/namespaces/{NAMESPACE}/events")
    shown = json.dumps([spec, place.job().body, events.body])
    assert canary.scan_text(shown) == []
    assert base64.b64encode(binary).decode() not in shown
    assert place.secrets() == []


async def test_the_pod_has_no_rights(place: Place, jobs: Jobs) -> None:
    before = len(place.pods.specs)
    await jobs.run(shell("true"))
    (spec,) = place.pods.specs[before:]

    # The namespace enforces the Pod Security Standard `restricted`; this is what goes beyond it.
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    (container,) = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert all(m.get("readOnly") for m in container["volumeMounts"] if m["name"] != "scratch")
    (scratch,) = (v for v in spec["volumes"] if v["name"] == "scratch")
    assert scratch["emptyDir"]["medium"] == "Memory"


async def test_no_two_steps_mount_a_secret_of_one_name(place: Place, jobs: Jobs) -> None:
    before = len(place.pods.specs)

    await jobs.run(shell("true", act="a"))
    await jobs.run(shell("true", act="b"))

    mounted = [spec["volumes"][0]["secret"]["secretName"] for spec in place.pods.specs[before:]]
    assert len(mounted) == len(set(mounted)) == 2


async def test_each_parameter_of_the_pod_reaches_it(place: Place, jobs: Jobs, server: Wiki) -> None:
    written = {
        **parameters(server.url),
        "command": ["true"],
        "env": [{"name": "REGION", "value": "eu"}],
        "resources": {"limits": {"memory": "64Mi"}},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "serviceAccountName": "default",
        "imagePullSecrets": [{"name": "registry"}],
        "activeDeadlineSeconds": 30,
    }
    rotator, current = JobRotator(), await WikiSite(server).born(Strategy.SINGLE_USER)
    rotator.check(written)
    before = len(place.pods.specs)
    target = Target(written, admin=admin(), jobs=jobs)
    async with rotator.session(target, order_of(Strategy.SINGLE_USER, "", current)) as session:
        await session.set(current)

    (spec,) = place.pods.specs[before:]
    (container,) = spec["containers"]
    assert container["env"] == [{"name": "REGION", "value": "eu"}]
    assert container["resources"]["limits"] == {"memory": "64Mi"}
    assert spec["nodeSelector"] == {"kubernetes.io/os": "linux"}
    assert (spec["serviceAccountName"], spec["automountServiceAccountToken"]) == ("default", True)
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert place.job().body["spec"]["activeDeadlineSeconds"] == 30


# How a Job ends


@pytest.mark.parametrize(
    ("script", "result"),
    [
        ("exit 0", JobResult.DONE),
        ("exit 10", JobResult.REFUSED),
        ("exit 1", JobResult.FAILED),
        ("exit 11", JobResult.FAILED),
        ("kill -9 $$", JobResult.FAILED),
    ],
)
async def test_the_exit_code_is_the_result(
    place: Place, jobs: Jobs, script: str, result: JobResult
) -> None:
    assert await jobs.run(shell(script)) is result
    assert place.secrets() == []


async def test_a_job_that_takes_too_long_is_ended(place: Place, jobs: Jobs, tmp_path: Path) -> None:
    script = f"trap 'touch {tmp_path}/ended; exit 0' TERM; while true; do sleep 0.1; done"

    assert await jobs.run(shell(script, deadline=2)) is JobResult.TOO_LATE
    assert place.secrets() == []


async def test_what_a_refusal_means_depends_on_the_step(jobs: Jobs, server: Wiki) -> None:
    refusing = {**parameters(server.url), "command": ["sh", "-c", "exit 10"]}
    pending = await WikiSite(server).born(Strategy.SINGLE_USER)
    target = Target(refusing, jobs=jobs)
    order = order_of(Strategy.SINGLE_USER, "", pending)
    async with JobRotator().session(target, order) as session:
        assert not await session.accepts(pending)
        with pytest.raises(TargetRefusedError, match="exit code 10"):
            await session.set(pending)
        with pytest.raises(TargetRefusedError, match="exit code 10"):
            await session.retire(pending, [])


async def test_a_failure_says_where_its_log_is(jobs: Jobs, server: Wiki) -> None:
    failing = {**parameters(server.url), "command": ["sh", "-c", "exit 1"]}
    pending = await WikiSite(server).born(Strategy.SINGLE_USER)
    order = order_of(Strategy.SINGLE_USER, "", pending)
    async with JobRotator().session(Target(failing, jobs=jobs), order) as session:
        for act in (session.accepts, session.set):
            with pytest.raises(TargetUnavailableError, match=f"kubectl logs .* job/{NAME}"):
                await act(pending)


# Crashes

CRASHING = """
import asyncio, sys
from pathlib import Path
from cluster.test_rotator_job import shell
from keyturn.kube.client import KubeClient
from keyturn.kube.connection import Connection
from keyturn.kube.jobs import Jobs

async def main():
    async with KubeClient(Connection(Path(sys.argv[1]))) as kube:
        await Jobs(kube).run(shell(sys.argv[2], pending__password=b"x" * 32))

asyncio.run(main())
"""


def killed_while_running(place: Place, script: str, started: Path) -> None:
    """Begin a Job in a process of its own, and kill that -9 when the script runs."""
    command = [sys.executable, "-c", CRASHING, str(place.kubeconfig), script]
    environment = {"PYTHONPATH": ":".join(path for path in sys.path if path)}
    with subprocess.Popen(command, env=environment) as process:
        eventually(started.exists, what="the script runs")
        process.send_signal(signal.SIGKILL)


def counting(folder: Path) -> tuple[str, Path, Path]:
    """Make a script that counts its runs, and waits for a file before it ends."""
    runs, go = folder / "runs", folder / "go"
    return f"echo run >> {runs}; while ! test -e {go}; do sleep 0.05; done", runs, go


async def test_a_job_that_runs_already_is_waited_for_and_not_started_twice(
    place: Place, jobs: Jobs, tmp_path: Path
) -> None:
    script, runs, go = counting(tmp_path)
    await asyncio.to_thread(killed_while_running, place, script, runs)
    assert place.owners() == [NAME]

    async with asyncio.TaskGroup() as group:
        again = group.create_task(jobs.run(shell(script, pending__password=b"x" * 32)))
        await asyncio.sleep(1)
        go.touch()

    assert again.result() is JobResult.DONE
    assert runs.read_text().splitlines() == ["run"]
    assert place.secrets() == []


async def test_another_step_waits_for_a_job_that_runs(
    place: Place, jobs: Jobs, tmp_path: Path
) -> None:
    script, runs, go = counting(tmp_path)
    await asyncio.to_thread(killed_while_running, place, script, runs)

    with pytest.raises(TargetLockedError, match="still runs"):
        await jobs.run(shell("true", act="b"))
    assert place.owners() == [NAME]

    go.touch()
    eventually(lambda: "completionTime" in place.job().body["status"])
    assert await jobs.run(shell("true", act="b")) is JobResult.DONE


async def test_what_a_killed_operator_leaves_is_swept(
    place: Place, jobs: Jobs, tmp_path: Path
) -> None:
    script, runs, go = counting(tmp_path)
    await asyncio.to_thread(killed_while_running, place, script, runs)
    assert await jobs.sweep() == 0
    assert place.owners() == [NAME]

    go.touch()
    eventually(lambda: "completionTime" in place.job().body["status"])
    assert await jobs.sweep() == 1
    assert place.secrets() == []


async def test_a_secret_whose_job_was_deleted_goes_without_anybody(
    place: Place, tmp_path: Path
) -> None:
    script, runs, _ = counting(tmp_path)
    await asyncio.to_thread(killed_while_running, place, script, runs)

    place.apiserver.request("DELETE", f"{JOBS}/{NAME}", propagationPolicy="Background")

    eventually(lambda: place.secrets() == [], what="garbage collection takes the Secret")


async def test_a_job_that_somebody_deletes_is_no_answer(
    place: Place, jobs: Jobs, tmp_path: Path
) -> None:
    script, runs, _ = counting(tmp_path)

    async with asyncio.TaskGroup() as group:
        running = group.create_task(told(jobs, shell(script)))
        await asyncio.to_thread(eventually, runs.exists)
        place.apiserver.request("DELETE", f"{JOBS}/{NAME}", propagationPolicy="Background")

    assert running.result() == "the Job was deleted before it ended"
    assert place.secrets() == []


async def told(jobs: Jobs, job: RotationJob) -> str:
    try:
        await jobs.run(job)
    except TargetUnavailableError as error:
        return error.message
    return ""


async def test_who_stops_waiting_leaves_no_secret(place: Place, jobs: Jobs, tmp_path: Path) -> None:
    script, runs, _ = counting(tmp_path)
    task = asyncio.create_task(jobs.run(shell(script)))
    await asyncio.to_thread(eventually, runs.exists)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert place.secrets() == []


async def test_a_job_whose_end_never_comes_is_given_up(
    place: Place, jobs: Jobs, tmp_path: Path
) -> None:
    script, runs, go = counting(tmp_path)
    async with KubeClient(Connection(place.kubeconfig)) as kube:
        # As if the Job controller did not end it at its deadline: the wait is the shorter one.
        hasty = Jobs(kube, overtime=10 - 60)
        assert await told(hasty, shell(script, deadline=60)) == f"the Job {NAME} does not end"
    assert place.secrets() == []

    # It runs on, and who comes back waits for it.
    assert runs.exists()
    go.touch()
    assert await jobs.run(shell(script, deadline=60)) is JobResult.DONE


async def test_jobs_of_two_secrets_run_side_by_side(place: Place, jobs: Jobs) -> None:
    others = [replace(shell("sleep 0.2"), secret_id=uuid4()) for _ in range(4)]

    assert await asyncio.gather(*(jobs.run(job) for job in others)) == [JobResult.DONE] * 4


@pytest.mark.parametrize(
    "fault",
    [Says(b'{"type": "MODIF'), Resets(), Answers(500), FallsSilent()],
    ids=["cut", "reset", "500", "silent"],
)
async def test_a_broken_watch_is_opened_again(place: Place, tmp_path: Path, fault: Fault) -> None:
    script, runs, go = counting(tmp_path)
    control_plane, watches = place.control_plane, requests("watch", path="/jobs")
    with FaultyProxy(control_plane.url, control_plane.ca_file, tmp_path) as proxy:
        kubeconfig = proxy.kubeconfig(token_of(control_plane))
        async with KubeClient(Connection(kubeconfig)) as kube, asyncio.TaskGroup() as group:
            running = group.create_task(Jobs(kube, silence=1).run(shell(script)))
            await asyncio.to_thread(eventually, runs.exists)
            with proxy.failing(watches, fault):
                await asyncio.to_thread(eventually, lambda: proxy.befallen > 1)
            go.touch()

    assert running.result() is JobResult.DONE
    assert runs.read_text().splitlines() == ["run"]


async def test_a_creation_whose_reply_was_lost_is_no_second_job(
    place: Place, tmp_path: Path
) -> None:
    script, runs, go = counting(tmp_path)
    go.touch()
    control_plane, writes = place.control_plane, requests("write", path="/jobs")
    with FaultyProxy(control_plane.url, control_plane.ca_file, tmp_path) as proxy:
        kubeconfig = proxy.kubeconfig(token_of(control_plane))
        async with KubeClient(Connection(kubeconfig)) as kube:
            with proxy.failing(writes, LosesReply()), pytest.raises(ClusterUnavailableError):
                await Jobs(kube).run(shell(script))
            assert await Jobs(kube).run(shell(script)) is JobResult.DONE

    assert runs.read_text().splitlines() == ["run"]


# Refusals


async def test_what_the_cluster_refuses_is_said_with_its_field(jobs: Jobs, server: Wiki) -> None:
    unheard = {"image": "x", "resources": {"limits": {"memory": "much"}}}
    pending = await WikiSite(server).born(Strategy.SINGLE_USER)
    order = order_of(Strategy.SINGLE_USER, "", pending)
    async with JobRotator().session(Target(unheard, jobs=jobs), order) as session:
        with pytest.raises(TargetUnavailableError, match="cannot run: the apiserver refuses"):
            await session.set(pending)


async def test_without_a_cluster_there_are_no_jobs(server: Wiki) -> None:
    pending = await WikiSite(server).born(Strategy.SINGLE_USER)
    order = order_of(Strategy.SINGLE_USER, "", pending)
    with pytest.raises(TargetUnavailableError, match="running operator"):
        async with JobRotator().session(Target({"image": "x"}), order):
            pass


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image": None}, "image is missing"),
        ({"image": "a b"}, "image is not of the right form"),
        ({"command": "rotate"}, "command must be a list"),
        ({"command": [1]}, "command must be a list of texts"),
        ({"env": [{"name": "A=B", "value": ""}]}, "env[].name is not of the right form"),
        ({"env": [{"value": "x"}]}, "env[].name is missing"),
        ({"env": [{"name": "A"}, {"name": "A"}]}, "env has a name twice"),
        ({"env": [{"name": "A", "valueFrom": {}}]}, "env[].valueFrom is unknown"),
        ({"env": ["A"]}, "env[] must be an object of name, value"),
        ({"resources": {"claims": []}}, "resources.claims is unknown"),
        ({"resources": {"limits": {"memory": 1}}}, "resources.limits must be an object of texts"),
        ({"activeDeadlineSeconds": 0}, "activeDeadlineSeconds must be a whole number"),
        ({"serviceAccountName": "A"}, "serviceAccountName is not of the right form"),
        ({"imagePullSecrets": ["x"]}, "imagePullSecrets[] must be an object of name"),
        ({"imagePullSecrets": [{}]}, "imagePullSecrets[].name is missing"),
        ({"scriptConfigMap": "../x"}, "scriptConfigMap is not of the right form"),
        ({"issues": True}, "issues is unknown"),
    ],
)
def test_a_parameter_that_cannot_work_is_refused(changed: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError) as refused:
        JobRotator().check({**parameters("https://wiki.shop.svc"), **changed})

    assert message in refused.value.message
