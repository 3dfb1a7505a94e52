"""Where the events of rotations go, as the environment says it."""

from pathlib import Path

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.notifications.bodies import Format
from keyturn.settings import Settings


def test_no_events_are_sent_unless_somebody_wants_them() -> None:
    settings = Settings.load({})

    assert settings.events_url == ""
    assert settings.events_format is Format.CLOUDEVENTS
    assert settings.events_ca_file is settings.events_key_file is None


def test_the_endpoint_of_events_is_read() -> None:
    settings = Settings.load(
        {
            "KEYTURN_EVENTS_URL": "https://events.example/",
            "KEYTURN_EVENTS_FORMAT": "EventBridge",
            "KEYTURN_EVENTS_CA_FILE": "/ca.crt",
            "KEYTURN_EVENTS_KEY_FILE": "/key",
        }
    )

    assert settings.events_url == "https://events.example/"
    assert settings.events_format is Format.EVENTBRIDGE
    assert settings.events_ca_file == Path("/ca.crt")
    assert settings.events_key_file == Path("/key")


def test_a_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="cloudevents, sns or eventbridge"):
        Settings.load({"KEYTURN_EVENTS_FORMAT": "xml"})
