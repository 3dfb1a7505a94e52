"""When the apiserver serves the kinds of CRDs."""

from collections.abc import Mapping
from typing import Any


def are_established(listed: Mapping[str, Any]) -> bool:
    """Tell whether every CRD of a list is served.

    `kubectl wait` does not do: it gives up on a CRD that is so young that it has no conditions.
    """
    return all(_is_established(crd) for crd in listed["items"])


def _is_established(crd: Mapping[str, Any]) -> bool:
    conditions = crd.get("status", {}).get("conditions") or []
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
