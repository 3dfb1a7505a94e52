"""What the environment says: what is left out, and what is refused."""

from datetime import timedelta
from pathlib import Path

import pytest

from keyturn.domain.errors import InvalidParameterError
from keyturn.notifications.bodies import Format
from keyturn.settings import Mode, Settings


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


def test_the_mode_is_standard_unless_somebody_says_caged() -> None:
    assert Settings.load({}).mode is Mode.STANDARD
    assert Settings.load({"KEYTURN_MODE": "Caged"}).mode is Mode.CAGED
    with pytest.raises(InvalidParameterError, match="standard or caged"):
        Settings.load({"KEYTURN_MODE": "free"})


def test_durations_are_read_as_in_a_resource() -> None:
    settings = Settings.load({"KEYTURN_REAPPLY_INTERVAL": "1h30m", "KEYTURN_STORE_WAIT": "0s"})

    assert settings.reapply_interval == timedelta(minutes=90)
    assert settings.store_wait == timedelta(0)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        pytest.param("REAPPLY_INTERVAL", "soon", "is no duration", id="a word"),
        pytest.param("REAPPLY_INTERVAL", "0s", "from 1s to 1d, not 0s", id="always"),
        pytest.param("STORE_WAIT", "2d", "from 0s to 1d, not 2d", id="for ever"),
        pytest.param("STORE_WAIT", "120", "is no duration", id="a number"),
    ],
)
def test_a_duration_that_makes_no_sense_is_refused(name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"KEYTURN_{name} .*{message}"):
        Settings.load({f"KEYTURN_{name}": text})


def test_its_own_namespaces_may_have_other_names() -> None:
    assert Settings.load({}).own_namespaces == {"keyturn-system", "keyturn-jobs"}

    settings = Settings.load({"KEYTURN_NAMESPACE": "ops", "KEYTURN_JOBS_NAMESPACE": "ops-jobs"})

    assert settings.own_namespaces == {"ops", "ops-jobs"}


def test_restarts_and_reloads_are_set() -> None:
    settings = Settings.load(
        {
            "KEYTURN_RESTARTS_PER_NAMESPACE": "7",
            "KEYTURN_RELOADER": "On",
            "KEYTURN_RELOAD_ALLOW": "10.0.0.0/8, fd00::/8",
        }
    )

    assert settings.restarts_per_namespace == 7
    assert settings.reloader
    assert [str(network) for network in settings.reload_allow] == ["10.0.0.0/8", "fd00::/8"]
    left_out = Settings.load({})
    assert left_out.restarts_per_namespace == 2
    assert not left_out.reloader
    assert left_out.reload_allow == ()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("RESTARTS_PER_NAMESPACE", "0", "from 1 to 1000"),
        ("RELOADER", "yes", "on or off"),
        ("RELOAD_ALLOW", "10.0.0.1/8", "networks with commas"),
        ("RELOAD_ALLOW", "web.shop.svc", "networks with commas"),
    ],
)
def test_what_restarts_and_reloads_cannot_be_set_to(name: str, text: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        Settings.load({f"KEYTURN_{name}": text})


@pytest.mark.parametrize("name", ["NAMESPACE", "JOBS_NAMESPACE", "LEASE", "WATCH_NAMESPACES"])
@pytest.mark.parametrize("text", ["shop web", "Shop", "shop/web", "shop,web-"])
def test_what_names_nothing_in_a_cluster_is_refused(name: str, text: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"KEYTURN_{name} .*a-z, 0-9 and '-'"):
        Settings.load({f"KEYTURN_{name}": text})


def test_the_namespaces_to_watch_have_commas_between_them() -> None:
    settings = Settings.load({"KEYTURN_WATCH_NAMESPACES": "shop, web,"})

    assert settings.watch_namespaces == ("shop", "web")


@pytest.mark.parametrize("name", ["keyturn.shop", "a-b.c--d.e", "0", f"keyturn-{'a' * 245}"])
def test_the_lease_may_have_dots_in_its_name_and_be_long(name: str) -> None:
    assert Settings.load({"KEYTURN_LEASE": name}).lease == name


@pytest.mark.parametrize("name", ["a..b", "a.-b", "a-.b", ".a", "a.", "a" * 254])
def test_what_no_lease_may_be_named_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="KEYTURN_LEASE"):
        Settings.load({"KEYTURN_LEASE": name})
