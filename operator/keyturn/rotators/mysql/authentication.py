"""Which ways to log in the driver may use, when the server asks for one.

The driver would answer `mysql_clear_password` and `dialog` with the password itself, and without
TLS would encrypt it with whatever key the server sends. So there is a list of what is allowed.
"""

from typing import Any, Final

import pymysql
from pymysql.constants import CR

from keyturn.rotators.mysql import ed25519

_ED25519: Final = "client_ed25519"
# In these the password itself goes only through TLS that was verified, in the second of them.
_WITHOUT_TLS: Final = frozenset({"mysql_native_password"})
_WITH_TLS: Final = _WITHOUT_TLS | {"caching_sha2_password"}


class AllowedPlugins:
    """Stands for the driver's map of plugins: what is not allowed has a handler that refuses."""

    def __init__(self, *, has_tls: bool) -> None:
        self._own = _WITH_TLS if has_tls else _WITHOUT_TLS

    def get(self, name: bytes | str) -> type | None:
        """Return the handler of a plugin; None lets the driver answer by itself."""
        wanted = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        # Without a name the server is older than plugins, and the driver uses the native one.
        if not wanted or wanted in self._own:
            return None
        return Ed25519Plugin if wanted == _ED25519 else ForbiddenPlugin


class ForbiddenPlugin:
    """Answers nothing."""

    def __init__(self, connection: Any) -> None:
        del connection

    def authenticate(self, packet: Any) -> Any:
        del packet
        raise pymysql.err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, "the plugin is not allowed")


class Ed25519Plugin:
    """Signs what the server sends, for MariaDB's `ed25519`."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def authenticate(self, packet: Any) -> Any:
        signature = ed25519.sign(bytes(self._connection.password), packet.read_all())
        self._connection.write_packet(signature)
        answer = self._connection._read_packet()  # noqa: SLF001 - the driver's own plugins do so
        answer.check_error()
        return answer
