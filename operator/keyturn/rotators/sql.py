"""What the rotators of MySQL, Oracle and SQL Server share: whom they trust, and who logs in."""

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TypeVar

from keyturn.domain.errors import (
    InvalidParameterError,
    TargetRefusedError,
    TargetUnavailableError,
)
from keyturn.domain.payload import SecretValue
from keyturn.domain.rotation import Strategy
from keyturn.rotators.endpoint import trust
from keyturn.rotators.interface import Order, Target

Connection = TypeVar("Connection")
User = TypeVar("User")


class LoginRefusedError(TargetRefusedError):
    """The server refused the credential itself."""


class LoginBarredError(TargetUnavailableError):
    """The server bars the user since logins failed, and tells nothing of the password."""


def tls_context(authority: bytes, *, has_tls: bool) -> ssl.SSLContext | None:
    """Make what verifies the server's certificate and its host name; None without TLS.

    Raises:
        TargetUnavailableError: `authority` holds no certificates.
    """
    if not has_tls:
        return None
    try:
        return trust(authority)
    except InvalidParameterError:
        raise TargetUnavailableError(
            "the certificates of the target's authority cannot be read; write them in PEM"
        ) from None


@asynccontextmanager
async def logged_in(
    target: Target,
    order: Order,
    connect: Callable[[User], AbstractAsyncContextManager[Connection]],
    *,
    read: Callable[[Mapping[str, SecretValue]], User],
    server: str = "server",
) -> AsyncIterator[tuple[Connection, User]]:
    """Log in as the administrator, or as the user itself, by what it may have for a password.

    `read` makes a login of the values of a credential, as `connect` takes it.

    Raises:
        TargetUnavailableError: nobody may log in; `server` is what it is called then.
    """
    if not target.admin and order.strategy is Strategy.ALTERNATING_USERS:
        raise TargetUnavailableError("two alternating users need an administrator: adminRef")
    own = (order.current, order.pending, order.previous)
    users = [read(one.values) for one in own if one is not None]
    async with AsyncExitStack() as stack:
        for user in [read(target.admin)] if target.admin else users:
            try:
                connection = await stack.enter_async_context(connect(user))
            except LoginRefusedError:
                continue
            yield connection, user
            return
        who = "the administrator" if target.admin else "the user"
        raise TargetUnavailableError(f"the {server} refuses the login of {who}")
