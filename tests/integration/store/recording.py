"""A disk that remembers every write and every sync, and what a power cut could leave of them.

POSIX promises only what was synced: of the writes after a file's last sync any may be missing, in
any order, and each may be torn at the sectors' edges; a name that was made or deleted is durable
only when its folder was synced. So a state after the cut is: what was synced, and a seeded choice
of the rest.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import apsw

from keyturn.store.disk import Disk

SECTOR = 512
NEEDS_FOLDER_SYNC = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL


@dataclass(slots=True)
class Write:
    inode: int
    offset: int
    data: bytes


@dataclass(slots=True)
class Truncate:
    inode: int
    size: int


@dataclass(slots=True)
class Sync:
    inode: int


@dataclass(slots=True)
class Link:
    name: str
    inode: int | None
    """None: the name was deleted."""


@dataclass(slots=True)
class SyncFolder:
    pass


@dataclass(slots=True)
class Acknowledged:
    """What the caller was told: from here on it must be there after every power cut."""

    facts: Mapping[str, int]


Event = Write | Truncate | Sync | Link | SyncFolder | Acknowledged


class Journal:
    """Everything that happened on the disk, in order.

    SQLite syncs the folder itself when it syncs a journal that it has made; `trusts_sqlite` says
    whether that counts.
    """

    def __init__(self, *, trusts_sqlite: bool = True) -> None:
        self.trusts_sqlite = trusts_sqlite
        self.events: list[Event] = []
        self._inodes: dict[str, int] = {}
        self._made = 0

    def inode(self, name: str) -> int:
        if name not in self._inodes:
            self._made += 1
            self._inodes[name] = self._made
            self.events.append(Link(name, self._made))
        return self._inodes[name]

    def delete(self, name: str) -> None:
        if self._inodes.pop(name, None) is not None:
            self.events.append(Link(name, None))


class RecordingVFS(apsw.VFS):
    def __init__(self, name: str, journal: Journal) -> None:
        self.journal = journal
        super().__init__(name, "")

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "RecordingFile":  # noqa: N802 - APSW's name
        return RecordingFile(name, flags, self.journal)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - APSW's name
        super().xDelete(filename, syncdir)
        self.journal.delete(Path(filename).name)
        if syncdir and self.journal.trusts_sqlite:
            self.journal.events.append(SyncFolder())


class RecordingFile(apsw.VFSFile):
    def __init__(
        self, name: str | apsw.URIFilename | None, flags: list[int], journal: Journal
    ) -> None:
        super().__init__("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._events = journal.events
        self._inode = journal.inode(Path(path or "temporary").name)
        # So does SQLite's own layer: the first sync of a journal that was made syncs its folder.
        made = flags[0] & apsw.SQLITE_OPEN_CREATE and flags[0] & NEEDS_FOLDER_SYNC
        self._sync_folder = bool(made and journal.trusts_sqlite)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - APSW's name
        super().xWrite(data, offset)
        self._events.append(Write(self._inode, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - APSW's name
        super().xTruncate(newsize)
        self._events.append(Truncate(self._inode, newsize))

    def xSync(self, flags: int) -> None:  # noqa: N802 - APSW's name
        super().xSync(flags)
        self._events.append(Sync(self._inode))
        if self._sync_folder:
            self._events.append(SyncFolder())
            self._sync_folder = False


@dataclass(frozen=True, slots=True)
class RecordingDisk(Disk):
    """A disk whose journal a test reads; `vfs` must be the name of a `RecordingVFS` on it."""

    journal: Journal = field(default_factory=Journal)
    syncs_folder: bool = True

    def prepare(self, path: Path) -> None:
        Disk.prepare(self, path)
        self.journal.inode(path.name)

    def sync_folder(self, folder: Path) -> None:
        if self.syncs_folder:
            self.journal.events.append(SyncFolder())


Change = Write | Truncate
Choice = Callable[[Random, list[Change]], list[Change]]


def nothing(_random: Random, _pending: list[Change]) -> list[Change]:
    return []


def some(random: Random, pending: list[Change]) -> list[Change]:
    return [change for change in pending if random.random() < 0.5]


def some_in_another_order(random: Random, pending: list[Change]) -> list[Change]:
    kept = some(random, pending)
    random.shuffle(kept)
    return kept


def torn(random: Random, pending: list[Change]) -> list[Change]:
    kept: list[Change] = []
    for change in pending:
        if isinstance(change, Truncate):
            kept += [change] * random.randrange(2)
            continue
        for start in range(0, len(change.data), SECTOR):
            if random.random() < 0.5:
                sector = change.data[start : start + SECTOR]
                kept.append(Write(change.inode, change.offset + start, sector))
    return kept


CHOICES: tuple[Choice, ...] = (nothing, some, some_in_another_order, torn)


class Platter:
    """What is durable so far, and what is not yet."""

    def __init__(self) -> None:
        self._content: dict[int, bytearray] = {}
        self._pending: dict[int, list[Change]] = {}
        self._names: dict[str, int] = {}
        self._links: list[Link] = []

    def apply(self, event: Event) -> None:
        match event:
            case Write() | Truncate():
                self._pending.setdefault(event.inode, []).append(event)
            case Sync():
                content = self._content.setdefault(event.inode, bytearray())
                for change in self._pending.pop(event.inode, []):
                    _change(content, change)
            case Link():
                self._links.append(event)
            case SyncFolder():
                for link in self._links:
                    _link(self._names, link)
                self._links = []
            case Acknowledged():
                pass

    def after_a_cut(self, random: Random, choice: Choice) -> dict[str, bytes]:
        """Choose what a power cut leaves, by name."""
        names = dict(self._names)
        for link in self._links:
            if choice is not nothing and random.random() < 0.5:
                _link(names, link)
        files = {}
        for name, inode in names.items():
            content = bytearray(self._content.get(inode, b""))
            for change in choice(random, self._pending.get(inode, [])):
                _change(content, change)
            files[name] = bytes(content)
        return files


def _change(content: bytearray, change: Change) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    content.extend(bytes(max(change.offset - len(content), 0)))
    content[change.offset : change.offset + len(change.data)] = change.data


def _link(names: dict[str, int], link: Link) -> None:
    if link.inode is None:
        names.pop(link.name, None)
    else:
        names[link.name] = link.inode


def states(journal: Journal, seed: int) -> Iterator[tuple[dict[str, bytes], dict[str, int]]]:
    """Cut the power after each event, once for each choice; give the files, and what was told.

    What was synced stays the same for long, and is given once.
    """
    random, platter, told = Random(seed), Platter(), dict[str, int]()  # noqa: S311 - as above
    synced: tuple[dict[str, bytes], dict[str, int]] | None = None
    for event in journal.events:
        platter.apply(event)
        if isinstance(event, Acknowledged):
            told |= event.facts
            continue
        for choice in CHOICES:
            left = platter.after_a_cut(random, choice), dict(told)
            if choice is nothing:
                if left == synced:
                    continue
                synced = left
            yield left
