"""The index: a folder of codes with ids, labels and metadata, searched where it lies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from vtsearch._atomic_io import sync_folder
from vtsearch._database import Database
from vtsearch._labels import checked_labels
from vtsearch._validate import codes_of_bits, whole_number
from vtsearch.errors import VtsearchError
from vtsearch.index.items import checked_ids, checked_metadata
from vtsearch.index.labels import LabelForm, Labels, pack_labels, same_form, unpack_labels
from vtsearch.index.queries import Queries
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
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from types import TracebackType

    from numpy.typing import ArrayLike, NDArray


class Index(Queries):
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
        bits = whole_number("bits", bits, 1)
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
            labels: (n,) integers, or (n, classes) of 0 and 1, as the metrics take them. All items of an index have
                labels of one form, or none has.
            metadata: n mappings that JSON can keep.
            fingerprints: of what made these codes; must be those of the index.

        Raises:
            TypeError: codes that are not uint8, ids that are not strings.
            ValueError: other width or lengths, ids that repeat, labels of another form.
            VtsearchError: other fingerprints; a file that cannot be written.
        """
        if fingerprints is not None:
            self.check_fingerprints(fingerprints)
        codes, _ = codes_of_bits(codes, self.bits)
        with self._store.writing():
            self._about, segments = self._store.about(), self._store.segments()
            first = sum(segment.items for segment in segments)
            names = checked_ids(ids, first, len(codes))
            array = None if labels is None else checked_labels("labels", labels, len(codes), "codes")
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

    def ids_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Position -> id of some items."""
        return self._store.ids_at(positions)

    def position(self, name: str) -> int:
        """Where the item with this id is.

        Raises:
            KeyError: an id that is not in the index.
        """
        found = self._store.position(name)
        if found is None or found >= len(self):
            raise KeyError(name)
        return found

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
