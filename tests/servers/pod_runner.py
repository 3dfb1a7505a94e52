"""A stand-in for the kubelet, where no real node is needed.

It does with a pod of keyturn-jobs what a kubelet would, as far as a Job can see: it binds it, waits
until what its volumes name exists, writes their files into a folder of its own, runs the command
with the environment of the container, and reports the status; a pod that is deleted is ended with
SIGTERM, then SIGKILL. It knows no images, users, tokens or mount points: the command is looked for
on this machine and runs as who runs the tests, and where a word begins with a mount path, that of
the folder stands instead.
"""

import base64
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pykube

NAMESPACE: Final = "keyturn-jobs"
NODE: Final = "stand-in-for-a-node"

_PAUSE: Final = 0.05
_PATH: Final = "/usr/local/bin:/usr/bin:/bin"

Json = dict[str, Any]


class PodRunner:
    """Runs the pods of keyturn-jobs."""

    def __init__(self, kubeconfig: Path, folder: Path) -> None:
        self._kubeconfig = pykube.KubeConfig.from_file(str(kubeconfig))
        self._folder = folder
        self._stopping = threading.Event()
        self._threads: dict[str, threading.Thread] = {}
        self._deleted: set[str] = set()
        self.specs: list[Json] = []
        """The specifications of all pods that came."""

    @contextmanager
    def running(self) -> Iterator["PodRunner"]:
        """Run pods until the `with` ends; none runs afterwards."""
        self._folder.mkdir(parents=True)
        watcher = threading.Thread(target=self._watch, daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in [watcher, *self._threads.values()]:
                thread.join(timeout=10)
            shutil.rmtree(self._folder, ignore_errors=True)

    def _client(self) -> pykube.HTTPClient:
        api = pykube.HTTPClient(self._kubeconfig)
        # It would read the environment at each request, and pytest changes that meanwhile.
        api.session.trust_env = False
        return api

    def _watch(self) -> None:
        api = self._client()
        while not self._stopping.wait(_PAUSE):
            # By lists: the apiserver's watches have their own tests, and this one has to end soon.
            for pod in _request(api, "GET", "pods")["items"]:
                self._see(pod)
        api.session.close()

    def _see(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if "deletionTimestamp" in pod["metadata"]:
            self._deleted.add(uid)
        if uid not in self._threads and pod["status"]["phase"] == "Pending":
            self.specs.append(pod["spec"])
            thread = threading.Thread(target=self._run, args=(pod,), daemon=True)
            self._threads[uid] = thread
            thread.start()

    def _run(self, pod: Json) -> None:
        api = self._client()
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        folder = self._folder / uid
        try:
            binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": NODE}}
            _request(api, "POST", f"pods/{name}/binding", binding)
            mounts = self._mount(api, pod, folder)
            if mounts is not None:
                self._execute(api, pod, mounts)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if uid in self._deleted:
                at_once = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
                _request(api, "DELETE", f"pods/{name}", at_once)
            api.session.close()

    def _mount(self, api: pykube.HTTPClient, pod: Json, folder: Path) -> dict[str, Path] | None:
        """Write the volumes when all are there; None where the pod is deleted first."""
        folder.mkdir()
        volumes: dict[str, Path] = {}
        for volume in pod["spec"]["volumes"]:
            place = folder / volume["name"]
            while not _write(api, volume, place):
                if pod["metadata"]["uid"] in self._deleted or self._stopping.wait(_PAUSE):
                    return None
            volumes[volume["name"]] = place
        (container,) = pod["spec"]["containers"]
        return {m["mountPath"]: volumes[m["name"]] for m in container["volumeMounts"]}

    def _execute(self, api: pykube.HTTPClient, pod: Json, mounts: dict[str, Path]) -> None:
        (container,) = pod["spec"]["containers"]

        def here(word: str) -> str:
            for path, place in mounts.items():
                if word == path or word.startswith(f"{path}/"):
                    return str(place) + word.removeprefix(path)
            return word

        words = [here(word) for word in (*container["command"], *container.get("args", ()))]
        variables = {item["name"]: here(item.get("value", "")) for item in container.get("env", ())}
        process = subprocess.Popen(words, env={"PATH": _PATH, **variables}, cwd="/")
        self._report(api, pod, "Running", {"running": {}})
        while process.poll() is None:
            if pod["metadata"]["uid"] in self._deleted or self._stopping.is_set():
                process.send_signal(signal.SIGTERM)
                time.sleep(_PAUSE)
                process.kill()
                break
            time.sleep(_PAUSE)
        code = process.wait()
        terminated = {"exitCode": code if code >= 0 else 128 - code}
        phase = "Succeeded" if code == 0 else "Failed"
        if not self._stopping.is_set():
            self._report(api, pod, phase, {"terminated": terminated})

    @staticmethod
    def _report(api: pykube.HTTPClient, pod: Json, phase: str, state: Json) -> None:
        (container,) = pod["spec"]["containers"]
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": phase == "Running",
            "restartCount": 0,
            "state": state,
        }
        _request(
            api,
            "PATCH",
            f"pods/{pod['metadata']['name']}/status",
            {"status": {"phase": phase, "containerStatuses": [status]}},
        )


def _write(api: pykube.HTTPClient, volume: Json, place: Path) -> bool:
    """Write a volume; False if what it names is not there."""
    if "emptyDir" in volume or "projected" in volume:
        place.mkdir(exist_ok=True)
        return True
    if "secret" in volume:
        source, path = volume["secret"], f"secrets/{volume['secret']['secretName']}"
    else:
        source, path = volume["configMap"], f"configmaps/{volume['configMap']['name']}"
    found = _request(api, "GET", path)
    if not found:
        return False
    content = {name: text.encode() for name, text in found.get("data", {}).items()}
    if "secret" in volume:
        content = {name: base64.b64decode(data) for name, data in content.items()}
    for item in source.get("items") or [{"key": key, "path": key} for key in content]:
        file = place / item["path"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content[item["key"]])
        file.chmod(source["defaultMode"])
    return True


def _request(api: pykube.HTTPClient, method: str, path: str, body: Json | None = None) -> Json:
    """Send a request; what is not there, or is gone, answers with nothing."""
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    answer = api.session.request(
        method,
        f"{api.url.rstrip('/')}/api/v1/namespaces/{NAMESPACE}/{path}",
        data=None if body is None else json.dumps(body),
        headers={"Content-Type": kind},
        timeout=30,
    )
    if answer.status_code in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
        return {}
    answer.raise_for_status()
    found: Json = answer.json()
    return found
