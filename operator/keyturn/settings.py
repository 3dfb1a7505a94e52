"""Every knob, read once and frozen; the only reader of the environment."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path

from keyturn.domain.duration import format_duration, parse_duration
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import MAX_PAYLOAD_BYTES
from keyturn.domain.rotator import JOBS_NAMESPACE
from keyturn.notifications.bodies import Format

SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
OPERATOR_NAMESPACE = "keyturn-system"
REAPPLY_INTERVAL, STORE_WAIT = timedelta(minutes=10), timedelta(minutes=2)

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LEASE = re.compile(r"(?!.*(\.[.-]|-\.))[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?")


class Mode(StrEnum):
    """What the operator may read of the native Secrets; `rbac/` has the rights of both."""

    STANDARD = "standard"
    CAGED = "caged"
    """None, but those that it writes: it has neither get, nor list, nor watch."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How this process runs. Each field is an environment variable `KEYTURN_` and its name."""

    data_dir: Path
    """Where the store lies; its folder is made with mode 0700."""
    socket: Path
    """The unix socket that the CLI talks to; its folder is made with mode 0700."""
    kubeconfig: Path | None
    """None: the ServiceAccount of the pod."""
    key_file: Path | None
    """None: the default key is the Secret `keyturn-default-key` of `namespace`."""
    namespace: str = OPERATOR_NAMESPACE
    """The operator's own namespace."""
    jobs_namespace: str = JOBS_NAMESPACE
    """Where the Jobs of rotators run; ManagedSecrets in it are refused too."""
    mode: Mode = Mode.STANDARD
    """standard or caged."""
    reapply_interval: timedelta = REAPPLY_INTERVAL
    """In the mode caged, which watches no Secrets: after so long each is looked at again."""
    store_wait: timedelta = STORE_WAIT
    """How long a start waits for the process that has the store open; 0: not at all."""
    watch_namespaces: tuple[str, ...] = ()
    """The namespaces to watch; none: all."""
    workers: int = 64
    """How many secrets are reconciled at once: those that wait together share commits."""
    workload: str = "statefulset/keyturn"
    """What `kubectl keyturn` looks for in `namespace`, to run in one of its pods."""
    lease: str = "keyturn"
    """The Lease in `namespace` by which operators agree which of them rotates."""
    rotations: int = 8
    """How many rotations are at work at once."""
    restarts_per_namespace: int = 2
    """How many workloads of a namespace are rolled out at once because of new versions."""
    reloader: bool = False
    """on or off: whether Reloader's annotations on workloads ask for restarts."""
    reload_allow: tuple[IPv4Network | IPv6Network, ...] = ()
    """Networks that reloads may call although they are the operator's own or the apiserver's."""
    payload_limit: int = MAX_PAYLOAD_BYTES
    """The most bytes of a payload, 1 KiB to 1 MiB."""
    health_address: str = "127.0.0.1"
    """Where /livez and /readyz are served."""
    health_port: int = 8081
    """0: a free port; below 0: not served."""
    log_level: str = "info"
    """debug, info, warning or error."""
    events_url: str = ""
    """Where the events of rotations are posted; none: nowhere."""
    events_format: Format = Format.CLOUDEVENTS
    """cloudevents, sns or eventbridge."""
    events_ca_file: Path | None = None
    """The certificates that the endpoint's must chain to; None: those of the system."""
    events_key_file: Path | None = None
    """The keys that the calls are signed by, one a line; None: they are not signed."""
    failpoint: str = ""
    """Where the process kills or stops itself, for tests; see `observability.failpoints`."""

    @property
    def own_namespaces(self) -> frozenset[str]:
        """The namespaces that are for no ManagedSecrets, besides those of the cluster."""
        return frozenset({self.namespace, self.jobs_namespace})

    @property
    def store_file(self) -> Path:
        return self.data_dir / "store.sqlite3"

    @classmethod
    def load(
        cls,
        environment: Mapping[str, str] | None = None,
        *,
        overrides: Mapping[str, str] | None = None,
    ) -> "Settings":
        """Read the environment; `overrides` go before it, for options of the command line.

        An ambient KUBECONFIG is ignored on purpose: an operator that writes Secrets must not find
        its cluster by accident.

        Raises:
            InvalidParameterError: a variable does not hold what it should.
        """
        values = {**(os.environ if environment is None else environment), **(overrides or {})}
        data_dir = Path(values.get("KEYTURN_DATA_DIR") or "/var/lib/keyturn")
        kubeconfig = values.get("KEYTURN_KUBECONFIG")
        key_file = values.get("KEYTURN_KEY_FILE")
        events_ca, events_key = (values.get(f"KEYTURN_EVENTS_{n}_FILE") for n in ("CA", "KEY"))
        return cls(
            data_dir=data_dir,
            socket=Path(values.get("KEYTURN_SOCKET") or data_dir / "run" / "keyturn.sock"),
            kubeconfig=Path(kubeconfig) if kubeconfig else None,
            key_file=Path(key_file) if key_file else None,
            namespace=_name(values, "NAMESPACE", OPERATOR_NAMESPACE),
            jobs_namespace=_name(values, "JOBS_NAMESPACE", JOBS_NAMESPACE),
            mode=_mode(values),
            reapply_interval=_duration(values, "REAPPLY_INTERVAL", REAPPLY_INTERVAL, low="1s"),
            store_wait=_duration(values, "STORE_WAIT", STORE_WAIT, low="0s"),
            watch_namespaces=_namespaces(values, "WATCH_NAMESPACES"),
            workers=_number(values, "WORKERS", default=64, low=1, high=256),
            workload=values.get("KEYTURN_WORKLOAD") or "statefulset/keyturn",
            lease=_name(values, "LEASE", "keyturn", _LEASE),
            rotations=_number(values, "ROTATIONS", default=8, low=1, high=256),
            restarts_per_namespace=_number(
                values, "RESTARTS_PER_NAMESPACE", default=2, low=1, high=1000
            ),
            reloader=_switch(values, "RELOADER"),
            reload_allow=_networks(values, "RELOAD_ALLOW"),
            payload_limit=_number(
                values, "PAYLOAD_LIMIT", default=MAX_PAYLOAD_BYTES, low=1024, high=1024 * 1024
            ),
            health_address=values.get("KEYTURN_HEALTH_ADDRESS") or "127.0.0.1",
            health_port=_number(values, "HEALTH_PORT", default=8081, low=-1, high=65535),
            log_level=_level(values),
            events_url=values.get("KEYTURN_EVENTS_URL", ""),
            events_format=_format(values),
            events_ca_file=Path(events_ca) if events_ca else None,
            events_key_file=Path(events_key) if events_key else None,
            failpoint=values.get("KEYTURN_FAILPOINT", ""),
        )


def _name(
    values: Mapping[str, str], name: str, default: str, form: re.Pattern[str] = _NAMESPACE
) -> str:
    text = values.get(f"KEYTURN_{name}") or default
    if not form.fullmatch(text):
        raise InvalidParameterError(f"KEYTURN_{name} must be a name of a-z, 0-9 and '-'")
    return text


def _namespaces(values: Mapping[str, str], name: str) -> tuple[str, ...]:
    written = (each.strip() for each in values.get(f"KEYTURN_{name}", "").split(","))
    found = tuple(each for each in written if each)
    if not all(map(_NAMESPACE.fullmatch, found)):
        # Nothing would ever be found in it, and the operator would look healthy.
        raise InvalidParameterError(
            f"KEYTURN_{name} must be names of a-z, 0-9 and '-', with commas between them,"
            " such as shop,web"
        )
    return found


def _number(values: Mapping[str, str], name: str, *, default: int, low: int, high: int) -> int:
    text = values.get(f"KEYTURN_{name}", "")
    if not text:
        return default
    if not text.lstrip("-").isdecimal() or not low <= int(text) <= high:
        raise InvalidParameterError(f"KEYTURN_{name} must be a whole number from {low} to {high}")
    return int(text)


def _duration(
    values: Mapping[str, str], name: str, default: timedelta, *, low: str, high: str = "1d"
) -> timedelta:
    text = values.get(f"KEYTURN_{name}", "")
    if not text:
        return default
    try:
        duration = parse_duration(text)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"KEYTURN_{name} {error}") from None
    if not parse_duration(low) <= duration <= parse_duration(high):
        raise InvalidParameterError(
            f"KEYTURN_{name} must be from {low} to {high}, not {format_duration(duration)}"
        )
    return duration


def _switch(values: Mapping[str, str], name: str) -> bool:
    text = values.get(f"KEYTURN_{name}", "").lower() or "off"
    if text not in ("on", "off"):
        raise InvalidParameterError(f"KEYTURN_{name} must be on or off")
    return text == "on"


def _networks(values: Mapping[str, str], name: str) -> tuple[IPv4Network | IPv6Network, ...]:
    written = (each.strip() for each in values.get(f"KEYTURN_{name}", "").split(","))
    try:
        return tuple(ip_network(each) for each in written if each)
    except ValueError:
        raise InvalidParameterError(
            f"KEYTURN_{name} must be networks with commas between them, such as 10.0.0.0/8"
        ) from None


def _mode(values: Mapping[str, str]) -> Mode:
    try:
        return Mode(values.get("KEYTURN_MODE", "").lower() or Mode.STANDARD)
    except ValueError:
        raise InvalidParameterError("KEYTURN_MODE must be standard or caged") from None


def _level(values: Mapping[str, str]) -> str:
    level = values.get("KEYTURN_LOG_LEVEL", "info").lower()
    if level not in ("debug", "info", "warning", "error"):
        raise InvalidParameterError("KEYTURN_LOG_LEVEL must be debug, info, warning or error")
    return level


def _format(values: Mapping[str, str]) -> Format:
    try:
        return Format(values.get("KEYTURN_EVENTS_FORMAT", "").lower() or Format.CLOUDEVENTS)
    except ValueError:
        raise InvalidParameterError(
            "KEYTURN_EVENTS_FORMAT must be cloudevents, sns or eventbridge"
        ) from None
