"""Small programs of the Go module in controlplane/, which ask libraries that only Go has.

They are built as the binaries of the control plane are, so that Go's cache has most of it.
"""

import os
import subprocess
from functools import cache
from pathlib import Path

from keyturn_controlplane.build import MODULE, Builder
from keyturn_controlplane.progress import Reporter

_ENVIRONMENT = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
_BUILD_SECONDS = 900


@cache
def build_program(name: str) -> Path:
    """Build controlplane/<name> and return the binary; what Go's cache has takes a second."""
    builder = Builder.create(os.environ, Reporter())
    builder.go.install(os.environ, Reporter())
    target = builder.folder / "programs" / name
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{name}.{os.getpid()}")
    output = ["-o", str(temporary), f"./{name}"]
    command = [str(builder.go.binary), "build", *builder.flags, *output]
    environ = {**os.environ, **_ENVIRONMENT}
    subprocess.run(command, cwd=MODULE, env=environ, check=True, timeout=_BUILD_SECONDS)
    temporary.replace(target)
    return target
