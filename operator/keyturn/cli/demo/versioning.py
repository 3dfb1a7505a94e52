"""The step in which a secret gets a new version, and then its old one back."""

import secrets

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.projecting import AWAITED_KEY, AWAITING, put
from keyturn.cli.demo.stage import Stage


def show_versions(stage: Stage) -> None:
    """Put a second version, show the history, and roll back to the first."""
    stage.screen.step(
        "Versions", "Every version is kept: a new value is put, and the one before it comes back."
    )
    first = _value(stage)
    second = secrets.token_urlsafe(24).encode()
    put(stage, second)
    stage.until("the Secret has the new value", lambda: _differs(stage, second))
    stage.keyturn("rollback", AWAITING, "-n", NAMESPACE, "--to", "1")
    stage.until("the Secret has the value of version 1", lambda: _differs(stage, first))
    told = stage.keyturn("history", AWAITING, "-n", NAMESPACE)
    if "Current" not in told:
        raise StepFailedError("a version that is Current", told)
    stage.screen.well(f"Version 1 is Current again: fingerprint {stage.fingerprint(first)}.")


def _value(stage: Stage) -> bytes:
    return stage.data(AWAITING).get(AWAITED_KEY, b"")


def _differs(stage: Stage, wanted: bytes) -> str:
    seen = _value(stage)
    if seen == wanted:
        return ""
    return f"a value with the fingerprint {stage.fingerprint(seen)}" if seen else "no value"
