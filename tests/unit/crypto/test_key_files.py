import os
import resource
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from keyturn.crypto.key_files import KeyFile
from keyturn.crypto.local_key import LocalKey, from_text
from keyturn.domain.errors import (
    InvalidParameterError,
    KeyMissingError,
    KeyProviderUnavailableError,
)


@pytest.fixture
def file(tmp_path: Path) -> KeyFile:
    (tmp_path / "store").mkdir()
    return KeyFile(path=tmp_path / "keys" / "default.key", store_folder=tmp_path / "store")


@pytest.fixture
def made(file: KeyFile) -> KeyFile:
    file.load_or_create(store_holds_data=False)
    return file


class TestFirstUse:
    def test_makes_a_key_and_says_so(self, file: KeyFile) -> None:
        key, created = file.load_or_create(store_holds_data=False)

        assert created
        assert from_text(file.path.read_bytes()).id == key.id

    def test_nobody_else_can_read_it(self, made: KeyFile) -> None:
        assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(made.path.parent.stat().st_mode) == 0o700

    def test_nobody_else_can_read_it_whatever_the_umask(self, file: KeyFile) -> None:
        before = os.umask(0)
        try:
            file.load_or_create(store_holds_data=False)
        finally:
            os.umask(before)

        assert stat.S_IMODE(file.path.stat().st_mode) == 0o600

    def test_leaves_no_other_file(self, made: KeyFile) -> None:
        assert list(made.path.parent.iterdir()) == [made.path]

    def test_the_file_is_durable_before_it_has_its_name_and_the_name_before_it_is_used(
        self, file: KeyFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        steps: list[str] = []
        sync, link = os.fsync, os.link

        def recorded_sync(descriptor: int) -> None:
            steps.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
            sync(descriptor)

        def recorded_link(source: Path, target: Path) -> None:
            steps.append("link")
            link(source, target)

        monkeypatch.setattr(os, "fsync", recorded_sync)
        monkeypatch.setattr(os, "link", recorded_link)

        file.load_or_create(store_holds_data=False)

        folder = str(file.path.parent)
        assert steps[0] == str(file.path.parent.parent)
        assert steps[1].startswith(f"{folder}/.default.key.")
        assert steps[2:] == ["link", folder]

    def test_the_first_of_many_makes_the_key_of_all(self, file: KeyFile) -> None:
        with ThreadPoolExecutor(8) as pool:
            results = list(
                pool.map(lambda _: file.load_or_create(store_holds_data=False), range(32))
            )

        assert len({key.id for key, _ in results}) == 1
        assert sum(created for _, created in results) == 1

    def test_a_disk_that_takes_half_of_the_file_leaves_none(self, file: KeyFile) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, hard))
        try:
            with pytest.raises(KeyProviderUnavailableError, match="No space left"):
                file.load_or_create(store_holds_data=False)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

        assert list(file.path.parent.iterdir()) == []

    def test_is_refused_when_the_store_holds_data(self, file: KeyFile) -> None:
        with pytest.raises(
            KeyMissingError, match="restore the file from your backup, or write the line"
        ):
            file.load_or_create(store_holds_data=True)

        assert not file.path.exists()


class TestNextUse:
    @pytest.mark.parametrize("store_holds_data", [True, False])
    def test_reads_the_same_key(self, made: KeyFile, store_holds_data: bool) -> None:
        first, _ = made.load_or_create(store_holds_data=False)

        second, created = made.load_or_create(store_holds_data=store_holds_data)

        assert not created
        assert second.material.matches(first.material)

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601, 0o620])
    def test_refuses_a_file_that_others_may_use(self, made: KeyFile, mode: int) -> None:
        made.path.chmod(mode)

        with pytest.raises(InvalidParameterError, match=f"'chmod 600 {made.path}'"):
            made.load_or_create(store_holds_data=True)

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
    def test_refuses_a_file_of_another_user(self, made: KeyFile) -> None:
        os.chown(made.path, 65534, -1)

        with pytest.raises(InvalidParameterError, match="another user"):
            made.load_or_create(store_holds_data=True)

    @pytest.mark.parametrize("content", [b"", b"keyturn-key-v1 local", b"\0" * 5000])
    @pytest.mark.parametrize("store_holds_data", [True, False])
    def test_a_damaged_file_is_never_replaced(
        self, made: KeyFile, content: bytes, store_holds_data: bool
    ) -> None:
        made.path.write_bytes(content)

        with pytest.raises(KeyMissingError, match="is damaged"):
            made.load_or_create(store_holds_data=store_holds_data)

        assert made.path.read_bytes() == content

    def test_refuses_a_folder(self, file: KeyFile) -> None:
        file.path.mkdir(parents=True)

        with pytest.raises(InvalidParameterError, match="not a regular file"):
            file.load_or_create(store_holds_data=False)

    def test_refuses_a_pipe_without_waiting_for_it(self, file: KeyFile) -> None:
        file.path.parent.mkdir()
        os.mkfifo(file.path, 0o600)

        with pytest.raises(InvalidParameterError, match="not a regular file"):
            file.load_or_create(store_holds_data=False)

    def test_a_file_that_cannot_be_opened_is_tried_again_later(self, file: KeyFile) -> None:
        file.path.parent.write_text("in the place of the folder")

        with pytest.raises(KeyProviderUnavailableError, match="cannot be used"):
            file.load_or_create(store_holds_data=False)

    def test_leaves_no_file_open(self, made: KeyFile) -> None:
        before = len(list(Path("/proc/self/fd").iterdir()))
        made.load_or_create(store_holds_data=True)
        made.path.chmod(0o644)

        with pytest.raises(InvalidParameterError):
            made.load_or_create(store_holds_data=True)

        assert len(list(Path("/proc/self/fd").iterdir())) == before


class TestPlace:
    @pytest.mark.parametrize("name", ["default.key", "deeper/default.key", "../store/default.key"])
    def test_is_never_in_the_folder_of_the_store(self, tmp_path: Path, name: str) -> None:
        file = KeyFile(path=tmp_path / "store" / name, store_folder=tmp_path / "store")

        with pytest.raises(InvalidParameterError, match="lies in the store's folder"):
            file.load_or_create(store_holds_data=False)

    def test_a_link_into_the_folder_of_the_store_is_found(self, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "keys").symlink_to(tmp_path / "store")
        file = KeyFile(path=tmp_path / "keys" / "default.key", store_folder=tmp_path / "store")

        with pytest.raises(InvalidParameterError, match="lies in the store's folder"):
            file.load_or_create(store_holds_data=False)

    def test_a_path_that_leads_nowhere_is_refused(self, file: KeyFile) -> None:
        file.path.parent.symlink_to(file.path.parent)

        with pytest.raises(InvalidParameterError, match="leads nowhere"):
            file.load_or_create(store_holds_data=False)

    def test_a_folder_beside_it_with_the_same_beginning_is_fine(self, tmp_path: Path) -> None:
        file = KeyFile(path=tmp_path / "store-keys" / "k", store_folder=tmp_path / "store")

        _, created = file.load_or_create(store_holds_data=False)

        assert created


class TestImport:
    def test_writes_the_key_for_the_next_start(self, file: KeyFile) -> None:
        key = LocalKey.generate()

        file.write(key)

        loaded, _ = file.load_or_create(store_holds_data=True)
        assert loaded.id == key.id

    def test_never_replaces_a_key(self, made: KeyFile) -> None:
        content = made.path.read_bytes()

        with pytest.raises(InvalidParameterError, match="may be the only copy"):
            made.write(LocalKey.generate())

        assert made.path.read_bytes() == content

    def test_a_folder_that_cannot_be_made_is_tried_again_later(self, tmp_path: Path) -> None:
        file = KeyFile(path=tmp_path / "no" / "such" / "key", store_folder=tmp_path / "store")

        with pytest.raises(KeyProviderUnavailableError, match="cannot be written"):
            file.write(LocalKey.generate())
