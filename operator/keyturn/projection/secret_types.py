"""The keys that Kubernetes' own types of Secrets need.

The apiserver refuses most of these too, but with a text that speaks of `data[tls.crt]` of an
object which the author has never seen.
"""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from keyturn.domain.errors import InvalidSpecError
from keyturn.domain.managed_secret import Target
from keyturn.domain.payload import SecretValue

_Data = Mapping[str, SecretValue]


def check_type(target: Target, data: _Data) -> None:
    """Check that the data is what the type of the native Secret asks for.

    Raises:
        InvalidSpecError: a key is missing or is not what it has to be.
    """
    check = _CHECKS.get(target.template.type)
    problem = check(data) if check else ""
    if problem:
        raise InvalidSpecError(
            f"spec.targets[{target.name}].template.type: "
            f"a Secret of type {target.template.type} {problem}"
        )


def _tls(data: _Data) -> str:
    return _all_of(data, "tls.crt", "tls.key")


def _ssh(data: _Data) -> str:
    return _all_of(data, "ssh-privatekey")


def _basic_auth(data: _Data) -> str:
    if "username" in data or "password" in data:
        return ""
    return f"needs the key username or password; {_has(data)}"


def _docker_config_json(data: _Data) -> str:
    key = ".dockerconfigjson"
    return _all_of(data, key) or _json_object(data[key], key, member="auths")


def _docker_config(data: _Data) -> str:
    return _all_of(data, ".dockercfg") or _json_object(data[".dockercfg"], ".dockercfg")


def _all_of(data: _Data, *keys: str) -> str:
    # An empty value passes the apiserver for TLS, but no program can use it.
    missing = [key for key in keys if not len(data.get(key, ()))]
    if not missing:
        return ""
    return f"needs the key {' and the key '.join(missing)}; {_has(data)}"


def _has(data: _Data) -> str:
    return f"this one has {', '.join(sorted(data)) or 'none'}. Name keys in template.data"


def _json_object(value: SecretValue, key: str, *, member: str = "") -> str:
    try:
        read = json.loads(bytes(value.reveal()))
    except ValueError:
        # The parser's text quotes what it read, so it is not chained.
        read = None
    if isinstance(read, dict) and (not member or isinstance(read.get(member), dict)):
        return ""
    wanted = f"a JSON object with {member}" if member else "a JSON object"
    return f"needs {wanted} in the key {key}; the filter dockerconfigjson makes one"


_CHECKS: Mapping[str, Callable[[_Data], str]] = MappingProxyType(
    {
        "kubernetes.io/tls": _tls,
        "kubernetes.io/ssh-auth": _ssh,
        "kubernetes.io/basic-auth": _basic_auth,
        "kubernetes.io/dockerconfigjson": _docker_config_json,
        "kubernetes.io/dockercfg": _docker_config,
    }
)
