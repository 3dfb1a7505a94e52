"""Lines of a file of user names and passwords, hashed with bcrypt."""

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import bcrypt

from keyturn.domain.errors import InvalidParameterError, SourceNotFoundError
from keyturn.domain.payload import SecretValue
from keyturn.generators import characters
from keyturn.generators.interface import Materials, Needs
from keyturn.generators.parameters import Bounds, Parameters, distinct

_MAX_PASSWORD = 72
"""bcrypt reads no more bytes: what stands behind them would not be checked."""

_LENGTH = Bounds(8, _MAX_PASSWORD)
_DEFAULT_LENGTH = 32
_COST = Bounds(4, 16)
_DEFAULT_COST = 10
_MAX_USERNAME = 255
_ALPHABET = (string.ascii_letters + string.digits).encode()
"""Letters and digits only, as the password has to be typed, or stands in a URL."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked for; `password_key` is empty where the password is generated, too."""

    username: bytes
    cost: int
    password_key: str
    length: int
    outputs: Mapping[str, str]

    @classmethod
    def read(cls, key: str, parameters: Mapping[str, Any]) -> Self:
        fields = Parameters(parameters, "username", "cost", "passwordKey", "length", "outputs")
        named = fields.inner("outputs", "password")
        outputs = {"htpasswd": key}
        password_key = ""
        if fields.has("passwordKey"):
            password_key = fields.key("passwordKey", default="")
            _refuse_own_password(fields, named, key, password_key)
        else:
            outputs["password"] = named.key("password", default=f"{key}.password")
        return cls(
            username=_read_username(fields),
            cost=fields.integer("cost", _COST, default=_DEFAULT_COST),
            password_key=password_key,
            length=fields.integer("length", _LENGTH, default=_DEFAULT_LENGTH),
            outputs=distinct(outputs),
        )


def _read_username(fields: Parameters) -> bytes:
    username = fields.text("username", most=_MAX_USERNAME)
    if not username or ":" in username:
        raise fields.refusal(
            "username", "must be a name without ':'; write for example username: admin"
        )
    return username.encode()


def _refuse_own_password(
    fields: Parameters, named: Parameters, key: str, password_key: str
) -> None:
    if fields.has("length") or named.has("password"):
        raise fields.refusal(
            "passwordKey",
            "takes the password of another key; leave length and outputs.password out",
        )
    if password_key == key:
        raise fields.refusal(
            "passwordKey", f"names {key!r}, which is the key of the hash; write another key"
        )


class HtpasswdGenerator:
    """Makes the line `user:hash` for the password of another key, or for one of its own."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return _Request.read(key, parameters).outputs

    def needs(self, parameters: Mapping[str, Any]) -> Needs:
        fields = Parameters(parameters, "username", "cost", "passwordKey", "length", "outputs")
        if not fields.has("passwordKey"):
            return Needs()
        return Needs(siblings=frozenset((fields.key("passwordKey", default=""),)))

    def generate(
        self, key: str, parameters: Mapping[str, Any], materials: Materials
    ) -> Mapping[str, SecretValue]:
        request = _Request.read(key, parameters)
        if request.password_key:
            password = _sibling(request.password_key, materials)
            return {key: _line(request, password)}
        password = SecretValue(characters.draw(_ALPHABET, request.length))
        return {key: _line(request, password), request.outputs["password"]: password}


def _sibling(name: str, materials: Materials) -> SecretValue:
    if name not in materials.siblings:
        raise SourceNotFoundError(
            f"passwordKey names {name!r}, which is no key of this ManagedSecret; "
            "add it to data, or write a key that is there"
        )
    password = materials.siblings[name]
    if not 1 <= len(password) <= _MAX_PASSWORD:
        raise InvalidParameterError(
            f"passwordKey names {name!r}, whose value is {len(password)} bytes long; bcrypt takes "
            f"1 to {_MAX_PASSWORD}, so give it a value of that length"
        )
    if b"\0" in bytes(password.reveal()):
        raise InvalidParameterError(
            f"passwordKey names {name!r}, whose value holds a zero byte, where bcrypt stops to "
            "read; give it a value of text"
        )
    return password


def _line(request: _Request, password: SecretValue) -> SecretValue:
    hashed = bcrypt.hashpw(bytes(password.reveal()), bcrypt.gensalt(request.cost))
    # Apache and nginx know the same algorithm by an older name.
    return SecretValue(request.username + b":$2y$" + hashed.removeprefix(b"$2b$"))
