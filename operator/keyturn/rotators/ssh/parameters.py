"""The parameters of the SSH rotator."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncssh

from keyturn.rotators.parameters import Parameters
from keyturn.rotators.ssh.authorized_keys import is_options

DEFAULT_FILE = ".ssh/authorized_keys"
"""Where OpenSSH looks, from the home of the user on."""

ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""How a server may prove its host key, in the order that is asked for; SHA-1 is none of them."""

_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")
_HOST_KEY = re.compile(r"[ -~]{1,4096}")
_USER = re.compile(r"(?!-)[!-.0-9;-~]{1,64}")
# Neither "..", nor what sshd or a shell would expand.
_FILE = re.compile(r"(?!.*(?:^|/)\.\.(?:/|$))[^%~\x00-\x1f\x7f]{1,1023}[^%~/\x00-\x1f\x7f]")
_ANY_OPTIONS = re.compile(r"[ -~]{1,2048}")
_FIELDS = ("host", "port", "hostKeys", "user", "authorizedKeysFile", "options")


@dataclass(frozen=True, slots=True)
class HostKeys:
    """The only host keys that the server may have: whole ones, and fingerprints of others."""

    keys: tuple[asyncssh.SSHKey, ...]
    fingerprints: frozenset[str]

    @property
    def algorithms(self) -> Sequence[str]:
        """The algorithms to ask the server for; a fingerprint may be that of any of them."""
        if self.fingerprints:
            return ALGORITHMS
        known = {name.decode() for key in self.keys for name in key.sig_algorithms}
        return [name for name in ALGORITHMS if name in known]

    def hold(self, key: asyncssh.SSHKey) -> bool:
        """Tell whether a key that the server has is one of them."""
        return key in self.keys or key.get_fingerprint("sha256") in self.fingerprints


@dataclass(frozen=True, slots=True)
class SSHParameters:
    """Where the file is, and how to know its server; `file` is empty for that of the user."""

    host: str
    port: int
    host_keys: HostKeys
    user: str
    file: str
    options: str

    @classmethod
    def read(cls, written: Mapping[str, Any]) -> "SSHParameters":
        """Read the parameters.

        Raises:
            InvalidParameterError: one of them cannot work.
        """
        fields = Parameters(written, *_FIELDS)
        host = fields.text("host", _HOST, "host: files.example.com")
        if not host:
            raise fields.refusal("host", "is required; write for example host: files.example.com")
        return cls(
            host=host,
            port=fields.integer("port", least=1, most=65535, default=22),
            host_keys=_host_keys(fields),
            user=fields.text("user", _USER, "user: deploy"),
            file=fields.text(
                "authorizedKeysFile", _FILE, "authorizedKeysFile: /etc/ssh/authorized_keys/deploy"
            ),
            options=_options(fields),
        )


def _host_keys(fields: Parameters) -> HostKeys:
    example = 'hostKeys: ["ssh-ed25519 AAAA…"], as ssh-keyscan prints it, or "SHA256:…"'
    lines = fields.texts("hostKeys", _HOST_KEY, example, most=16)
    if not lines:
        raise fields.refusal(
            "hostKeys",
            f"is required, as no server is trusted on first sight; write for example {example}",
        )
    prints = frozenset(line for line in lines if _FINGERPRINT.fullmatch(line))
    keys = tuple(_host_key(fields, line) for line in lines if line not in prints)
    return HostKeys(keys, prints)


def _host_key(fields: Parameters, line: str) -> asyncssh.SSHKey:
    words = line.split()
    if not line.startswith("@"):
        # With the names of hosts before it, as in known_hosts, or without, as in a .pub file. The
        # names are of no use: the parameters are those of one host.
        for start in (0, 1):
            try:
                return asyncssh.import_public_key(" ".join(words[start : start + 2]))
            except asyncssh.KeyImportError:
                continue
    raise fields.refusal(
        "hostKeys",
        "has an entry that is no host key; write a line of ssh-keyscan or SHA256:…, no @ marker",
    )


def _options(fields: Parameters) -> str:
    example = "options: restrict,pty"
    options = fields.text("options", _ANY_OPTIONS, example)
    if options and not is_options(options.encode()):
        raise fields.refusal(
            "options",
            f"are none that may stand before a key; write for example {example}",
        )
    return options
