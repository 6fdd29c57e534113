"""The index: a folder of codes with ids, labels and metadata, searched where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from vtsearch import duplicates, ranking
from vtsearch._atomic_io import sync_folder
from vtsearch._database import Database
from vtsearch.errors import VtsearchError
from vtsearch.evaluation import Evaluation, evaluate
from vtsearch.index.items import (
    checked_bits,
    checked_codes,
    checked_ids,
    checked_metadata,
)
from vtsearch.index.labels import LabelForm, Labels, checked_labels, pack_labels, same_form, unpack_labels
from vtsearch.index.segments import (
    CODES_FOLDER,
    Segment,
    map_segment,
    remove_orphans,
    verify_segment,
    write_segment,
)
from vtsearch.index.store import FILE_NAME, About, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray

    from vtsearch.metrics import Normalizer


class Answers(NamedTuple):
    """The nearest items of each query, nearest first, in the order (distance, index)."""

    distances: NDArray[np.int32]
    """(q, k)"""
    indices: NDArray[np.int64]
    """(q, k) positions in the index."""
    ids: list[list[str]]
    """q rows of k external ids."""


class Index:
    """Codes on disk, with the ids, labels and metadata of their items.

    Example:
        >>> import numpy as np, vtsearch
        >>> codes = np.array([[0, 1], [0, 255], [0, 3]], dtype=np.uint8)
        >>> with vtsearch.Index.create("flowers", bits=16) as index:
        ...     index.add(codes, ids=["rose.jpg", "oak.jpg", "tulip.jpg"])
        ...     answers = index.search(codes[:1], k=2)
        >>> answers.distances.tolist(), answers.ids
        ([[0, 1]], [['rose.jpg', 'tulip.jpg']])
    """

    def __init__(self, path: Path, store: Store) -> None:
        """Use ``create`` or ``open``."""
        self._path, self._store = path, store
        self._about = store.about()
        self._segments: list[Segment] = []
        self._mapped: list[NDArray[np.uint8]] = []
        self._map()

    @classmethod
    def create(
        cls,
        path: str | PathLike[str],
        bits: int,
        *,
        fingerprints: Mapping[str, str] | None = None,
        classes: Sequence[str] = (),
        description: Mapping[str, str] | None = None,
    ) -> Self:
        """A new, empty index in a new folder.

        Args:
            path: a folder that does not exist yet, or is empty; its parents are made.
            bits: length of the codes, at least 1.
            fingerprints: name -> identity of what made the codes ("model", "preprocessing", "arithmetic", "split").
            classes: class names by class id.
            description: free-form metadata, such as the folder of the images.

        Raises:
            ValueError: bits below 1.
            TypeError: bits that is not an int.
            FileExistsError: a folder with something in it.
        """
        bits = checked_bits(bits)
        folder = Path(path)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise FileExistsError(f"path: expected a new or empty folder, got {folder}, which has something in it")
        (folder / CODES_FOLDER).mkdir(parents=True)
        about = About(
            bits,
            fingerprints=dict(fingerprints or {}),
            classes=tuple(classes),
            description=dict(description or {}),
        )
        store = Store.create(folder / FILE_NAME, about)
        sync_folder(folder)
        return cls(folder, store)

    @classmethod
    def open(cls, path: str | PathLike[str]) -> Self:
        """An index that exists; maps its codes and reads none.

        Raises:
            FileNotFoundError: no such folder.
            VtsearchError: a folder that is no index, or one with missing, truncated or corrupt files.
        """
        folder = Path(path)
        if not folder.exists():
            raise FileNotFoundError(2, "no such index", str(folder))
        if not (folder / FILE_NAME).is_file():
            raise VtsearchError(f"{folder}: expected an index (a folder with {FILE_NAME})")
        store = Store(folder / FILE_NAME)
        try:
            return cls(folder, store)
        except VtsearchError:
            store.close()
            raise

    @property
    def path(self) -> Path:
        """The folder."""
        return self._path

    @property
    def bits(self) -> int:
        """Length of the codes."""
        return self._about.bits

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints by name: "model", "preprocessing", "arithmetic", "split"."""
        return dict(self._about.fingerprints)

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names by class id; empty if unknown."""
        return self._about.classes

    @property
    def description(self) -> dict[str, str]:
        """The free-form metadata given to ``create``."""
        return dict(self._about.description)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The files of codes, in the order of their items."""
        return tuple(self._segments)

    def __len__(self) -> int:
        return sum(segment.items for segment in self._segments)

    def add(
        self,
        codes: NDArray[np.uint8],
        ids: Sequence[str] | None = None,
        labels: ArrayLike | None = None,
        metadata: Sequence[Mapping[str, object]] | None = None,
        *,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        """Append items: all of them or, after a crash or an error, none.

        Args:
            codes: (n, ceil(bits / 8)) uint8, packed.
            ids: n different strings, new to this index; by default the positions as decimal numbers.
            labels: int64 (n,) or 0/1 (n, classes); all items of an index have labels of one form, or none has.
            metadata: n mappings that JSON can keep.
            fingerprints: of what made these codes; must be those of the index.

        Raises:
            TypeError: codes that are not uint8, ids that are not strings.
            ValueError: other width or lengths, ids that repeat, labels of another form.
            VtsearchError: other fingerprints; a file that cannot be written.
        """
        if fingerprints is not None:
            self.check_fingerprints(fingerprints)
        codes = checked_codes(codes, self.bits)
        with self._store.writing():
            self._about, segments = self._store.about(), self._store.segments()
            first = sum(segment.items for segment in segments)
            names, array = checked_ids(ids, first, len(codes)), checked_labels(labels, len(codes))
            form, texts = LabelForm.of(array), checked_metadata(metadata, len(codes))
            if first:
                same_form(self._about.labels, form)
                self._refuse_known(names)
            if len(codes):
                remove_orphans(self._path, segments)
                self._store.add_segment(write_segment(self._path, codes))
                self._store.add_items(first, names, pack_labels(array, len(codes)), texts)
                self._store.set_labels(form)
        self._about = self._store.about()
        self._map()

    def codes(self) -> NDArray[np.uint8]:
        """(n, bytes) uint8: the mapped file where there is one segment, else a copy of all."""
        if len(self._mapped) == 1:
            return self._mapped[0]
        return np.concatenate([np.empty((0, self._width), dtype=np.uint8), *self._mapped])

    def database(self, *, mask: ArrayLike | None = None) -> Database:
        """The codes of all segments, mapped and not joined, as every function with ``db_codes`` takes them.

        Args:
            mask: (n,) bool, or its ``numpy.packbits``; items whose mask is False are ignored.

        Raises:
            TypeError: a mask of another dtype.
            ValueError: a mask of another length.
        """
        return Database(self._mapped or [np.empty((0, self._width), dtype=np.uint8)], mask=mask)

    def code(self, position: int) -> NDArray[np.uint8]:
        """(1, bytes) uint8: a copy of the code at a position of 0 .. n - 1, of which nothing else is read.

        Raises:
            IndexError: a position beyond the items.
        """
        for codes in self._mapped:
            if 0 <= position < len(codes):
                return np.array(codes[position : position + 1])
            position -= len(codes)
        raise IndexError(f"position: expected one of {len(self)} items, got {position + len(self)}")

    def ids(self) -> list[str]:
        """The n external ids, by position."""
        return self._store.ids(len(self))

    def labels(self) -> Labels | None:
        """int64 (n,), or uint8 0/1 (n, classes), or None for an index without labels."""
        form = self._about.labels
        return None if form.kind == "none" else unpack_labels(self._store.labels(len(self)), form)

    def metadata(self) -> list[dict[str, object]]:
        """The n mappings given to ``add``; empty where there was none."""
        return self._store.metadata(len(self))

    def position(self, name: str) -> int:
        """Where the item with this id is.

        Raises:
            KeyError: an id that is not in the index.
        """
        found = self._store.position(name)
        if found is None or found >= len(self):
            raise KeyError(name)
        return found

    def search(
        self,
        query_codes: NDArray[np.uint8],
        k: int | None = None,
        *,
        mask: ArrayLike | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Answers:
        """The k nearest items of each query, nearest first.

        Codes of more than 256 MiB in all leave memory as the scan goes on, as for ``vtsearch.rank``.

        Args:
            query_codes: (q, bytes) uint8, packed; a single (bytes,) code is a batch of one.
            k: results per query, at least 1; None, or more than there are, means all.
            mask: (n,) bool, or its ``numpy.packbits``; items whose mask is False are ignored.
            threads: upper bound; by default the CPUs that this process may use.
            progress: called with items done and items in all as the scan goes on.

        Returns:
            distances, indices and ids, all (q, min(k, items allowed)), ordered by (distance, index).

        Raises:
            TypeError: codes that are not uint8; progress that is not a function.
            ValueError: another width, k below 1, a mask of another length.
        """
        database = self.database(mask=mask)
        distances, indices = ranking.rank(query_codes, database, k, threads=threads, progress=progress)
        names = self._store.ids_at(np.unique(indices).tolist())
        return Answers(distances, indices, [[names[position] for position in row] for row in indices.tolist()])

    def within(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> ranking.Neighbors:
        """The items within a radius of each query, as ``vtsearch.within``; indices are positions.

        Raises:
            TypeError, ValueError: as ``vtsearch.within``.
        """
        return ranking.within(query_codes, self.database(mask=mask), radius, threads=threads, progress=progress)

    def count(
        self,
        query_codes: NDArray[np.uint8],
        radius: int,
        *,
        mask: ArrayLike | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]:
        """The number of items within a radius of each query, (q,), as ``vtsearch.count``.

        Raises:
            TypeError, ValueError: as ``vtsearch.count``.
        """
        return ranking.count(query_codes, self.database(mask=mask), radius, threads=threads, progress=progress)

    def histogram(
        self,
        query_codes: NDArray[np.uint8],
        *,
        mask: ArrayLike | None = None,
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> NDArray[np.int64]:
        """The number of items at each distance from each query, (q, 8 * bytes + 1), as ``vtsearch.histogram``.

        Raises:
            TypeError, ValueError: as ``vtsearch.histogram``.
        """
        return ranking.histogram(query_codes, self.database(mask=mask), threads=threads, progress=progress)

    def deduplicate(
        self, radius: int, *, threads: int | None = None, progress: Callable[[int, int], object] | None = None
    ) -> duplicates.Duplicates:
        """Groups of near-duplicate items, as ``vtsearch.deduplicate``; indices are positions.

        Several segments are first copied to one temporary file.

        Raises:
            TypeError, ValueError: as ``vtsearch.deduplicate``.
        """
        return duplicates.deduplicate(self.database(), radius, threads=threads, progress=progress)

    def evaluate(
        self,
        query_codes: NDArray[np.uint8],
        query_labels: NDArray[np.generic],
        k: int | None = None,
        *,
        normalizer: Normalizer = "retrieved",
        threads: int | None = None,
        progress: Callable[[int, int], object] | None = None,
    ) -> Evaluation:
        """Retrieval metrics of queries against the labels of the index, as ``vtsearch.evaluate``.

        Raises:
            ValueError: an index without labels; as ``vtsearch.evaluate``.
            TypeError: as ``vtsearch.evaluate``.
        """
        database = Database(self.database().parts, labels=self.labels())
        if database.labels is None:
            raise ValueError(f"query_labels: expected none for {self._path}, an index without labels")
        return evaluate(
            query_codes,
            database,
            query_labels,
            k=k,
            normalizer=normalizer,
            bits=self.bits,
            threads=threads,
            progress=progress,
        )

    def check_fingerprints(self, fingerprints: Mapping[str, str], *, whose: str = "the given codes") -> None:
        """Refuse to mix: model and preprocessing must be the same, split and arithmetic where both have one.

        Raises:
            VtsearchError: naming both fingerprints.
        """
        for name in sorted({*self._about.fingerprints, *fingerprints}, key=lambda name: (name == "arithmetic", name)):
            ours, theirs = self._about.fingerprints.get(name), fingerprints.get(name)
            if ours != theirs and not (name in ("split", "arithmetic") and None in (ours, theirs)):
                remedy = f"; encode with --precision {ours}, or Encoder(..., precision={ours!r}), for equal codes"
                raise VtsearchError(
                    f"fingerprints: {self._path} has {name} {_short(ours)}, {whose} {name} {_short(theirs)}: "
                    f"they do not belong together{remedy if name == 'arithmetic' else ''}"
                )

    def verify(self) -> None:
        """Read everything and compare it with its checksums.

        Raises:
            VtsearchError: naming the first file that is not what was written.
        """
        self._store.verify()
        for segment in self._segments:
            map_segment(self._path, segment, self._width)
            verify_segment(self._path, segment)

    def close(self) -> None:
        """Close the files; arrays that were returned stay valid."""
        self._mapped.clear()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Index({str(self._path)!r}, {len(self)} items, {self.bits} bits)"

    @property
    def _width(self) -> int:
        return -(-self._about.bits // 8)

    def _map(self) -> None:
        self._segments = self._store.segments()
        self._mapped = [map_segment(self._path, segment, self._width) for segment in self._segments]

    def _refuse_known(self, names: list[str]) -> None:
        known = self._store.known_id(names)
        if known is not None:
            raise ValueError(f"ids: expected new ids, got {known!r}, which is in {self._path}")


def _short(fingerprint: str | None) -> str:
    return "(none)" if fingerprint is None else fingerprint[:12]
