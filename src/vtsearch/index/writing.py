"""Changes of an index: each happens as a whole or not at all, and holds up no reader."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from vtsearch._labels import checked_labels
from vtsearch._validate import choice, codes_of_bits
from vtsearch.errors import VtsearchError
from vtsearch.index.about import checked_indexed, checked_names, checked_texts
from vtsearch.index.changes import Change, NewItems
from vtsearch.index.decisions import checked_decisions
from vtsearch.index.fingerprints import refuse_mixing
from vtsearch.index.ids import Ids, refuse_unknown
from vtsearch.index.metadata import Metadata
from vtsearch.index.opening import open_generation, reopened
from vtsearch.index.segments import sync_folders
from vtsearch.index.store import FILE_NAME, Store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from vtsearch.index.decisions import Decision, Decisions, Verdict
    from vtsearch.index.generation import Generation
    from vtsearch.index.where import Params


class Writing:
    """The state of an index that is open, and its changes."""

    def __init__(self, path: Path, generation: Generation) -> None:
        self._path, self._folder = path, path.absolute()
        self._store = Store(self._folder / FILE_NAME)
        self._open: Generation | None = generation
        self._changing = threading.Lock()

    def add(
        self,
        codes: NDArray[np.uint8],
        ids: Sequence[str] | None = None,
        labels: ArrayLike | None = None,
        metadata: Mapping[str, Iterable[Any]] | None = None,
        *,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        """Append items: all of them or, after a crash or an error, none.

        Readers are not held up; another writer waits until this one is done, for a minute at most.

        Args:
            codes: (n, ceil(bits / 8)) uint8, packed.
            ids: n different strings, new to this index; by default running numbers: in an index from which nothing
                has been removed, the positions.
            labels: (n,) integers, or (n, classes) of 0 and 1, as the metrics take them. All items of an index have
                labels of one form, or none has.
            metadata: columns by name, of n values each: integers, floats, strings, or dates and times, which are kept
                as ISO texts. None, NaN and columns that are not given stand for unknown. ``where`` takes these names.
            fingerprints: of what made these codes; must be those of the index.

        Raises:
            TypeError: codes that are not uint8, ids that are not strings, metadata of other types.
            ValueError: other width or lengths, ids that repeat, labels of another form, a column whose values have
                another type than in the index, or whose name SQL does not take.
            VtsearchError: other fingerprints; a folder that holds another index by now; another writer that goes on.
            OSError: a file that cannot be written.
        """
        items, names = self._new_items(codes, ids, labels, metadata, fingerprints)

        def added(before: Generation, change: Change) -> None:
            new = change.running_numbers(len(items.codes)) if names is None else names
            known = before.positions_of(new) >= 0
            if known.any():
                name = new.name(int(known.argmax()))
                raise ValueError(f"ids: expected new ids, got {name!r}, which is in {self._path}")
            change.add(items, new)

        self._change(added)

    def upsert(
        self,
        codes: NDArray[np.uint8],
        ids: Sequence[str],
        labels: ArrayLike | None = None,
        metadata: Mapping[str, Iterable[Any]] | None = None,
        *,
        fingerprints: Mapping[str, str] | None = None,
    ) -> None:
        """Append items, in place of those that have the same ids: all of it or, after a crash or an error, nothing.

        Args and errors are those of ``add``, but that ids may be in the index.
        """
        items, names = self._new_items(codes, checked_names("ids", ids), labels, metadata, fingerprints)
        assert names is not None

        def upserted(before: Generation, change: Change) -> None:
            positions = before.positions_of(names)
            change.remove(np.sort(positions[positions >= 0]))
            change.add(items, names)

        self._change(upserted)

    def remove(
        self,
        ids: Sequence[str] | None = None,
        *,
        where: str | None = None,
        params: Params = (),
        missing: Literal["error", "ignore"] = "error",
    ) -> int:
        """Remove items: all of them or, after a crash or an error, none.

        The items behind them move up: positions are those of the items that are left. The space of codes is free at
        once, that of ids and metadata when half of a segment has been removed, or after ``compact``.

        Args:
            ids: external ids.
            where: a condition in SQL on the items to remove, instead of ids, as for ``Index.where``.
            params: values of its parameters.
            missing: "error" refuses ids that are not in the index; "ignore" passes over them.

        Returns:
            The number of items that were removed.

        Raises:
            TypeError: ids that are not strings; both ids and a condition, or neither.
            ValueError: an id that is not in the index; a condition that SQLite does not take.
            VtsearchError: as ``add``.
            OSError: a file that cannot be written.
        """
        choice("missing", missing, ("error", "ignore"))
        if (ids is None) == (where is None):
            raise TypeError("ids: expected either ids or where")
        names = None if ids is None else checked_names("ids", ids)
        condition = "" if where is None else where
        removed = 0

        def left(before: Generation, change: Change) -> None:
            nonlocal removed
            if names is None:
                gone = np.flatnonzero(before.mask(condition, params))
            else:
                gone = self._positions_to_remove(before, names, missing)
            removed = len(gone)
            change.remove(gone)

        self._change(left)
        return removed

    def compact(self, *, indexed: Sequence[str] | None = None, tables: bool | None = None) -> None:
        """Join small segments and drop what is left of removed items. Answers stay, and so do other open handles.

        Args:
            indexed: columns that have a B-tree from now on, as for ``create``; None leaves that as it is.
            tables: whether this and each further call makes tables of the codes (``MultiIndex``) of segments with 4 MiB
                of codes or more, by which ``search`` and ``within`` find near items without a scan. For 64 bits they
                take six times the space of the codes, for 128 bits ten times. Items that are added later are scanned
                until the next call. None leaves that as it is.

        Raises:
            TypeError, ValueError: indexed names that no column can have; tables that is not a bool.
            VtsearchError: a damaged file, which is not copied; as ``add``.
            OSError: a file that cannot be written.
        """
        names = None if indexed is None else checked_indexed(indexed)
        if tables is not None and not isinstance(tables, bool):
            raise TypeError(f"tables: expected True, False or None, got {tables!r}")

        def compacted(before: Generation, change: Change) -> None:
            change.index_columns(before.about.indexed if names is None else names)
            change.index_codes(tables=before.about.tables if tables is None else tables)

        self._change(compacted, compact=True)

    def describe(self, description: Mapping[str, str] | None = None, *, classes: Sequence[str] | None = None) -> None:
        """Replace the description, or give names to more classes.

        Args:
            description: free-form metadata, as for ``create``; None leaves it as it is.
            classes: class names by class id, those of the index and further ones; None leaves them as they are.

        Raises:
            TypeError: names or values that are not strings.
            ValueError: classes that do not begin with those of the index.
            VtsearchError: as ``add``.
        """
        texts = None if description is None else checked_texts("description", description)
        names = None if classes is None else checked_names("classes", classes)

        def described(before: Generation, change: Change) -> None:
            known = before.about.classes
            if names is not None and names[: len(known)] != known:
                raise ValueError(f"classes: expected the {len(known)} classes of {self._path} first, got {names!r}")
            change.describe(description=texts, classes=names)

        self._change(described)

    def decide(self, decisions: Iterable[Decision | tuple[Verdict, Sequence[str]]]) -> None:
        """Keep what people said of near-duplicates: ``duplicate_groups`` does not ask again.

        A decision is about ids, whatever becomes of their items. On one item the last one holds.

        Args:
            decisions: pairs of a verdict and ids: ("keep", [id]), ("remove", [id]), ("distinct", [id, id, ...]).
                Nothing is removed by them.

        Raises:
            TypeError, ValueError: no such pairs; an id that is not in the index.
            VtsearchError: as ``add``.
        """
        new = checked_decisions(decisions)
        names = [name for each in new for name in each.ids]
        refuse_unknown("decisions", self._path, names, self._generation().positions_of(Ids.of(names)))
        self._decide(lambda before: before.joined(new))

    def forget_decisions(self, ids: Sequence[str]) -> None:
        """Forget what people said of some items.

        Raises:
            TypeError: ids that are not strings.
            VtsearchError: as ``add``.
        """
        names = checked_names("ids", ids)
        self._decide(lambda before: before.without(names))

    def rename_decisions(self, names: Mapping[str, str]) -> None:
        """Give what people said of some items to others, by their old and new ids.

        Raises:
            TypeError: ids that are not strings.
            VtsearchError: as ``add``.
        """
        renamed = checked_texts("names", names)
        self._decide(lambda before: before.renamed(renamed))

    def _decide(self, alter: Callable[[Decisions], Decisions]) -> None:
        """Change the decisions, in one transaction; nothing is written where they stay the same."""
        with self._changing, self._store.writing(self._generation().about.uuid) as writer:
            before = writer.decisions()
            after = alter(before)
            if after != before:
                writer.replace_decisions(after)

    def refresh(self) -> None:
        """Answer from the state that the folder has now.

        Raises:
            VtsearchError: a damaged index, or a folder that holds another one by now.
        """
        generation = open_generation(self._folder, self._generation())
        self._open = generation if self._open is not None else None

    def _generation(self) -> Generation:
        """The state that answers.

        Raises:
            VtsearchError: the index is closed.
        """
        generation = self._open
        if generation is None:
            raise VtsearchError(f"{self._path}: this index is closed; open it again")
        return generation

    def _new_items(
        self,
        codes: NDArray[np.uint8],
        ids: Sequence[str] | None,
        labels: ArrayLike | None,
        metadata: Mapping[str, Iterable[Any]] | None,
        fingerprints: Mapping[str, str] | None,
    ) -> tuple[NewItems, Ids | None]:
        if fingerprints is not None:
            refuse_mixing(self._path, self._generation().about.fingerprints, fingerprints, "the given codes")
        codes, _ = codes_of_bits(codes, self._generation().about.bits)
        names = None if ids is None else Ids.checked(ids, len(codes))
        array = None if labels is None else checked_labels("labels", labels, len(codes), "codes")
        return NewItems(codes, array, Metadata.checked(metadata, len(codes))), names

    def _positions_to_remove(self, before: Generation, names: tuple[str, ...], missing: str) -> NDArray[np.int64]:
        positions = before.positions_of(Ids.of(names))
        if missing == "error":
            refuse_unknown("ids", self._path, names, positions)
        return np.unique(positions[positions >= 0])

    def _change(self, alter: Callable[[Generation, Change], None], *, compact: bool = False) -> None:
        """Write files, name them in one transaction, delete those that they replace."""
        with self._changing, self._store.writing(self._generation().about.uuid) as writer:
            before = reopened(self._folder, writer.contents, self._generation())
            change = Change(self._folder, before)
            with change.cleaned(writer.prove):
                alter(before, change)
                segments = change.segments(compact=compact)
            if (segments, change.about) != (writer.contents.segments, before.about):
                writer.replace_segments(segments, change.about)
            after, replaced = reopened(self._folder, writer.contents, before), writer.contents.replaced
        self._open = after if self._open is not None else None
        if replaced:
            self._delete_replaced(after.about.uuid)

    def _delete_replaced(self, uuid: str) -> None:
        """Delete files that no segment has any more; what does not succeed is left to the next change."""
        with suppress(VtsearchError, OSError), self._changing, self._store.writing(uuid) as writer:
            deleted = [file for file in writer.contents.replaced if _is_deleted(self._folder / file)]
            sync_folders(map(self._folder.joinpath, deleted))
            writer.forget_replaced(deleted)


def _is_deleted(path: Path) -> bool:
    """Delete a file; False where another process has it open and the system does not allow that."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return False
    return True
