"""docs/sizing.md says how much disk a secret takes: it is measured."""

import asyncio
import os
import re
import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from documents import document
from keyturn.domain.version import KeyOrigin
from keyturn.store.sqlite import SQLiteStore
from keyturn.testing.store_samples import NOW, a_projection, a_version, an_attachment

PAGE = document("docs/sizing.md")
SECRETS = 100
ENVELOPE = 300
DIGEST = secrets.token_urlsafe(32)
KB = 1000


def told(payload: int, versions: int) -> float:
    """What the formula of the page makes of them, in bytes for one secret."""
    found = re.search(r"N . \(([\d.]+) KB \+ versions . \(payload \+ ([\d.]+) KB\)\)", PAGE.text)
    assert found is not None
    return float(found[1]) * KB + versions * (payload + float(found[2]) * KB)


@pytest.mark.parametrize(("payload", "versions"), [(100, 1), (100, 12), (1000, 12), (4000, 12)])
async def test_a_secret_takes_as_much_of_the_disk_as_is_told(
    tmp_path: Path, payload: int, versions: int
) -> None:
    file = tmp_path / "store.sqlite3"
    store = await SQLiteStore.open(file)
    before = file.stat().st_size
    names = [f"secret-{number:04}" for number in range(SECRETS)]
    await asyncio.gather(*(make(store, name, payload, versions) for name in names))
    await store.close()

    each = (file.stat().st_size - before) / SECRETS
    assert 0.7 * told(payload, versions) < each < told(payload, versions)


async def make(store: SQLiteStore, name: str, payload: int, versions: int) -> None:
    """Make a secret with a user and a password, as the operator does."""
    attachment = replace(an_attachment(name, namespace_uid=name), sealed_manifest=os.urandom(600))
    secret = await store.attach(attachment, now=NOW)
    origins = dict.fromkeys(("username", "password"), KeyOrigin(DIGEST, DIGEST))
    for number in range(1, versions + 1):
        sample = a_version(number)
        version = replace(sample.version, origins=origins)
        sealed = replace(sample, version=version, sealed=os.urandom(payload + ENVELOPE))
        await store.add_version(secret.id, sealed, promote=True, history_limit=10)
        projection = replace(a_projection(name, version=number), fingerprint=DIGEST)
        await store.record_projection(secret.id, projection, since=version.created_at)
