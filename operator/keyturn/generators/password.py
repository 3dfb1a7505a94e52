"""Passwords, with the fields of External Secrets' generator and of AWS's GetRandomPassword."""

from collections.abc import Mapping
from typing import Any

from keyturn.domain.payload import SecretValue
from keyturn.generators.password_recipe import PasswordRecipe
from keyturn.generators.standalone import StandaloneGenerator


class PasswordGenerator(StandaloneGenerator):
    """Makes a password of letters, digits and symbols."""

    def outputs(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, str]:
        PasswordRecipe.read(parameters)
        return {"password": key}

    def make(self, key: str, parameters: Mapping[str, Any]) -> Mapping[str, SecretValue]:
        return {key: SecretValue(PasswordRecipe.read(parameters).draw())}
