"""Rotations to put into a store's journal; a test varies the one thing that it is about."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from keyturn.domain.rotation import Cause, Failure, Rotation, Step
from keyturn.domain.rotation_event import Channel
from keyturn.domain.secret import Secret
from keyturn.store.interface import SecretStore
from keyturn.store.journal import Beginning, Telling
from keyturn.testing.store_samples import LATER, NOW, a_secret, a_version

BOTH = (Channel.CLUSTER, Channel.SINK)
REFUSED = Failure(Step.SET_PENDING, "TargetRefused", "the target refused it")
AGAIN_AT = NOW + timedelta(minutes=1)


class OneSecret:
    """What the promises of rotations begin with: an epoch, and a secret with one version."""

    @pytest.fixture
    async def epoch(self, store: SecretStore) -> int:
        return await store.rotations.take_epoch()

    @pytest.fixture
    async def secret(self, store: SecretStore) -> Secret:
        return await a_secret(store, versions=1)


def told(now: datetime = LATER, channels: Collection[Channel] = BOTH) -> Telling:
    return Telling(now, channels)


def a_rotation(
    secret: Secret, *, rotation_id: UUID | None = None, token: str = "", by: str = ""
) -> Rotation:
    """Describe a rotation to the next version of a secret."""
    return Rotation(
        id=rotation_id or uuid4(),
        secret_id=secret.id,
        number=secret.newest.number + 1 if secret.newest else 1,
        step=Step.SET_PENDING,
        cause=Cause.REQUEST if token else Cause.SCHEDULE,
        began_at=NOW,
        requested_by=by,
        token=token,
    )


def a_beginning(
    secret: Secret,
    rotation: Rotation | None = None,
    *,
    identity: str = "",
    base: str = "",
    channels: Collection[Channel] = BOTH,
    credential: int | None = None,
) -> Beginning:
    rotation = rotation or a_rotation(secret)
    return Beginning(
        rotation,
        a_version(rotation.number, credential=credential),
        history_limit=100,
        identity=identity,
        base=base,
        channels=channels,
        handled_token=rotation.token,
    )


async def begun(
    store: SecretStore, epoch: int, secret: Secret, *, channels: Collection[Channel] = BOTH
) -> Rotation:
    """Begin a rotation, and return it."""
    beginning = a_beginning(secret, channels=channels)
    await store.rotations.begin(epoch, beginning)
    return beginning.rotation


async def promoted(store: SecretStore, epoch: int, secret: Secret) -> Rotation:
    """Begin a rotation, and promote its version."""
    rotation = await begun(store, epoch, secret)
    await store.rotations.promote(epoch, rotation.id)
    return rotation


async def rotated(
    store: SecretStore, epoch: int, secret: Secret, *, retire_at: datetime | None = None
) -> Rotation:
    """Begin a rotation, and go through to its end."""
    rotation = await promoted(store, epoch, secret)
    return await store.rotations.finish(epoch, rotation.id, retire_at, told())
