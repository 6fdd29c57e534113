"""Changes of an index: first a plan of its segments, then their files, which ``index.sqlite`` does not name yet."""

from __future__ import annotations

import itertools
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vtsearch._atomic_io import temporaries
from vtsearch.errors import VtsearchError
from vtsearch.index.ids import Ids
from vtsearch.index.items import Columns
from vtsearch.index.labels import LabelForm, same_form
from vtsearch.index.metadata import OWN, joined_types
from vtsearch.index.segments import (
    CODES_FOLDER,
    FOLDERS,
    file_name,
    sync_folders,
    write_codes,
    write_segment,
    write_tables,
)
from vtsearch.index.store import FILE_NAME
from vtsearch.index.tables import pays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch.index.generation import Generation
    from vtsearch.index.labels import Labels
    from vtsearch.index.metadata import Metadata
    from vtsearch.index.segments import Part, Segment

LEAST_KEPT = 0.5
"""A segment of which a smaller share of the rows is left is written again, with these alone."""

MOST_ROWS = 2**22
"""Of a segment, so that a change of one item writes no more than the codes of so many, and joining holds no more."""

SMALL_ROWS = 2**12
"""Segments of up to so many items have the lowest size; each further size is eight times as large."""

JOINED = 8
"""Segments of one size at the end of an index that are joined when they are so many."""


class NewItems(NamedTuple):
    """Validated items to add, without their ids."""

    codes: NDArray[np.uint8]
    labels: Labels | None
    metadata: Metadata


class Place(NamedTuple):
    """Where segments are written."""

    folder: Path
    name: Callable[[], str]
    """The next name of files."""
    indexed: Sequence[str]
    """Columns that get a B-tree."""


class Kept:
    """A segment that stays, without some items."""

    def __init__(self, part: Part, gone: NDArray[np.int64]) -> None:
        self._part, self._gone = part, gone

    def __len__(self) -> int:
        return len(self._part) - len(self._gone)

    @property
    def rows(self) -> int:
        """Items in its file of items, those that are gone included."""
        return self._part.segment.rows

    def content(self) -> tuple[NDArray[np.uint8], Columns]:
        """Codes and columns of the items, from files that have been verified."""
        self._part.verify()
        if not len(self._gone):
            return self._part.codes, self._part.items.columns()
        codes, items = self._part.without(self._gone)
        return codes, items.columns()

    def is_final(self, indexed: Sequence[str]) -> bool:
        """Whether nothing is gone, and the columns that are to have a B-tree have it, and no others."""
        items = self._part.items
        return len(self) == self.rows and items.indexed == {*indexed} & {*OWN, *items.types}

    def written(self, place: Place) -> Segment:
        """The segment, with another file of codes if items are gone."""
        if not len(self._gone):
            return self._part.segment
        self._part.verify([CODES_FOLDER])
        codes, items = self._part.without(self._gone)
        return write_codes(place.folder, place.name(), self._part.segment, codes, items)


class New:
    """Items that come."""

    def __init__(self, codes: NDArray[np.uint8], columns: Columns) -> None:
        self._content = codes, columns

    def __len__(self) -> int:
        return len(self._content[0])

    def content(self) -> tuple[NDArray[np.uint8], Columns]:
        """Codes and columns of the items."""
        return self._content

    def written(self, place: Place) -> Segment:
        """The segment, in new files."""
        return write_segment(place.folder, place.name(), *self._content, place.indexed)


class Joined:
    """Several segments as one, without what is left of removed items."""

    def __init__(self, pieces: Sequence[Kept | New]) -> None:
        self._pieces = pieces

    def written(self, place: Place) -> Segment:
        """The segment, in new files."""
        codes, columns = zip(*(piece.content() for piece in self._pieces), strict=True)
        return New(np.concatenate(codes), Columns.joined(columns)).written(place)


class Change:
    """The segments that an index will have.

    File names follow from the state of the index: what a crash leaves is deleted by the next change.
    """

    def __init__(self, folder: Path, before: Generation) -> None:
        self._folder, self._before = folder, before
        self._pieces: list[Kept | New] = []
        self.remove(np.empty(0, dtype=np.int64))
        self.about = before.about
        """Settings that the index will have."""
        self._named = 0

    def running_numbers(self, count: int) -> Ids:
        """The next default ids."""
        first = self._before.about.added
        return Ids.of([str(number) for number in range(first, first + count)])

    def add(self, items: NewItems, ids: Ids) -> None:
        """Append items.

        Raises:
            ValueError: labels of another form, metadata of another type than the other items have.
        """
        form = LabelForm.of(items.labels)
        if any(map(len, self._pieces)):
            same_form(self.about.labels, form)
        metadata = items.metadata.as_in(self.about.columns)
        columns = joined_types(self.about.columns, metadata.types)
        count = len(items.codes)
        if not count:
            return
        for start in range(0, count, MOST_ROWS):
            piece = slice(start, start + MOST_ROWS)
            labels = None if items.labels is None else items.labels[piece]
            self._pieces.append(New(items.codes[piece], Columns.of(ids.part(piece), labels, metadata[piece])))
        self.about = replace(self.about, labels=form, columns=columns, added=self.about.added + count)

    def remove(self, positions: NDArray[np.int64]) -> None:
        """Leave out the items at some positions, ascending; before anything is added."""
        parts = zip(self._before.parts, self._before.by_part(positions), strict=True)
        self._pieces = [Kept(part, gone) for part, gone in parts]

    def describe(self, *, description: Mapping[str, str] | None, classes: tuple[str, ...] | None) -> None:
        """Set the description and the names of classes, where given."""
        about = self.about
        self.about = replace(
            about,
            description=about.description if description is None else description,
            classes=about.classes if classes is None else classes,
        )

    def index_columns(self, names: tuple[str, ...]) -> None:
        """Set which columns have a B-tree."""
        self.about = replace(self.about, indexed=names)

    def index_codes(self, *, tables: bool) -> None:
        """Set whether ``compact`` makes tables of codes."""
        self.about = replace(self.about, tables=tables)

    def segments(self, *, compact: bool = False) -> list[Segment]:
        """Write the files that are new, on disk to stay before this returns; all segments, in order.

        Args:
            compact: join all neighbors that fit one segment, write again those whose columns are indexed otherwise,
                and make the tables of codes that are missing; by default only many small ones at the end are joined.

        Raises:
            OSError: a disk that is full or refuses.
            VtsearchError: a damaged file, which is not copied.
        """
        pieces = [piece for piece in self._pieces if len(piece)]
        first = 0 if compact else _first_to_join([len(piece) for piece in pieces])
        indexed = self.about.indexed
        plan = [*map(_mended, pieces[:first]), *(_as_one(group, indexed) for group in _groups(pieces[first:]))]
        segments = [piece.written(Place(self._folder, self._name, indexed)) for piece in plan]
        return list(map(self._tabled, segments)) if compact else segments

    def _tabled(self, segment: Segment) -> Segment:
        """A segment from which nothing has been removed, with tables of its codes or without, as the index has them."""
        if not self.about.tables:
            return segment.without_tables()
        if segment.tables or not pays(segment.rows, self.about.width):
            return segment
        return write_tables(self._folder, self._name(), segment, self.about)

    @contextmanager
    def cleaned(self, prove: Callable[[], None]) -> Iterator[None]:
        """Delete what a change that was killed has left, and what the block wrote if it raises.

        ``prove`` raises if the folder is another index's by now, in which nothing is deleted.
        """
        prove()
        self._delete()
        sync_folders(
            self._files(self._before.about.next)
        )  # a killed change may have deleted files, and not synced that
        for left in temporaries(self._folder / FILE_NAME):  # of a killed creation, once its file had its name
            with suppress(OSError):
                left.unlink()
        try:
            yield
        except BaseException:
            with suppress(VtsearchError):
                prove()
                self._delete()
            raise

    def _name(self) -> str:
        self._named += 1
        return self._before.about.file_name(self._named - 1)

    def _delete(self) -> None:
        """Delete the files of the next names, the last first: a crash leaves those of the first, which are found."""
        written = map(self._files, map(self._before.about.file_name, itertools.count()))
        for files in reversed([*itertools.takewhile(lambda files: any(file.exists() for file in files), written)]):
            for file in files:
                file.unlink(missing_ok=True)
            sync_folders(files)

    def _files(self, name: str) -> list[Path]:
        return [self._folder / subfolder / file_name(subfolder, name) for subfolder in FOLDERS]


def _mended(piece: Kept | New) -> Kept | New | Joined:
    """A segment as it stays, or written again if little of it is left."""
    return Joined([piece]) if isinstance(piece, Kept) and len(piece) < LEAST_KEPT * piece.rows else piece


def _as_one(group: Sequence[Kept | New], indexed: Sequence[str]) -> Kept | New | Joined:
    """Some segments as one, which has no removed items."""
    (alone, *others) = group
    final = isinstance(alone, New) or alone.is_final(indexed)
    return alone if final and not others else Joined(group)


def _groups(pieces: Sequence[Kept | New]) -> Iterator[list[Kept | New]]:
    """Neighbors that make one segment: as many as have MOST_ROWS items together, or a single one."""
    group: list[Kept | New] = []
    for piece in pieces:
        if group and sum(map(len, group)) + len(piece) > MOST_ROWS:
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _first_to_join(sizes: Sequence[int]) -> int:
    """From which on segments are to be joined, because many at the end have one size, and none a larger one.

    Smaller ones between them go along, and if these are very many, all are joined. So an item is written about once for
    each size, and segments stay few.
    """
    levels = [_level(size) for size in sizes]
    for level in range(_level(MOST_ROWS)):
        begin = next((i + 1 for i in reversed(range(len(levels))) if levels[i] > level), 0)
        if levels[begin:].count(level) >= JOINED or len(levels) - begin >= JOINED * (level + 2):
            return begin
    return len(levels)


def _level(size: int) -> int:
    level = 0
    while size > SMALL_ROWS * JOINED**level:
        level += 1
    return level
