"""The index: a folder of codes with ids, labels and metadata, searched where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from vtsearch._atomic_io import recover_folder
from vtsearch.errors import VtsearchError
from vtsearch.index.about import About, checked_bits, checked_indexed, checked_names, checked_texts
from vtsearch.index.create import is_vacant, place
from vtsearch.index.duplicate_groups import checked_rule, read_groups
from vtsearch.index.generation import Generation
from vtsearch.index.opening import open_generation
from vtsearch.index.reading import Reading
from vtsearch.index.store import FILE_NAME, new_file
from vtsearch.index.view import IndexView, Span, checked_span
from vtsearch.index.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    from vtsearch.duplicates import Duplicates
    from vtsearch.index.decisions import Decision
    from vtsearch.index.duplicate_groups import DuplicateGroup
    from vtsearch.index.where import Params


class Index(Writing, Reading):
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

    def reopened(self) -> Self:
        """Another handle, on the state that the folder has now; files that both have are opened once.

        Raises:
            VtsearchError: as ``refresh``.
        """
        return type(self)(self._path, open_generation(self._folder, self._generation()))

    def between(self, start: int, stop: int) -> IndexView:
        """A read-only view of items start .. stop - 1 of the state that answers; their positions are counted from 0.

        It stays at that state, shares its open files, and answers every question of an index. A segment that lies in
        it as a whole keeps its tables; one that is cut is scanned. A pickle or a copy of it opens the folder anew, and
        raises a VtsearchError if the index has changed since.

        Args:
            start: the position of the first item, from 0 to n.
            stop: the position after the last one, from start to n.

        Raises:
            TypeError: start or stop that is not an int.
            ValueError: start or stop out of range.

        Example:
            >>> import numpy as np, vtsearch
            >>> codes = np.array([[0], [1], [3]], dtype=np.uint8)
            >>> with vtsearch.Index.create("letters", bits=8) as index:
            ...     index.add(codes, ids=["a", "b", "c"])
            ...     index.between(1, 3).search(codes[:1], k=1).ids
            [['b']]
        """
        generation = self._generation()
        span = Span(self._folder, *checked_span(start, stop, len(generation)), generation.about.next)
        return IndexView(span.cut(generation), (span,), self._path)

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
