"""What the command line says before it starts anything."""

import os
import subprocess
import sys

from keyturn_controlplane.build import MODULE

AS_A_USER = """
import os, sys
os.geteuid = lambda: 1000
from keyturn_controlplane.__main__ import main
sys.exit(main(["run", "--with-node"]))
"""


def test_without_root_it_says_that_a_node_needs_it() -> None:
    run = subprocess.run(
        [sys.executable, "-c", AS_A_USER],
        env={"PYTHONPATH": str(MODULE), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 1
    assert run.stderr == "error: a node needs root, for namespaces, mounts and cgroups\n"
