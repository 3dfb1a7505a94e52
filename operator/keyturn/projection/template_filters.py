"""The filters of templates: named and meant as sprig and External Secrets have them.

Each is pure and gives the same result for the same values, else a target would be rewritten for
ever: no time, no randomness, no environment, no files, no network. A value is text, bytes, or what
`fromJson` read. An error never says what a value is, nor is it chained to one that does.
"""

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import yaml

from keyturn.domain.errors import InvalidTemplateError
from keyturn.domain.payload import SecretValue

MAX_TEXT = 1024 * 1024
"""No value grows beyond this on its way through the filters."""

_YAML_DUMPER: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""libyaml's where it is there: a large value must not hold the event loop for a second."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A key that the payload does not have; only the filter `default` takes it."""

    key: str


def to_bytes(value: Any) -> bytes:
    """Give the bytes of a value."""
    if isinstance(value, SecretValue):
        return bytes(value.reveal())
    return value if isinstance(value, bytes) else _encoded(to_text(value))


def to_text(value: Any) -> str:
    """Give the text of a value.

    Raises:
        InvalidTemplateError: it holds bytes that are no UTF-8, or is an object or a list.
    """
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case bytes() | SecretValue():
            return _decoded(to_bytes(value))
        case _:
            raise InvalidTemplateError(
                "an object, a list or null has no text; take a member with get, or write toJson"
            )


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        pass  # raised below, so that the error is not chained to one that holds the value
    raise InvalidTemplateError("a value holds half of a character (a lone surrogate)")


def _decoded(octets: bytes) -> str:
    try:
        return octets.decode()
    except UnicodeDecodeError:
        pass
    raise InvalidTemplateError("a value holds bytes that are no UTF-8 text; write b64enc after it")


def _plain(value: Any) -> Any:
    """Give what JSON and YAML can write."""
    return to_text(value) if isinstance(value, bytes | SecretValue) else value


def check_size(size: int) -> None:
    """Refuse a value before it grows beyond the limit. Raises: InvalidTemplateError."""
    if size > MAX_TEXT:
        raise InvalidTemplateError(f"a value would grow beyond {MAX_TEXT} bytes")


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTemplateError(f"the filter {name} takes a whole number")
    return value


def _b64enc(value: Any) -> str:
    return b64encode(to_bytes(value)).decode()


def _b64dec(value: Any) -> bytes:
    text = to_text(value).replace("\r", "").replace("\n", "")
    try:
        return b64decode(text, validate=True)
    except ValueError:
        pass
    raise InvalidTemplateError("the filter b64dec was given what is no base64")


def _hexenc(value: Any) -> str:
    return to_bytes(value).hex()


def _hexdec(value: Any) -> bytes:
    text = to_text(value)
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass
    raise InvalidTemplateError("the filter hexdec was given what is no hexadecimal number")


def _to_json(value: Any) -> str:
    return json.dumps(_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _from_json(value: Any) -> Any:
    text = to_text(value)
    try:
        return json.loads(text, parse_constant=_no_json_constant)
    except (ValueError, RecursionError):
        pass
    raise InvalidTemplateError("the filter fromJson was given what is no JSON")


def _no_json_constant(name: str) -> None:
    raise ValueError(name)


def _to_yaml(value: Any) -> str:
    written: str = yaml.dump(
        _plain(value),
        Dumper=_YAML_DUMPER,
        allow_unicode=True,
        default_flow_style=False,
        width=MAX_TEXT,
    )
    return written.removesuffix("\n").removesuffix("\n...")


def _get(value: Any, member: Any) -> Any:
    """Take a member of an object by its name, or of a list by its place."""
    if isinstance(value, dict) and isinstance(member, str) and member in value:
        return value[member]
    if isinstance(value, list) and isinstance(member, int) and -len(value) <= member < len(value):
        return value[member]
    if isinstance(value, dict | list):
        raise InvalidTemplateError("the filter get found no such member")
    raise InvalidTemplateError("the filter get takes an object or a list; write fromJson before it")


def _default(value: Any, fallback: Any) -> Any:
    if isinstance(value, Missing) or value is None or value is False:
        return fallback
    if isinstance(value, int | float):
        return value or fallback
    return value if len(value) else fallback


def _quote(value: Any) -> str:
    return json.dumps(to_text(value), ensure_ascii=False)


def _squote(value: Any) -> str:
    return f"'{to_text(value)}'"


def _trim(value: Any) -> str:
    return to_text(value).strip()


def _trim_suffix(value: Any, suffix: Any) -> str:
    return to_text(value).removesuffix(to_text(suffix))


def _trim_prefix(value: Any, prefix: Any) -> str:
    return to_text(value).removeprefix(to_text(prefix))


def _upper(value: Any) -> str:
    return to_text(value).upper()


def _lower(value: Any) -> str:
    return to_text(value).lower()


def _title(value: Any) -> str:
    return re.sub(r"(?<!\w)\w", lambda letter: letter[0].upper(), to_text(value))


def _replace(value: Any, old: Any, new: Any) -> str:
    text, search, replacement = to_text(value), to_text(old), to_text(new)
    if not search:
        raise InvalidTemplateError("the filter replace needs a text to look for")
    check_size(len(text) + text.count(search) * len(replacement))
    return text.replace(search, replacement)


def _trunc(value: Any, length: Any) -> str:
    text, count = to_text(value), _count(length, "trunc")
    return text[:count] if count >= 0 else text[count:]


def _indent(value: Any, spaces: Any) -> str:
    text, count = to_text(value), _count(spaces, "indent")
    check_size(len(text) + (text.count("\n") + 1) * max(count, 0))
    return " " * count + text.replace("\n", "\n" + " " * count)


def _nindent(value: Any, spaces: Any) -> str:
    return "\n" + _indent(value, spaces)


def _sha256sum(value: Any) -> str:
    return hashlib.sha256(to_bytes(value)).hexdigest()


def _urlencode(value: Any) -> str:
    """Percent-encode all but the unreserved characters of RFC 3986; a slash too."""
    return quote(to_bytes(value), safe="")


def _basic_auth(value: Any, username: Any) -> str:
    user = to_text(username)
    if ":" in user:
        raise InvalidTemplateError("the filter basicAuth takes no username with a colon")
    return _b64enc(f"{user}:{to_text(value)}")


def _docker_config_json(value: Any, registry: Any, username: Any, email: Any = "") -> str:
    login = {
        "username": to_text(username),
        "password": to_text(value),
        "auth": _b64enc(f"{to_text(username)}:{to_text(value)}"),
    }
    if to_text(email):
        login["email"] = to_text(email)
    return _to_json({"auths": {to_text(registry): login}})


FILTERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "b64dec": _b64dec,
        "b64enc": _b64enc,
        "basicAuth": _basic_auth,
        "default": _default,
        "dockerconfigjson": _docker_config_json,
        "fromJson": _from_json,
        "get": _get,
        "hexdec": _hexdec,
        "hexenc": _hexenc,
        "indent": _indent,
        "lower": _lower,
        "nindent": _nindent,
        "quote": _quote,
        "replace": _replace,
        "sha256sum": _sha256sum,
        "squote": _squote,
        "title": _title,
        "toJson": _to_json,
        "toString": to_text,
        "toYaml": _to_yaml,
        "trim": _trim,
        "trimPrefix": _trim_prefix,
        "trimSuffix": _trim_suffix,
        "trunc": _trunc,
        "upper": _upper,
        "urlencode": _urlencode,
    }
)
