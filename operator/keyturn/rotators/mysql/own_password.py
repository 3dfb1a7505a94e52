"""A user changes its own password, where there is no administrator."""

from keyturn.domain.errors import TargetRefusedError
from keyturn.rotators.logins import Login
from keyturn.rotators.mysql.address import MARIADB
from keyturn.rotators.mysql.connection import Connection
from keyturn.rotators.mysql.tokens import tokens, unquoted
from keyturn.rotators.mysql.verifiers import NATIVE, verifier


async def set_own_password(connection: Connection, pending: Login, *, has_tls: bool) -> None:
    """Set the password of the connection's own user.

    MariaDB takes a verifier from anybody. MySQL takes one only from an administrator, so there the
    password itself is sent, through TLS; the server takes it out of what it logs.

    Raises:
        TargetRefusedError: the server refuses, or MySQL is spoken to without TLS.
    """
    if connection.dialect == MARIADB:
        line = await connection.value("SHOW CREATE USER CURRENT_USER()")
        hashed = verifier(plugin_of(line), pending.password)
        await connection.execute(f"SET PASSWORD = {connection.quoted(hashed.decode('ascii'))}")
        return
    if not has_tls:
        raise TargetRefusedError("without TLS and without an administrator no password is sent")
    try:
        plaintext = str(pending.password.reveal(), "utf-8")
    except UnicodeDecodeError:
        raise TargetRefusedError("the password is no text") from None
    if not plaintext:
        raise TargetRefusedError("the password is empty")
    quoted = connection.quoted(plaintext)
    await connection.execute(f"ALTER USER CURRENT_USER() IDENTIFIED BY {quoted}")


def plugin_of(line: str) -> str:
    """Read the plugin from MariaDB's SHOW CREATE USER.

    Raises:
        TargetRefusedError: the user may log in by more than one, or by none with a password.
    """
    parts = list(tokens(line))
    words = [part.text.upper() if part.kind == "word" else "" for part in parts]
    if "IDENTIFIED" not in words or "OR" in words:
        raise TargetRefusedError("the user may log in by more than one plugin, or by no password")
    after = words.index("IDENTIFIED") + 1
    if words[after] == "BY":
        return NATIVE
    plugin = parts[after + 1]
    return unquoted(plugin.text) if plugin.kind == "quoted" else plugin.text
