"""Files that only their owner may read."""

import os
from pathlib import Path


def write_private(path: Path, content: bytes | str) -> Path:
    """Write a file of mode 0600 in one step: it is whole or absent, and never open to others.

    Returns:
        The path, for the caller to hand on.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    temporary.replace(path)
    return path
