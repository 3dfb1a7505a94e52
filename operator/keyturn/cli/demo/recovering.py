"""The step in which a deleted ManagedSecret comes back with the same value."""

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.stage import Stage

_NAME, _KEY, _FILE = "orders-db", "password", "database-login.yaml"


def show_recovery(stage: Stage) -> None:
    """Delete a ManagedSecret, apply it again and compare the values."""
    stage.screen.step(
        "Deleted and applied again",
        "A generated value is not lost with its resource; values are shown as fingerprints.",
    )
    before = stage.fingerprint(_password(stage))
    stage.screen.say(f"{_KEY} of {_NAME}: fingerprint {before}")
    stage.run_kubectl("delete", "managedsecret", _NAME)
    stage.until(f"the Secret {_NAME} is gone with it", lambda: _still_there(stage))
    stage.run_kubectl("apply", "--server-side", "-f", str(stage.examples / _FILE))
    stage.until(f"{_NAME} is ready", lambda: stage.unready(_NAME))
    after = stage.fingerprint(_password(stage))
    stage.screen.say(f"{_KEY} of {_NAME}: fingerprint {after}")
    if after != before:
        raise StepFailedError(f"the same {_KEY} as before", "another one")
    stage.screen.well("The same value as before.")


def _password(stage: Stage) -> bytes:
    found = stage.data(_NAME)
    if _KEY not in found:
        keys = ", ".join(sorted(found)) or "none"
        raise StepFailedError(f"the key {_KEY} in the Secret {_NAME}", f"the keys: {keys}")
    return found[_KEY]


def _still_there(stage: Stage) -> str:
    name = stage.kubectl.run(
        *("get", "secret", _NAME, "-n", NAMESPACE, "--ignore-not-found", "-o", "name")
    )
    return f"{name.strip()} is still there" if name else ""
