"""A disk that fails on command."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import apsw

from keyturn.store.disk import Disk


def disk_full() -> apsw.Error:
    return apsw.FullError("no space left")


def input_output_error(code: int) -> Callable[[], apsw.Error]:
    def make() -> apsw.Error:
        error = apsw.IOError("the disk failed")
        vars(error).update(result=apsw.SQLITE_IOERR, extendedresult=code)
        return error

    return make


failed_write = input_output_error(apsw.SQLITE_IOERR_WRITE)
failed_read = input_output_error(apsw.SQLITE_IOERR_READ)
failed_sync = input_output_error(apsw.SQLITE_IOERR_FSYNC)


@dataclass(slots=True)
class Faults:
    """Which calls fail and how; `spared` calls succeed before, then `times` calls fail."""

    call: str = ""
    error: Callable[[], apsw.Error] = disk_full
    errno: int = 0
    spared: int = 0
    times: int = 1_000_000
    met: dict[str, int] = field(default_factory=dict)

    def meet(self, call: str) -> None:
        self.met[call] = self.met.get(call, 0) + 1
        if call != self.call:
            return
        if self.spared:
            self.spared -= 1
        elif self.times:
            self.times -= 1
            raise self.error()

    def heal(self) -> None:
        self.call = ""


class FaultyVFS(apsw.VFS):
    def __init__(self, name: str, faults: Faults) -> None:
        self._faults = faults
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FaultyFile":  # noqa: N802 - APSW's name
        return FaultyFile(name, flags, self._faults)

    def xGetLastError(self) -> tuple[int, str]:  # noqa: N802 - APSW's name
        return self._faults.errno, "a fault of the test"


class FaultyFile(apsw.VFSFile):
    def __init__(
        self, name: str | apsw.URIFilename | None, flags: list[int], faults: Faults
    ) -> None:
        super().__init__("", name, flags)
        self._faults = faults
        self._is_main = bool(flags[0] & apsw.SQLITE_OPEN_MAIN_DB)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802 - APSW's name
        self._faults.meet("read")
        return super().xRead(amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        self._faults.meet("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        self._faults.meet("sync")
        if self._is_main:
            # In WAL mode nothing but a checkpoint syncs the file itself.
            self._faults.meet("checkpoint")
        super().xSync(flags)


@contextmanager
def faulty_disk(faults: Faults) -> Iterator[Disk]:
    vfs = FaultyVFS("faulty", faults)
    try:
        yield Disk(vfs="faulty", checkpoint_pages=12)
    finally:
        vfs.unregister()
