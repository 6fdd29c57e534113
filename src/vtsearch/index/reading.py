"""The questions to one open state of an index that change nothing."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from vtsearch._masks import checked_mask
from vtsearch._validate import checked_positions, whole_number
from vtsearch.index.about import checked_names
from vtsearch.index.analysis import Analysis
from vtsearch.index.fingerprints import refuse_mixing
from vtsearch.index.ids import Ids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch.index.generation import Generation
    from vtsearch.index.labels import Labels
    from vtsearch.index.metadata import Value
    from vtsearch.index.segments import Segment
    from vtsearch.index.where import Params


class Reading(Analysis):
    """Items and settings of an open state; ``Index`` and ``IndexView`` have one."""

    @abstractmethod
    def _generation(self) -> Generation:
        """The state that answers."""

    @property
    def bits(self) -> int:
        """Length of the codes."""
        return self._generation().about.bits

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprints by name: "model", "preprocessing", "arithmetic", "split"."""
        return dict(self._generation().about.fingerprints)

    def check_fingerprints(self, fingerprints: Mapping[str, str], *, whose: str = "the given codes") -> None:
        """Refuse to mix: model and preprocessing must be the same, split and arithmetic where both have one.

        Raises:
            VtsearchError: naming both fingerprints.
        """
        refuse_mixing(self.path, self._generation().about.fingerprints, fingerprints, whose)

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
