"""Model of a disk with a volatile cache: the bytes and names left after a power cut.

As in POSIX, ``fsync`` of a file keeps its bytes, and ``fsync`` of a folder its names. Any part of the rest may be lost.
"""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping
    from pathlib import Path

LUCK = (0.0, 0.2, 0.5, 0.8, 1.0)
"""Probabilities that a single unsynced operation survives; a power cut draws one of them."""


class File:
    """The bytes of a file, and those that are on the medium."""

    def __init__(self, synced: bytes | None = None) -> None:
        self.content = bytearray(synced or b"")
        self._synced = synced
        self._dirty = synced is None
        self._failed = False

    def truncate(self) -> None:
        """Empty the file."""
        self.content.clear()
        self._dirty, self._failed = True, False

    def write(self, start: int, data: bytes) -> None:
        """Write bytes that are not synced."""
        self.content[start : start + len(data)] = data
        self._dirty, self._failed = True, False

    def sync(self) -> None:
        """Keep the bytes, unless an earlier sync of them failed: the system reports that once and drops them."""
        if not self._failed:
            self._synced, self._dirty = bytes(self.content), False

    def fail(self) -> None:
        """Drop unsynced bytes from the cache, as a failed sync does."""
        self._failed = self._dirty

    def after_power_cut(self, chance: random.Random, luck: float) -> bytes:
        """The bytes that are left."""
        old, new = self._synced or b"", bytes(self.content)
        if not self._dirty:
            return old
        if chance.random() < luck:
            return new
        return garbled(chance, old, new)


class Folder:
    """The names of a folder, and those that are on the medium."""

    def __init__(self) -> None:
        self.names: dict[str, File | Folder] = {}
        self._synced: dict[str, File | Folder] = {}
        self._pending: list[Mapping[str, File | Folder | None]] = []

    def change(self, names: Mapping[str, File | Folder | None]) -> None:
        """Set names, or take them away with None: all of them in one step."""
        self._pending.append(names)
        self.names = changed(self.names, names)

    def sync(self) -> None:
        """Keep the names."""
        self._synced, self._pending = dict(self.names), []

    def after_power_cut(self, chance: random.Random, luck: float) -> dict[str, File | Folder]:
        """The names that are left: some of the unsynced operations, or the first ones, as a journal keeps them."""
        count = chance.randint(0, len(self._pending))
        in_order = chance.random() < 0.3
        left = self._synced
        for number, names in enumerate(self._pending):
            if number < count if in_order else chance.random() < luck:
                left = changed(left, names)
        return left


Names = dict[str, "File | Folder"]


class Disk:
    """Model of the files and folders in a real folder, which only these operations change."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.adopt()

    def at(self, path: Path) -> File | Folder | None:
        """The file or folder of a path."""
        node: File | Folder | None = self._root
        for name in path.relative_to(self.base).parts:
            node = node.names.get(name) if isinstance(node, Folder) else None
        return node

    def folder(self, path: Path) -> Folder:
        """A folder that exists."""
        node = self.at(path)
        assert isinstance(node, Folder)
        return node

    def of_descriptor(self, descriptor: int) -> File | Folder | None:
        """The file or folder that is open."""
        found = os.fstat(descriptor)
        return self._by_inode.get((found.st_dev, found.st_ino))

    def put(self, path: Path, node: File | Folder) -> None:
        """Give a new file or folder, or one that has another name, a name that is not synced."""
        self._register(path, node)
        self.folder(path.parent).change({path.name: node})

    def remove(self, path: Path) -> None:
        """Take a name away."""
        self.folder(path.parent).change({path.name: None})

    def rename(self, old: Path, new: Path) -> None:
        """Rename within a folder, in one step."""
        folder = self.folder(old.parent)
        folder.change({old.name: None, new.name: folder.names[old.name]})

    def keep(self, path: Path) -> None:
        """Take over a file of somebody else, synced."""
        file = File(path.read_bytes())
        self._register(path, file)
        folder = self.folder(path.parent)
        folder.names[path.name] = folder._synced[path.name] = file

    def power_cut(self, chance: random.Random) -> None:
        """Reduce the real folder to the names and bytes that survive a power cut."""
        left = _survivors(self._root, chance, chance.choice(LUCK))
        shutil.rmtree(self.base)
        _materialize(self.base, left)
        self.adopt()

    def _register(self, path: Path, node: File | Folder) -> None:
        found = path.stat()
        self._by_inode[found.st_dev, found.st_ino] = node

    def adopt(self) -> None:
        """Begin with the content of the real folder, synced."""
        self._by_inode: dict[tuple[int, int], File | Folder] = {}
        self._root = self._adopted(self.base)

    def _adopted(self, path: Path) -> Folder:
        folder = Folder()
        self._register(path, folder)
        for entry in sorted(path.iterdir()):
            if entry.is_dir():
                folder.names[entry.name] = self._adopted(entry)
            else:
                folder.names[entry.name] = file = File(entry.read_bytes())
                self._register(entry, file)
        folder.sync()
        return folder


def changed(before: Names, names: Mapping[str, File | Folder | None]) -> Names:
    """Names after one operation."""
    after: dict[str, File | Folder | None] = {**before, **names}
    return {name: node for name, node in after.items() if node is not None}


def garbled(chance: random.Random, old: bytes, new: bytes) -> bytes:
    """The bytes of a file of which only a part was written."""
    start, stop = sorted(chance.randint(0, len(new)) for _ in range(2))
    return chance.choice(
        [
            old,
            b"",
            new[:stop],
            bytes(len(new)),
            new[:start] + bytes(stop - start) + new[stop:],
            new[:start] + chance.randbytes(stop - start) + new[stop:],
            (old + bytes(len(new)))[:start] + new[start:],
        ]
    )


def _survivors(folder: Folder, chance: random.Random, luck: float) -> dict[str, object]:
    left = folder.after_power_cut(chance, luck)
    return {
        name: _survivors(node, chance, luck) if isinstance(node, Folder) else node.after_power_cut(chance, luck)
        for name, node in sorted(left.items(), key=lambda item: item[0])
    }


def _materialize(path: Path, left: object) -> None:
    if isinstance(left, dict):
        path.mkdir()
        for name, each in left.items():
            _materialize(path / name, each)
    else:
        assert isinstance(left, bytes)
        path.write_bytes(left)
