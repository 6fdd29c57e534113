"""Codes that another tool has written, with whatever of ids, labels and metadata came with them."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vtsearch._atomic_io import place_folder, remove_leftovers, resolved, temporary, writer_lock
from vtsearch._validate import codes_of_bits
from vtsearch.errors import VtsearchError
from vtsearch.exchange.items import Items
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from os import PathLike

    import numpy as np
    from numpy.typing import NDArray

    from vtsearch._file_lock import FileLock
    from vtsearch.exchange.facts import Facts


@dataclass(frozen=True)
class Content:
    """Codes and what came with them, read from the source in ranges, as ``into`` and ``create`` need them.

    ``codes``, ``ids``, ``labels`` and ``metadata`` read all of it into memory.
    """

    source: str
    """Path, or address without a password."""
    facts: Facts
    """Code length, fingerprints, class names, description."""
    ranges: Callable[[], Iterator[Items]]
    """Reads the items from the beginning, in order."""
    remarks: tuple[str, ...] = ()
    """What a user should know of these codes, such as features of exactly 0."""

    @property
    def bits(self) -> int:
        """Length of the codes."""
        return self.facts.bits

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints by name, as of ``Index``; empty where the source has none."""
        return dict(self.facts.fingerprints)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by class id; empty if unknown."""
        return self.facts.classes

    @property
    def description(self) -> dict[str, str]:
        """Free-form metadata of the index that was exported."""
        return dict(self.facts.description)

    @property
    def codes(self) -> NDArray[np.uint8]:
        """(n, bytes) uint8, packed."""
        return self._items.codes

    @property
    def ids(self) -> Sequence[str] | None:
        """N strings, or None where the source has none."""
        return self._items.ids

    @property
    def labels(self) -> NDArray[Any] | None:
        """int64 (n,), or uint8 0/1 (n, classes), or None."""
        return self._items.labels

    @property
    def metadata(self) -> Mapping[str, Sequence[Any]]:
        """Columns by name, n values each."""
        return self._items.metadata

    def into(self, index: Index, *, replace: bool = False) -> int:
        """Add all items to an index, in one change: all of them or, after a crash or an error, none.

        Args:
            index: of the same code length and, where the source has fingerprints, of the same model. All items are
                in memory at once; for many, ``create`` a new index.
            replace: items take the place of those that have the same ids, which are otherwise refused.

        Returns:
            The number of items.

        Raises:
            VtsearchError: another code length; other fingerprints or class names; as ``Index.add``.
            TypeError, ValueError, OSError: as ``Index.add``, such as ids that the index has; ``replace`` without ids.
        """
        if self.bits != index.bits:
            raise VtsearchError(
                f"{self.source}: expected codes of {index.bits} bits as in {index.path}, got {self.bits}"
            )
        if self.classes and index.classes and self.classes != index.classes:
            raise VtsearchError(
                f"{self.source}: expected the classes of {index.path} ({', '.join(index.classes)}), "
                f"got {', '.join(self.classes)}"
            )
        items, fingerprints = self._items, self.fingerprints or None
        if not replace:
            index.add(items.codes, items.ids, items.labels, items.metadata, fingerprints=fingerprints)
        elif items.ids is None:
            raise ValueError(f"replace: expected items with ids, got {self.source}, which has none")
        else:
            index.upsert(items.codes, items.ids, items.labels, items.metadata, fingerprints=fingerprints)
        return len(items.codes)

    def create(self, path: str | PathLike[str]) -> int:
        """Write a new index, which appears in one step; the items are read in ranges.

        Args:
            path: a folder that does not exist yet, or is empty; its parents are made.

        Returns:
            The number of items.

        Raises:
            FileExistsError: a folder with something in it, or a file.
            BlockingIOError: another process is writing it.
            TypeError, ValueError, VtsearchError: a source with damaged or invalid content; names it.
            OSError: a folder that cannot be written.
        """
        folder = resolved(Path(path))
        if os.path.lexists(folder) and not (folder.is_dir() and not any(folder.iterdir())):
            raise FileExistsError(f"output: expected a new or empty folder, got {path}, which has something in it")
        with _claimed(folder) as lock:
            if lock.is_exclusive:
                remove_leftovers(folder)
            fresh = temporary(folder)
            try:
                count = self._write(fresh)
                place_folder(fresh, folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
        return count

    @cached_property
    def _items(self) -> Items:
        return Items.joined(self.facts.width, self.ranges())

    def _write(self, folder: Path) -> int:
        facts, count = self.facts, 0
        with Index.create(
            folder,
            facts.bits,
            fingerprints=facts.fingerprints,
            classes=facts.classes,
            description=facts.description,
        ) as index:
            for items in self.ranges():
                if len(items.codes):
                    self._add(index, items)
                    count += len(items.codes)
        return count

    def _add(self, index: Index, items: Items) -> None:
        """Add a range to an index; errors name the source.

        Raises:
            TypeError, ValueError: as ``Index.add``.
        """
        try:
            index.add(items.codes, items.ids, items.labels, items.metadata)
        except (TypeError, ValueError) as error:
            text = str(error).replace(f", which is in {index.path}", " twice")
            raise type(error)(f"{self.source}: {text}") from error


def _claimed(folder: Path) -> FileLock:
    """The lock of a folder that is to be made.

    Raises:
        BlockingIOError: another process is writing it.
        OSError: a place where no folder can be made; names the folder.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        return writer_lock(folder)
    except BlockingIOError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(folder)) from error


def content_of(source: str, facts: Facts, items: Items, remarks: Sequence[str] = ()) -> Content:
    """Content of arrays in memory.

    Raises:
        ValueError: codes of another width than the facts say, or with bits set after the last one; names the source.
    """
    return Content(
        source, facts, items._replace(codes=checked_codes(source, items.codes, facts.bits)).ranges, tuple(remarks)
    )


def checked_codes(source: str, codes: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """(n, bytes) codes of a length, with 0 in the bits after the last one.

    Raises:
        ValueError: others; names the source.
    """
    try:
        return codes_of_bits(codes, bits)[0]
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error
