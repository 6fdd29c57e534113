"""The folder through which tasks hand each other arrays: what is there is finished."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from vtsearch._atomic_io import place_folder, temporary
from vtsearch.errors import VtsearchError

_NPY_START = 10
"""Bytes before the header of a file of numpy: its name, version, and the length of the header."""


@dataclass(frozen=True)
class Work:
    """Each task has a folder of its own; it appears when the task is done, with all its arrays."""

    folder: Path
    is_kept: bool
    """Whether it outlives this process: arrays are then flushed to the disk before the folder appears."""

    def place(self, name: str) -> Path:
        """The folder of a task."""
        return self.folder / name

    def is_done(self, name: str) -> bool:
        """Whether a task is."""
        return self.place(name).is_dir()

    @contextmanager
    def results(self, name: str) -> Iterator[Path]:
        """An empty folder to fill; it appears as that of the task, unless that is there by then.

        Raises:
            OSError: a disk that is full or refuses.
        """
        fresh, place = temporary(self.place(name)), self.place(name)
        fresh.mkdir()
        try:
            yield fresh
            if self.is_kept:
                place_folder(fresh, place)
            else:
                fresh.rename(place)
        except OSError:
            if not place.is_dir():  # else another run of the same task was faster
                raise
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def array(self, name: str, array: str) -> NDArray[Any]:
        """A map of an array of a task.

        Raises:
            VtsearchError: missing or damaged.
        """
        path = self._path(name, array)
        try:
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        except (OSError, ValueError, EOFError) as error:
            raise self._damaged(path, error) from error

    def values(self, name: str, array: str, begin: int, end: int, dtype: DTypeLike) -> NDArray[Any]:
        """(end - begin,): some values of an array of a task, in their order in the file; many small reads are quick.

        Raises:
            VtsearchError: missing or damaged.
        """
        path, kind = self._path(name, array), np.dtype(dtype)
        try:
            with path.open("rb", buffering=0) as file:
                start = file.read(_NPY_START)
                file.seek(_NPY_START + int.from_bytes(start[8:], "little") + begin * kind.itemsize)
                found = np.fromfile(file, kind, end - begin)
        except OSError as error:
            raise self._damaged(path, error) from error
        if start[:6] != b"\x93NUMPY":
            raise self._damaged(path, "no array")
        if len(found) != end - begin:
            raise self._damaged(path, f"{len(found):,} values of {end - begin:,}")
        return found

    def _path(self, name: str, array: str) -> Path:
        return self.place(name) / f"{array}.npy"

    def _damaged(self, path: Path, found: object) -> VtsearchError:
        again = f"delete {self.folder} and run again"
        return VtsearchError(f"{path}: expected an array of a finished task, got {found}; {again}")

    def drop(self, name: str, *arrays: str) -> None:
        """Delete arrays of a task that nobody reads any more; the task stays done."""
        for array in arrays:
            self._path(name, array).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what killed runs of tasks left, once all are done."""
        for path in self.folder.glob(".*.tmp"):
            shutil.rmtree(path, ignore_errors=True)
        for path in self.folder.glob(".*.lock"):
            path.unlink(missing_ok=True)


def save(folder: Path, **arrays: NDArray[Any]) -> None:
    """Write arrays into the folder of a task, each under its name.

    Raises:
        OSError: a disk that is full or refuses.
    """
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array, allow_pickle=False)


def mapped(folder: Path, name: str, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """A new array in the folder of a task, to be filled in place."""
    if 0 in shape:  # nothing can be mapped
        array = np.empty(shape, dtype)
        save(folder, **{name: array})
        return array
    return np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape)
