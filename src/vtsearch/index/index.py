"""The index: a folder of codes with ids, labels and metadata, searched where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from vtsearch._atomic_io import recover_folder
from vtsearch._masks import checked_mask
from vtsearch._validate import checked_positions, whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index.about import About, checked_bits, checked_indexed, checked_names, checked_texts
from vtsearch.index.analysis import Analysis
from vtsearch.index.create import is_vacant, place
from vtsearch.index.duplicate_groups import checked_rule, read_groups
from vtsearch.index.generation import Generation
from vtsearch.index.ids import Ids
from vtsearch.index.opening import open_generation
from vtsearch.index.store import FILE_NAME, new_file
from vtsearch.index.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch.duplicates import Duplicates
    from vtsearch.index.decisions import Decision
    from vtsearch.index.duplicate_groups import DuplicateGroup
    from vtsearch.index.labels import Labels
    from vtsearch.index.metadata import Value
    from vtsearch.index.segments import Segment
    from vtsearch.index.where import Params


class Index(Writing, Analysis):
    """Codes on disk, with the ids, labels and metadata of their items.

    An open index answers from the state that it opened, or that its own last change left, whatever becomes of the
    folder, until ``refresh``. It may be used by any number of threads at once. A pickle or a copy of it opens the
    folder anew. After ``close`` everything but ``path`` raises a VtsearchError.

    Example:
        >>> import numpy as np, vtsearch
        >>> codes = np.array([[0, 1], [0, 255], [0, 3]], dtype=np.uint8)
        >>> with vtsearch.Index.create("flowers", bits=16) as index:
        ...     index.add(codes, ids=["rose.jpg", "oak.jpg", "tulip.jpg"])
        ...     answers = index.search(codes[:1], k=2)
        >>> answers.distances.tolist(), answers.ids
        ([[0, 1]], [['rose.jpg', 'tulip.jpg']])
    """

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        bits: int,
        *,
        fingerprints: Mapping[str, str] | None = None,
        classes: Sequence[str] = (),
        description: Mapping[str, str] | None = None,
        indexed: Sequence[str] = (),
    ) -> Self:
        """A new, empty index in a new folder, which appears in one step.

        Args:
            path: a folder that does not exist yet, or is empty; its parents are made.
            bits: length of the codes, from 1 to 65,528.
            fingerprints: name -> identity of what made the codes ("model", "preprocessing", "arithmetic", "split").
            classes: class names by class id.
            description: free-form metadata, such as the folder of the images.
            indexed: columns of metadata, or "id" and "label", that get a B-tree: ``where`` finds few of many items
                faster by it, and changes take longer.

        Raises:
            ValueError: bits out of range; indexed names that no column can have.
            TypeError: bits that is not an int; other arguments that are not strings.
            FileExistsError: a folder with something in it.
        """
        about = About(
            checked_bits(bits),
            fingerprints=checked_texts("fingerprints", fingerprints),
            classes=checked_names("classes", classes),
            description=checked_texts("description", description),
            indexed=checked_indexed(indexed),
        )
        folder = Path(path)
        recover_folder(folder)
        if not is_vacant(folder):
            raise FileExistsError(f"path: expected a new or empty folder, got {folder}, which has something in it")
        place(folder, new_file(about))
        return cls(folder, Generation(about, []))

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """An index that exists; maps its codes and reads none.

        Raises:
            FileNotFoundError: no such folder.
            VtsearchError: a folder that is no index, or one with missing, truncated or corrupt files.
        """
        folder = Path(path)
        recover_folder(folder)
        if not folder.exists():
            raise FileNotFoundError(2, "no such index", str(folder))
        if not (folder / FILE_NAME).is_file():
            raise VtsearchError(f"{folder}: expected an index (a folder with {FILE_NAME})")
        return cls(folder, open_generation(folder.absolute()))

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    @property
    def bits(self) -> int:
        """Length of the codes."""
        return self._generation().about.bits

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints by name: "model", "preprocessing", "arithmetic", "split"."""
        return dict(self._generation().about.fingerprints)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by class id; empty if unknown."""
        return self._generation().about.classes

    @property
    def description(self) -> dict[str, str]:
        """The free-form metadata given to ``create``."""
        return dict(self._generation().about.description)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The files of codes and items, in the order of their items."""
        return tuple(part.segment for part in self._generation().parts)

    @property
    def generation(self) -> str:
        """The name of the state that answers: another one after each change of the items or settings."""
        return self._generation().about.next

    def reopened(self) -> Self:
        """Another handle, on the state that the folder has now; files that both have are opened once.

        Raises:
            VtsearchError: as ``refresh``.
        """
        return type(self)(self._path, open_generation(self._folder, self._generation()))

    def __len__(self) -> int:
        return len(self._generation())

    def codes(self) -> NDArray[np.uint8]:
        """(n, bytes) uint8: the mapped file where there is one segment, else a copy of all."""
        parts = self._generation().codes()
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def database(self, *, mask: ArrayLike | None = None, bits: int | None = None) -> Database:
        """The codes of all segments, mapped and not joined, as every function with ``db_codes`` takes them.

        Args:
            mask: (n,) bool, or its ``numpy.packbits``, or the positions of the allowed items, ascending.
            bits: only the first bits of the codes, in memory, as for ``search``.

        Raises:
            TypeError: a mask of another dtype; bits that are no int.
            ValueError: a mask of another length; bits beyond the length of the codes.
        """
        generation = self._generation()
        if bits is not None and whole_number("bits", bits, 1, self.bits) < self.bits:
            database = generation.prefixes(bits)
        else:
            database = generation.database
        return database.with_mask(checked_mask(mask, len(database)))

    def code(self, position: int) -> NDArray[np.uint8]:
        """(1, bytes) uint8: a copy of the code at a position of 0 .. n - 1, of which nothing else is read.

        Raises:
            IndexError: a position beyond the items.
        """
        database = self.database()
        if not 0 <= position < len(database):
            raise IndexError(f"position: expected one of {len(database)} items, got {position}")
        return database.rows(np.array([position]))

    def ids(self) -> list[str]:
        """The n external ids, by position."""
        return self._generation().ids()

    def labels(self) -> Labels | None:
        """int64 (n,), or uint8 0/1 (n, classes), or None for an index without labels."""
        return self._generation().labels()

    def columns(self) -> dict[str, str]:
        """The columns of metadata, with their types: "INTEGER", "REAL" or "TEXT"."""
        return dict(self._generation().about.columns)

    @property
    def indexed(self) -> tuple[str, ...]:
        """The columns that have a B-tree."""
        return self._generation().about.indexed

    def metadata(self) -> dict[str, list[Value]]:
        """The columns of metadata by name, n values each, by position; None where there is none."""
        return self._generation().metadata()

    def metadata_at(self, positions: ArrayLike) -> dict[str, list[Value]]:
        """The columns of metadata by name, for some items: those of an answer, in its order.

        Args:
            positions: (m,) integers.

        Raises:
            IndexError: a position beyond the items.
            TypeError: positions that are no integers.
        """
        return self._generation().metadata_at(checked_positions("positions", positions))

    def where(self, condition: str, params: Params = (), *, seconds: float | None = None) -> NDArray[np.bool_]:
        """The items that a condition in SQL holds for, as a mask: what the searches do with ``where``.

        Args:
            condition: what may stand after WHERE: an expression of the columns ``id``, ``label`` (of an index with one
                label per item) and those of ``columns()``, such as ``"label = ? and taken > ?"``, with functions
                of SQLite that only compute. ``has_label(labels, 3)`` asks for one of several labels. A column that an
                item lacks is NULL. Names that are words of SQL stand in double quotes, texts in single ones.
            params: a value for each ``?``, or by name for ``:name``: numbers, strings, dates (as ISO texts).
            seconds: that it may take; by default a minute.

        Returns:
            (n,) bool.

        Raises:
            TypeError: a condition that is not a string; parameters of other types.
            ValueError: a condition that SQLite does not take, or that does more than compute from columns.
            VtsearchError: a condition that takes longer; a damaged file.
        """
        return self._generation().mask(condition, params, seconds)

    def ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id of some items.

        Raises:
            IndexError: a position beyond the items.
        """
        return self._generation().ids_at(positions)

    def position(self, name: str) -> int:
        """Where the item with this id is.

        Raises:
            KeyError: an id that is not in the index.
            TypeError: an id that is not a string.
        """
        if not isinstance(name, str):
            raise TypeError(f"name: expected a string, got {type(name).__name__}")
        (found,) = self._generation().positions_of(Ids.of([name])).tolist()
        if found < 0:
            raise KeyError(name)
        return int(found)

    def positions_of(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """The position of each of some ids, -1 for one that the index does not have: what ``exclude`` takes.

        Args:
            ids: q external ids, such as those of the queries.

        Returns:
            (q,) int64.

        Raises:
            TypeError: ids that are not strings.
        """
        return self._generation().positions_of(Ids.of(checked_names("ids", ids)))

    def decisions(self) -> tuple[Decision, ...]:
        """What people said of near-duplicates, in the order in which they did; read from the folder as it is now."""
        self._generation()
        return self._store.decisions().decisions

    def duplicate_groups(
        self,
        radius: int,
        *,
        keep: str = "first",
        answered: bool = False,
        new: bool = False,
        found: Duplicates | None = None,
        max_diameter: int | None = None,
        where: str | None = None,
        params: Params = (),
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> list[DuplicateGroup]:
        """Groups of near-duplicates to decide on: with the item to keep first, and without those that are answered.

        Groups are those of ``deduplicate``, but no chain goes from an item straight to one that was said to be
        distinct. A group is answered if each of its items is to be kept or to be removed.

        Args:
            radius: largest distance of a step, in bits.
            keep: which item comes first, to be kept: "first", the one added first; "largest", with the most pixels,
                then bytes; "oldest" or "newest", by ``taken`` or else ``modified``; "path=PREFIX", whose id begins so.
                Items that were decided to be kept come before all, those to be removed after all.
            answered: whether groups that are answered are among them.
            new: only groups that no earlier call with ``new`` returned; a group with a further item is another one.
            found: what ``deduplicate`` of this state of the index gave for this radius, if it was called already, with
                the next three arguments; it is not called again.
            max_diameter: as for ``deduplicate``.
            where: as for ``deduplicate``.
            params: as for ``deduplicate``.
            threads: as for ``deduplicate``.
            progress: as for ``deduplicate``.

        Raises:
            TypeError, ValueError: another rule; as ``deduplicate``.
            VtsearchError: a damaged index; with ``new``, as ``add``.
        """
        rule = checked_rule(keep)
        generation, known = self._generation(), self._store.decisions()
        if found is None:
            found = Index(self._path, generation).deduplicate(
                radius, max_diameter=max_diameter, where=where, params=params, threads=threads, progress=progress
            )
        groups = read_groups(generation, found, radius, rule, known, threads=threads)
        if not answered:
            groups = [group for group in groups if not group.is_answered]
        if new:
            groups = [group for group in groups if group.key not in known.shown]
            keys = {group.key for group in groups}
            if keys:
                self._decide(lambda before: before._replace(shown=before.shown | keys))
        return groups

    def verify(self) -> None:
        """Read every byte that decides an answer and compare it with the checksums written with it.

        Raises:
            VtsearchError: naming the first file that is not what was written; a folder that holds another index by now.
        """
        generation = self._generation()
        self._store.verify(generation.about.uuid)
        generation.verify()

    def close(self) -> None:
        """Close the files; arrays that were returned stay valid."""
        self._open = None

    def __enter__(self) -> Self:
        self._generation()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        self._generation()
        return type(self).open, (self._folder,)

    def __repr__(self) -> str:
        if self._open is None:
            return f"Index({str(self._path)!r}, closed)"
        return f"Index({str(self._path)!r}, {len(self)} items, {self.bits} bits)"

    def _frozen(self) -> Index:
        return Index(self._path, self._generation())
