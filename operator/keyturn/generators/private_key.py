"""Private keys, as for signing tokens: PEM, and the public half as PEM, JWK and JWKS."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from keyturn.domain.payload import SecretValue
from keyturn.generators import jwk
from keyturn.generators.key_pairs import FIELDS, KeyKind, KeySpec, PublicKey, public_pem
from keyturn.generators.parameters import Parameters, distinct
from keyturn.generators.standalone import StandaloneGenerator

_MAX_KEY_ID = 255


@dataclass(frozen=True, slots=True)
class _JWKFields:
    """The members of a JWK besides the key; those that are empty are not written."""

    key_id: str
    use: str
    alg: str

    @classmethod
    def read(cls, fields: Parameters, kind: KeyKind) -> Self:
        written = fields.inner("jwk", "keyID", "use", "alg")
        fitting = jwk.algorithms(kind)
        use = written.choice("use", tuple(fitting), default="") if written.has("use") else ""
        choices = fitting[use] if use else sum(fitting.values(), ())
        if not choices:
            raise written.refusal("use", f"cannot be {use} with {kind.algorithm}; write sig")
        alg = written.choice("alg", choices, default="") if written.has("alg") else ""
        return cls(written.text("keyID", least=1, most=_MAX_KEY_ID), use, alg)

    def public(self, key: PublicKey) -> Mapping[str, str]:
        extra = {"kid": self.key_id or jwk.thumbprint(key), "use": self.use, "alg": self.alg}
        return {**jwk.members(key), **{name: value for name, value in extra.items() if value}}


@dataclass(frozen=True, slots=True)
class _Request:
    key_spec: KeySpec
    jwk: _JWKFields
    outputs: Mapping[str, str]

    @classmethod
    def read(cls, key: str, parameters: Mapping[str, Any]) -> Self:
        fields = Parameters(parameters, *FIELDS, "jwk", "outputs")
        key_spec = KeySpec.read(fields)
        written = fields.inner("outputs", "publicKey", "jwk", "jwks")
        outputs = {
            "privateKey": key,
            "publicKey": written.key("publicKey", default=f"{key}.pub"),
            **{
                name: written.key(name, default="") for name in ("jwk", "jwks") if written.has(name)
            },
        }
        if fields.has("jwk") and not outputs.keys() & {"jwk", "jwks"}:
            raise fields.refusal(
                "jwk", "has no effect by itself; write also outputs.jwk or outputs.jwks"
            )
        return cls(key_spec, _JWKFields.read(fields, key_spec.kind), distinct(outputs))


class PrivateKeyGenerator(StandaloneGenerator):
    """Makes a key pair; the public JWK and JWKS only where a key is named for them."""

    is_quick = False

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        return _Request.read(key, parameters).outputs

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        request = _Request.read(key, parameters)
        pair = request.key_spec.kind.make()
        public = request.jwk.public(pair.public_key())
        made = {
            "privateKey": request.key_spec.pem(pair),
            "publicKey": SecretValue(public_pem(pair.public_key())),
            "jwk": SecretValue(json.dumps(public).encode()),
            "jwks": SecretValue(json.dumps({"keys": [public]}).encode()),
        }
        return {key: made[output] for output, key in request.outputs.items()}
