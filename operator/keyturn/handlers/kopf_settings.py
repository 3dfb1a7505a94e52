"""How kopf is set: it watches, and neither writes nor keeps anything of a resource."""

import kopf
from kopf import BodyEssence, DiffBaseStorage, ProgressStorage


class NoDiffBase(DiffBaseStorage):
    """No copy of what a resource was, neither on it nor in memory.

    kopf would make one for each event, for handlers of changes, of which there are none here;
    making it costs more than the event's own handler.
    """

    def build(self, **_: object) -> BodyEssence:
        return BodyEssence()

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""


class NoProgress(ProgressStorage):
    """No record of handlers that run over several events: there are none."""

    def fetch(self, **_: object) -> None:
        return None

    def store(self, **_: object) -> None:
        """Store nothing."""

    def purge(self, **_: object) -> None:
        """Nothing was stored."""

    def touch(self, **_: object) -> None:
        """Touch nothing."""

    def clear(self, *, essence: BodyEssence) -> BodyEssence:
        return essence


def kopf_settings() -> kopf.OperatorSettings:
    """Make the settings of one life of kopf."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.persistence.finalizer = "keyturn.dev/never-set"
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    settings.process.ultimate_exiting_timeout = None
    settings.watching.inactivity_timeout = 90
    settings.watching.connect_timeout = 5
    settings.networking.request_timeout = 30
    # A few quick tries; after that this life ends, and the next one comes with a pause.
    settings.networking.error_backoffs = (0.2, 1, 2)
    settings.queueing.idle_timeout = 0.1
    settings.queueing.exit_timeout = 1.0
    return settings
