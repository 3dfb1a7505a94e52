"""The step in which a secret is rotated, and both its values stand side by side."""

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.stage import Stage

_NAME, _KEY, _PREVIOUS = "session-key", "signingKey", "signingKey.previous"


def show_rotation(stage: Stage) -> None:
    """Rotate a secret, and show the new value and the one before it."""
    stage.screen.step(
        "Rotation", "A new value on demand, as each week by its schedule; the old one stays a day."
    )
    before = stage.data(_NAME).get(_KEY, b"")
    stage.keyturn("rotate", _NAME, "-n", NAMESPACE)
    stage.until("the Secret shows both", lambda: _problem(stage, before))
    now = stage.data(_NAME)
    rows = [(key, stage.fingerprint(now[key])) for key in (_KEY, _PREVIOUS)]
    stage.screen.table(("KEY", "FINGERPRINT"), rows)
    told = stage.keyturn("rotations", _NAME, "-n", NAMESPACE)
    if "Succeeded" not in told:
        raise StepFailedError("a rotation that succeeded", told)
    stage.screen.well("What was signed with the previous key can still be checked.")


def _problem(stage: Stage, before: bytes) -> str:
    shown = stage.data(_NAME)
    if shown.get(_PREVIOUS) != before:
        return f"{_PREVIOUS} is not the value from before"
    return "" if shown.get(_KEY) != before else f"{_KEY} is the value from before"
