"""Read a resource by its pydantic model; an error names the field, and holds no value."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from keyturn.domain.managed_secret import MAX_KEY
from keyturn.kube.resource_checks import invalid

ModelT = TypeVar("ModelT", bound=BaseModel)


def validated(model: type[ModelT], body: Mapping[str, Any]) -> ModelT:
    """Read a resource as the apiserver gives it.

    Raises:
        InvalidSpecError: it has another form; the message names the first field that has.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    # Outside of the handler, so that no traceback holds pydantic's error with the resource in it.
    sentence = "is missing" if first["type"] == "missing" else f"is wrong: {first['msg']}"
    raise invalid(_path(body, first["loc"]), sentence)


def _path(body: Any, location: Iterable[int | str]) -> str:
    """Write a location as `spec.data[password].generate`, by names where lists have them."""
    path, here = "", body
    for step in location:
        if isinstance(step, int):
            here = here[step]
            names = (here.get(name) for name in ("key", "name", "stage")) if _is_map(here) else ()
            name = next((name for name in names if isinstance(name, str)), "")
            path += f"[{name if 0 < len(name) <= MAX_KEY else step}]"
        elif step != "[key]":  # pydantic's mark of an error in a key and not in its value
            here = here.get(step) if _is_map(here) else None
            path += f".{step}" if path else step
    return path


def _is_map(item: Any) -> bool:
    return isinstance(item, Mapping)
