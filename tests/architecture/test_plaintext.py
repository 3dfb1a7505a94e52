"""Only the files listed here may ask for the bytes of a secret value.

A file is added to the list by a person who has read where the bytes go from there.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "operator" / "keyturn"

MAY_REVEAL = {
    "domain/payload.py": "compares and encodes values",
    "crypto/local_key.py": "writes the text form of a key, for its file and for export",
    "crypto/key_files.py": "writes that text form to the key file",
    "crypto/key_providers/local.py": "gives its key to the cipher",
    "bootstrap/vault.py": "writes the default key into its Secret",
    "generators/certificate_authority.py": "reads the key of a CA to sign with it",
    "generators/htpasswd.py": "hashes a password",
    "projection/native_body.py": "writes the body of a native Secret",
    "projection/template.py": "renders a template",
    "projection/template_filters.py": "renders a template",
    "projection/drift.py": "compares a native Secret, and digests its data by a keyed function",
    "projection/secret_types.py": "checks the form that a type of Secret asks for",
    "rotators/authenticating.py": "gives user names and passwords to drivers",
    "rotators/postgresql/logins.py": "gives user names and passwords to the driver",
    "services/next_version.py": "digests a followed value by a keyed function",
    "services/rotation/roles.py": "reads the user name, to tell whose turn it is",
    "testing/rotators.py": "reads the user name, to tell whether it is the base",
    "rotators/ssh/connecting.py": "reads a key and a user name, and gives them to the driver",
    "rotators/oauth2/messages.py": "writes forms and headers, and reads an answer",
    "rotators/http.py": "sends the body of a call",
    "domain/webhook_signature.py": "signs by a key",
    "rotators/webhook/delivery.py": "writes the body of a call, and lets it be signed",
    "rotators/webhook/answers.py": "reads an answer, which may hold issued values",
    "kube/job_bodies.py": "writes the Secret that the Job of a step mounts",
    "rotators/logins.py": "reads the user name of a credential",
    "rotators/mysql/connection.py": "gives the password to the driver, to log in",
    "rotators/mysql/own_password.py": "sends a password to MySQL where no verifier is taken",
    "rotators/mysql/verifiers.py": "hashes a password as the server does",
    "rotators/oracle/names.py": "gives a password to the driver and to ALTER USER",
    "rotators/sqlserver/passwords.py": "hashes a password, and gives it to the driver",
    "api/schemas.py": "answers a get that asked for values, and the export of the key",
    "cli/revealing.py": "prints what the person asked to see",
}

MAY_TOUCH_THE_BUFFER = {"domain/payload.py"}

MAY_ENCRYPT = {
    "crypto/envelope.py",
    "crypto/root_keys.py",
    "crypto/local_key.py",
    "crypto/key_providers/local.py",
}


@cache
def sources() -> dict[str, ast.Module]:
    return {
        path.relative_to(SOURCE).as_posix(): ast.parse(path.read_bytes())
        for path in sorted(SOURCE.rglob("*.py"))
    }


def mentions(tree: ast.AST, name: str) -> bool:
    """Tell whether code asks for the attribute, called or not, by a dot or by its name as text."""
    return any(
        (isinstance(node, ast.Attribute) and node.attr == name)
        or (isinstance(node, ast.Constant) and node.value == name)
        for node in ast.walk(tree)
    )


def imports(tree: ast.AST, name: str) -> bool:
    return any(
        name in [alias.name for alias in node.names] or getattr(node, "module", "") == name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
    )


def test_plaintext_is_revealed_in_the_listed_files_only() -> None:
    found = {path for path, tree in sources().items() if mentions(tree, "reveal")}

    assert found == set(MAY_REVEAL)


def test_nobody_goes_around_reveal() -> None:
    found = {path for path, tree in sources().items() if mentions(tree, "_buffer")}

    # payload.py names it in __slots__ as well.
    assert found == MAY_TOUCH_THE_BUFFER


def test_the_cipher_is_used_by_the_listed_files_only() -> None:
    found = {
        path
        for path, tree in sources().items()
        if imports(tree, "_aead") or imports(tree, "keyturn.crypto._aead")
    }

    assert found == MAY_ENCRYPT


def test_no_other_file_brings_a_cipher_of_its_own() -> None:
    found = {
        path
        for path, tree in sources().items()
        if any(imports(tree, cipher) for cipher in ("AESGCM", "Cipher", "Fernet"))
    }

    assert found == {"crypto/_aead.py"}


@pytest.mark.parametrize(
    "planted",
    [
        "log(value.reveal())",
        "call = value.reveal",
        "getattr(value, 'reveal')()",
        "operator.methodcaller('reveal')(value)",
        "f'{value.reveal()}'",
    ],
)
def test_a_planted_reveal_is_found(planted: str) -> None:
    assert mentions(ast.parse(planted), "reveal")


def test_a_word_in_a_docstring_is_not_a_reveal() -> None:
    assert not mentions(ast.parse('"""`reveal` is the one way."""'), "reveal")
