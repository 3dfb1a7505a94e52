"""The end of a demo that is kept: how to use what runs on, and how to stop it."""

import os
import shutil
import sys
from pathlib import Path

from keyturn.cli.demo.cluster import NAMESPACE, Cluster
from keyturn.cli.demo.projecting import AWAITING
from keyturn.cli.demo.stage import Stage


def leave(stage: Stage, cluster: Cluster) -> None:
    """Let everything outlive the demo, and tell how to go on."""
    operator, left = stage.operator.detach(), cluster.detach()
    processes = " ".join(map(str, (operator, *left.processes)))
    stage.screen.leave(
        (
            "Everything keeps running. Copy this into a shell:",
            *(f"  {line}" for line in _variables(stage)),
            "and try, for example:",
            f"  kubectl get managedsecrets,secrets -n {NAMESPACE}",
            f"  keyturn history {AWAITING} -n {NAMESPACE}",
            f"  tail -f {stage.operator.log_file}",
            "This stops and removes it all:",
            *(f"  {line}" for line in (f"kill {processes}", *left.commands)),
        )
    )


def _variables(stage: Stage) -> list[str]:
    variables = {
        "KUBECONFIG": stage.kubectl.kubeconfig,
        "KEYTURN_SOCKET": stage.operator.socket,
        "KEYTURN_DATA_DIR": stage.operator.data_dir,
    }
    lines = [f"export {name}={value}" for name, value in variables.items()]
    programs = {"kubectl": stage.kubectl.binary.parent, "keyturn": Path(sys.executable).parent}
    missing = [str(folder) for name, folder in programs.items() if shutil.which(name) is None]
    if missing:
        lines.append(f'export PATH="{os.pathsep.join(missing)}:$PATH"')
    return lines
