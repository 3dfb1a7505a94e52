"""The step in which a Secret is changed by hand, and put right."""

import base64
import json

from keyturn.cli.demo.cluster import NAMESPACE
from keyturn.cli.demo.errors import StepFailedError
from keyturn.cli.demo.stage import Stage

_NAME, _KEY = "session-key", "signingKey"
_PATH = f'{{.data.{_KEY}}}{{"\\n"}}'
_BY_HAND = base64.b64encode(b"changed by hand").decode()


def show_drift(stage: Stage) -> None:
    """Change a Secret, and tell from its watch how long the change stood."""
    stage.screen.step(
        "Drift", "A Secret that was changed by hand is put right at once; the watch tells how fast."
    )
    what = f"a change of the Secret {_NAME}"
    with stage.kubectl.watch("secret", _NAME, "-n", NAMESPACE, f"-o=jsonpath={_PATH}") as watch:
        _, before = watch.line(f"the Secret {_NAME}")
        patch = json.dumps({"data": {_KEY: _BY_HAND}})
        stage.run_kubectl("patch", "secret", _NAME, "--type=merge", f"--patch={patch}")
        changed, seen = watch.line(what)
        if seen != _BY_HAND.encode():
            raise StepFailedError("the change by hand first", "another change")
        corrected, after = changed, seen
        while after == seen:  # The operator may write something else of it first.
            corrected, after = watch.line(f"{what} back to what its version says")
    if after != before:
        raise StepFailedError(f"{_KEY} as it was before", "another value")
    stage.screen.well(f"Put right {(corrected - changed) * 1000:.0f} ms later.")
