"""Stands in for a container engine and for kind, where no engine can run: scripts on a PATH.

They write down what they are told, and answer what the real ones would. A cluster of this kind is
a kubeconfig that is handed out. Read what is tested with them as: the decisions are right, and so
are the command lines; that kind makes a cluster of these is not shown.
"""

import json
import os
import sys
from pathlib import Path

_SCRIPT = """#!{python} -IS
import json, pathlib, sys, time
folder, name, told = pathlib.Path({folder!r}), {name!r}, sys.argv[1:]
with (folder / "told").open("a") as file:
    file.write(json.dumps([name, *told]) + "\\n")
wishes = json.loads((folder / "wishes.json").read_text())
for start, wish in wishes.items():
    if " ".join([name, *told]).startswith(start):
        time.sleep(wish.get("seconds", 0))
        sys.stdout.write(wish.get("instead", ""))
        sys.stderr.write(wish.get("error", ""))
        if "error" in wish or "instead" in wish:
            sys.exit(1 if "error" in wish else 0)
clusters = folder / "clusters"
made = clusters.read_text().split() if clusters.exists() else []
named = told[told.index("--name") + 1] if "--name" in told else ""
options = dict(part.split("=", 1) for part in told if part.startswith("--") and "=" in part)
match [name, *told[:2]]:
    case ["kind", "get", "clusters"]:
        print(*made, sep="\\n")
    case ["kind", "get", "kubeconfig"]:
        print((folder / "kubeconfig").read_text())
    case ["kind", "create", "cluster"]:
        clusters.write_text(" ".join([*made, named]))
        pathlib.Path(options["--kubeconfig"]).write_text((folder / "kubeconfig").read_text())
    case ["kind", "delete", "cluster"]:
        clusters.write_text(" ".join(each for each in made if each != named))
    case [_, "image", "inspect"]:
        print({identity!r})
    case [_, "save", "--output"]:
        pathlib.Path(told[2]).touch()
    case [_, "-v", *_]:
        print("Docker version 28.2.2, build e6534b4")
    case [_, "info", "--format"] if "json" in told[2]:
        print(json.dumps({info!r} if "json ." in told[2] else []))
    case [_, "info", "--format"]:
        print("28.2.2")
"""

IDENTITY = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
TAG = "0123456789ab"

_INFO = {
    "CgroupVersion": "2",
    "MemoryLimit": True,
    "PidsLimit": True,
    "CPUShares": True,
    "SecurityOptions": [],
}


class StandIn:
    """A folder with the clients; `wish` has a command fail, wait or say something."""

    def __init__(self, folder: Path, *names: str, kubeconfig: Path | None = None) -> None:
        self._folder = folder
        self._wishes: dict[str, dict[str, object]] = {}
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        for name in names:
            script = self.bin / name
            script.write_text(
                _SCRIPT.format(
                    python=sys.executable,
                    folder=str(folder),
                    name=name,
                    identity=IDENTITY,
                    info=_INFO,
                )
            )
            script.chmod(0o755)
        self._write_wishes()
        text = kubeconfig.read_text() if kubeconfig else "{}"
        (folder / "kubeconfig").write_text(text)

    @property
    def path(self) -> str:
        """A PATH on which these clients are, and of the machine's own only what is in /bin."""
        return f"{self.bin}{os.pathsep}{os.defpath}"

    def wish(self, start: str, **wish: object) -> None:
        """Say what commands that begin so do: `seconds`, `instead` (all they print), `error`."""
        self._wishes[start] = wish
        self._write_wishes()

    def forget_wishes(self) -> None:
        self._wishes.clear()
        self._write_wishes()

    def told(self, *start: str) -> list[list[str]]:
        """What the clients were told, in order; only what begins so."""
        file = self._folder / "told"
        lines = file.read_text().splitlines() if file.exists() else []
        told = [json.loads(line) for line in lines]
        return [words for words in told if words[: len(start)] == list(start)]

    @property
    def clusters(self) -> list[str]:
        file = self._folder / "clusters"
        return file.read_text().split() if file.exists() else []

    def has_cluster(self, name: str) -> None:
        """Let there be a cluster that somebody else made."""
        (self._folder / "clusters").write_text(" ".join([*self.clusters, name]))

    def _write_wishes(self) -> None:
        new = self._folder / "wishes.new"
        new.write_text(json.dumps(self._wishes))
        new.replace(self._folder / "wishes.json")
