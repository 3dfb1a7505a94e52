"""The text of an authorized_keys file: find a key in it, add a line, take lines away.

Every byte that is not in a line of ours stays as it is: comments, order, options, line ends, and
the missing end of a last line. The form is that of sshd(8), "AUTHORIZED_KEYS FILE FORMAT".
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Collection

# A name of a key type; what begins otherwise begins with options.
_KEY_TYPE = re.compile(rb"(?:ssh|ecdsa|sk-ssh|sk-ecdsa)-[A-Za-z0-9@.-]+")
# Options end at the first blank outside of quotes; inside of them a quote is written \".
_OPTIONS = re.compile(rb'(?:[^\s"]|"(?:[^"\\\r\n]|\\.)*")+')
_NO_OPTION = frozenset(b"\r\n\0")


def is_options(text: bytes) -> bool:
    """Tell whether a text can stand before a key and be read as options, all of it."""
    return (
        _OPTIONS.fullmatch(text) is not None
        and not _KEY_TYPE.match(text)
        and not text.startswith(b"#")
        and not _NO_OPTION & set(text)
        and not _is_authority(text)
    )


def holds(content: bytes, blob: bytes) -> bool:
    """Tell whether a line lets the key in; `blob` is the key in SSH's binary form."""
    return any(_blob_of(line) == blob for line in _lines(content))


def with_key(content: bytes, blob: bytes, line: bytes) -> bytes:
    """Add the line of a key at the end, unless a line holds the key already."""
    if holds(content, blob):
        return content
    end = b"\r\n" if content.endswith(b"\r\n") else b"\n"
    if not content or content.endswith(b"\n"):
        return content + line + end
    return content + end + line


def without_keys(content: bytes, blobs: Collection[bytes]) -> bytes:
    """Take away each line that holds one of the keys, whoever wrote it."""
    lines = _lines(content)
    kept = [line for line in lines if _blob_of(line) not in blobs]
    if kept and len(kept) < len(lines) and not content.endswith(b"\n"):
        # The last line has no end, whichever it is.
        kept[-1] = kept[-1].removesuffix(b"\n")
    return b"".join(kept)


def _lines(content: bytes) -> list[bytes]:
    # Only \n ends a line; splitlines() would end one at \r, \v and others too.
    lines = content.split(b"\n")
    ended = [line + b"\n" for line in lines[:-1]]
    return [*ended, lines[-1]] if lines[-1] else ended


def _blob_of(line: bytes) -> bytes | None:
    """Return the key of a line that lets it in; None for comments, authorities and all else."""
    rest = line.strip()
    if rest.startswith(b"#"):
        return None
    options = b""
    if not _KEY_TYPE.match(rest):
        found = _OPTIONS.match(rest)
        options = found[0] if found else b""
        rest = rest[len(options) :].strip()
    kind, _, key = rest.replace(b"\t", b" ").partition(b" ")
    if not key or not _KEY_TYPE.fullmatch(kind) or _is_authority(options):
        return None
    try:
        return b64decode(key.split(maxsplit=1)[0], validate=True)
    except (Base64Error, ValueError):
        return None


def _is_authority(options: bytes) -> bool:
    # The key of such a line signs certificates, and does not log in itself.
    bare = re.sub(rb'"(?:[^"\\]|\\.)*"', b"", options).lower()
    return b"cert-authority" in bare.split(b",")
