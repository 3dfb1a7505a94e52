"""The rotator of PostgreSQL: passwords of roles, as SCRAM verifiers, under a lock of the server."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

from keyturn.domain.rotation import Strategy
from keyturn.rotators.interface import Order, Session, Target, Traits
from keyturn.rotators.postgresql import redshift, session
from keyturn.rotators.postgresql.settings import Dialect, Settings


class PostgreSQLRotator:
    """Changes the password of one role, or of a role and its clone in turn."""

    def check(self, parameters: Mapping[str, Any]) -> None:
        Settings.read(parameters)

    def traits(self, parameters: Mapping[str, Any]) -> Traits:
        is_redshift = Settings.read(parameters).dialect is Dialect.REDSHIFT
        return Traits(
            strategies=frozenset({Strategy.SINGLE_USER, Strategy.ALTERNATING_USERS}),
            values={"username": "username", "password": "password"},
            required=frozenset({"username", "password"}),
            rotated=frozenset({"password"}),
            has_lock=not is_redshift,
            clone_suffix=session.CLONE_SUFFIX,
            username_limit=redshift.LONGEST_NAME if is_redshift else session.LONGEST_NAME,
        )

    def session(self, target: Target, order: Order) -> AbstractAsyncContextManager[Session]:
        settings = Settings.read(target.parameters)
        if settings.dialect is Dialect.REDSHIFT:
            return redshift.open_session(settings, target, order)
        return session.open_session(settings, target, order)
