"""The certificates that a server's must chain to, as a file: libpq takes nothing else."""

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keyturn.domain.errors import TargetUnavailableError


@contextmanager
def authority_file(authority: bytes) -> Iterator[str]:
    """Give the path of a file in memory that holds the certificates (PEM), and nothing on a disk.

    None given: those that the system trusts. libpq's own `sslrootcert=system` is not used, as
    the OpenSSL in psycopg's binary package looks where it was built.
    """
    certificates = authority or _system_authorities()
    descriptor = os.memfd_create("keyturn-authority", os.MFD_CLOEXEC)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(certificates)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _system_authorities() -> bytes:
    paths = ssl.get_default_verify_paths()
    if paths.cafile:
        return Path(paths.cafile).read_bytes()
    found = sorted(Path(paths.capath).glob("*.pem")) if paths.capath else []
    if not found:
        raise TargetUnavailableError(
            "the system trusts no authority; name the server's by caRef in the Rotator"
        )
    return b"\n".join(path.read_bytes() for path in found)
