"""Codes of an encoding that has not finished, in a hidden folder beside the index that they will become."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING

from vtsearch._atomic_io import aside, create_file, write_file
from vtsearch.encoding.chunks import Chunk, SavedChunk, load_chunk, read_chunks, remove_chunk, saved_rows, write_chunk
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

FORMAT = 3


class WorkFolder:
    """``.NAME.encode`` beside an index NAME.

    Its methods are for the holder of the index's writer lock, ``join``, ``save`` and ``keep`` also for those that share
    it.

    It holds ``record.json`` (what made the codes), ``chunks`` (the codes) and, while the finished index is put in its
    place, ``result.json`` (the identity of its folder). It is deleted in this order: without a record there is
    nothing to continue.
    """

    def __init__(self, target: Path) -> None:
        """The folder beside the index ``target``; nothing is created."""
        self.path = aside(target).with_suffix(".encode")
        self._target = target
        self._record, self._result, self._chunks = (
            self.path / name for name in ("record.json", "result.json", "chunks")
        )

    def open(self, fingerprints: Mapping[str, str], width: int) -> tuple[list[SavedChunk], str | None]:
        """The codes that an interrupted run has left, if it had the same fingerprints; otherwise the folder is empty.

        Args:
            fingerprints: of what makes the codes.
            width: bytes per code.

        Returns:
            Chunks in the order of their rows; and the name of the fingerprint that differs, or None.
        """
        record = {"format": FORMAT, **fingerprints}
        found = _read_json(self._record)
        differing = None
        if found != record:
            differing = next((name for name in record if found and found.get(name) != record[name]), None)
            self.remove()
        self._result.unlink(missing_ok=True)
        self._chunks.mkdir(parents=True, exist_ok=True)
        if not self._record.exists():
            write_file(self._record, json.dumps(record).encode())
        return read_chunks(self._chunks, width), differing

    def join(self, fingerprints: Mapping[str, str], width: int, rows: range) -> list[SavedChunk]:
        """The codes of some rows, in a folder into which several processes write those of others.

        Args:
            fingerprints: of what makes the codes.
            width: bytes per code.
            rows: which nobody else encodes.

        Raises:
            VtsearchError: the folder has codes of something else.
        """
        record = {"format": FORMAT, **fingerprints}
        self._chunks.mkdir(parents=True, exist_ok=True)
        try:
            create_file(self._record, json.dumps(record).encode())
        except FileExistsError as error:
            found = _read_json(self._record) or {}
            differing = next((name for name in record if found.get(name) != record[name]), None)
            if differing is not None:
                raise VtsearchError(
                    f"output: {self.path} has codes of another {differing}, from workers that run or were interrupted; "
                    "choose another folder, or delete it"
                ) from error
        return read_chunks(self._chunks, width, rows)

    @property
    def exists(self) -> bool:
        """Whether there is an encoding to continue."""
        return self._record.exists()

    def saved(self) -> int:
        """The number of rows that have codes."""
        return saved_rows(self._chunks)

    def save(self, chunk: Chunk) -> None:
        """Write a chunk, on disk to stay before this returns."""
        write_chunk(self._chunks, chunk)

    def load(self, chunks: Iterable[SavedChunk], width: int) -> Iterator[Chunk]:
        """Chunks with their codes and facts, one after the other.

        Raises:
            VtsearchError: a file that was damaged or deleted since.
        """
        return (load_chunk(self._chunks, chunk, width) for chunk in chunks)

    def keep(self, chunks: list[SavedChunk], wanted: Callable[[SavedChunk], bool]) -> list[SavedChunk]:
        """The chunks that are wanted; the files of the others are deleted."""
        kept = []
        for chunk in chunks:
            if wanted(chunk):
                kept.append(chunk)
            else:
                remove_chunk(self._chunks, chunk)
        return kept

    def announce(self, index: Path) -> None:
        """Note the finished index, just before it is put in its place."""
        write_file(self._result, json.dumps(folder_identity(index)).encode())

    def remove_if_done(self) -> None:
        """Delete the folder if its codes are in the index already, or if it has none."""
        result = _read_json(self._result)
        if not self._record.exists() or (result is not None and result == folder_identity(self._target)):
            self.remove()

    def remove_if_empty(self) -> None:
        """Delete the folder if no codes have been saved."""
        with contextlib.suppress(FileNotFoundError):
            if not any(path.suffix == ".npz" for path in self._chunks.iterdir()):
                self.remove()

    def remove(self) -> None:
        """Delete the folder; files that are not its own stay."""
        self._record.unlink(missing_ok=True)
        own = [*self._chunks.glob("*.npz"), *self._chunks.glob(".*.tmp"), *self.path.glob(".*.tmp"), self._result]
        for path in own:
            path.unlink(missing_ok=True)
        for folder in (self._chunks, self.path):
            with contextlib.suppress(OSError):
                folder.rmdir()


def folder_identity(folder: Path) -> dict[str, int] | None:
    """Device and inode of a folder; None if there is none."""
    try:
        found = os.stat(folder)  # noqa: PTH116
    except OSError:
        return None
    return {"device": found.st_dev, "inode": found.st_ino}


def _read_json(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
