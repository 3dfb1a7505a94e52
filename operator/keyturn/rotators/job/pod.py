"""Reads what the administrator says of the pod of a Job."""

import re
from collections.abc import Mapping
from typing import Any

from keyturn.domain.rotation_job import JobPod
from keyturn.rotators.delegation import FIELDS
from keyturn.rotators.parameters import Parameters

DEFAULT_DEADLINE, MAX_DEADLINE = 60, 3600
"""Seconds that a step may take."""

_OWN_FIELDS = (
    "image",
    "command",
    "args",
    "env",
    "resources",
    "activeDeadlineSeconds",
    "serviceAccountName",
    "nodeSelector",
    "imagePullSecrets",
    "scriptConfigMap",
)
_TEXT = re.compile(r"[^\x00]{0,32768}")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,511}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_LABEL = re.compile(r"[A-Za-z0-9._/-]{0,253}")
_QUANTITY = re.compile(r"[A-Za-z0-9./-]{1,63}")

_MOST_WORDS, _MOST_VARIABLES, _MOST_PULL_SECRETS = 64, 64, 8


def fields_of(parameters: Mapping[str, Any]) -> Parameters:
    """Take the parameters of the rotator. Raises: InvalidParameterError."""
    return Parameters(parameters, *_OWN_FIELDS, *FIELDS)


def read_pod(fields: Parameters) -> JobPod:
    """Read the pod. Raises: InvalidParameterError."""
    image = fields.text("image", _IMAGE, "image: registry.example.com/rotate:1")
    if not image:
        raise fields.refusal("image", "is missing; write for example image: python:3-slim")
    resources = fields.inner("resources", "requests", "limits")
    quantities = {
        kind: resources.mapping(kind, _QUANTITY, f"{kind}: {{memory: 64Mi}}")
        for kind in ("requests", "limits")
        if resources.has(kind)
    }
    return JobPod(
        image,
        fields.texts("command", _TEXT, "command: [python3, /script/rotate.py]", most=_MOST_WORDS),
        fields.texts("args", _TEXT, "args: [--region, eu]", most=_MOST_WORDS),
        _env(fields),
        quantities,
        fields.integer(
            "activeDeadlineSeconds", least=1, most=MAX_DEADLINE, default=DEFAULT_DEADLINE
        ),
        fields.text("serviceAccountName", _OBJECT, "serviceAccountName: rotate"),
        fields.mapping("nodeSelector", _LABEL, "nodeSelector: {kubernetes.io/os: linux}"),
        _pull_secrets(fields),
        fields.text("scriptConfigMap", _OBJECT, "scriptConfigMap: rotate-htpasswd"),
    )


def _env(fields: Parameters) -> tuple[tuple[str, str], ...]:
    example = "env: [{name: REGION, value: eu}]"
    variables = []
    for item in fields.items("env", example, most=_MOST_VARIABLES):
        variable = fields.part("env[]", item, "name", "value")
        name = variable.text("name", _VARIABLE, "name: REGION")
        if not name:
            raise variable.refusal("name", f"is missing; write for example {example}")
        variables.append((name, variable.text("value", _TEXT, "value: eu")))
    if len({name for name, _ in variables}) != len(variables):
        raise fields.refusal("env", "has a name twice; write each once")
    return tuple(variables)


def _pull_secrets(fields: Parameters) -> tuple[str, ...]:
    example = "imagePullSecrets: [{name: registry}]"
    names = []
    for item in fields.items("imagePullSecrets", example, most=_MOST_PULL_SECRETS):
        secret = fields.part("imagePullSecrets[]", item, "name")
        name = secret.text("name", _OBJECT, "name: registry")
        if not name:
            raise secret.refusal("name", f"is missing; write for example {example}")
        names.append(name)
    return tuple(names)
