"""What a store promises of the pods that were told to read a secret anew."""

from datetime import timedelta
from uuid import uuid4

from keyturn.store.interface import SecretStore
from keyturn.testing.store_identity import Opener
from keyturn.testing.store_samples import NOW, a_secret

LATER = NOW + timedelta(minutes=5)


class ReloadPromises:
    """Which pods have read a secret anew, and as of when."""

    async def test_a_reload_outlives_the_process(self, store: SecretStore, reopen: Opener) -> None:
        secret = await a_secret(store)
        other = await a_secret(store, "other")

        await store.note_reloads(secret.id, ["pod-1", "pod-2"], NOW, running=["pod-1", "pod-2"])

        again = await reopen()
        assert await again.reloads(secret.id) == {"pod-1": NOW, "pod-2": NOW}
        assert await again.reloads(other.id) == {}

    async def test_a_pod_never_unreads(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        await store.note_reloads(secret.id, ["pod"], LATER, running=["pod"])

        await store.note_reloads(secret.id, ["pod"], NOW, running=["pod"])

        assert await store.reloads(secret.id) == {"pod": LATER}

    async def test_pods_that_are_gone_are_forgotten(self, store: SecretStore) -> None:
        secret = await a_secret(store)
        await store.note_reloads(secret.id, ["gone", "left"], NOW, running=["gone", "left"])

        await store.note_reloads(secret.id, ["new"], LATER, running=["left", "new"])

        assert await store.reloads(secret.id) == {"left": NOW, "new": LATER}

    async def test_nothing_is_noted_of_a_secret_that_is_not_there(self, store: SecretStore) -> None:
        nobody = uuid4()

        await store.note_reloads(nobody, ["pod"], NOW, running=["pod"])

        assert await store.reloads(nobody) == {}
