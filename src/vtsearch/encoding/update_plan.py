"""What has become of the images that an index was made of: new, changed, renamed, gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch.data.sources.file_facts import PLACE, file_facts, stamps
from vtsearch.data.sources.image_source import FileSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.data.selection import ImageSelection
    from vtsearch.data.sources.file_facts import FileFacts
    from vtsearch.index import Index


class Kept(NamedTuple):
    """An image whose code is in the index."""

    row: int
    """Of the selection."""
    source: int
    """The position of the code."""
    facts: FileFacts | None


class UpdatePlan(NamedTuple):
    """What is to be done with which images."""

    added: list[int]
    """Rows of images that the index does not have."""
    changed: list[int]
    """Rows of images whose files have other bytes."""
    touched: list[Kept]
    """Images whose time or label is another one, but not their bytes."""
    renamed: list[Kept]
    """New names of images that are gone."""
    old_names: dict[int, str]
    """Of those that were renamed, by the positions of their codes."""
    gone: list[str]
    """Images of the index that are no longer there, the renamed ones aside."""
    unchanged: int


def plan_update(index: Index, images: ImageSelection, ids: Sequence[str], labels: NDArray[Any] | None) -> UpdatePlan:
    """Compare names, sizes, times and labels, and the bytes where these leave it open.

    Args:
        index: what is known.
        images: as they are now.
        ids: of these, in their order.
        labels: of these, by the classes of the index.
    """
    return _Comparison(index, images, ids, labels).plan()


class _Comparison:
    """What an index knows of images, beside what they are now."""

    def __init__(self, index: Index, images: ImageSelection, ids: Sequence[str], labels: NDArray[Any] | None) -> None:
        self._index, self._images = index, images
        stored, nothing = index.metadata(), [None] * len(index)
        self._sizes, self._times, self._contents, self._parts = (
            stored.get(name, nothing) for name in ("bytes", "modified", "content", PLACE)
        )
        self._of_files = isinstance(images.source, FileSource)
        self._stamps = list(stamps(images.source, images.positions.tolist()))
        self._places: list[int] = index.positions_of(ids).tolist()
        self._same_labels = _same_labels(index.labels(), labels, self._places)
        there = {place for row, place in enumerate(self._places) if not self._is_lost(row)}
        others = [place for place in range(len(index)) if place not in there]
        names = index.ids_at(others)
        self._absent = {place: names[place] for place in others if not images.is_beside(names[place])}
        self._absent_sizes = {self._sizes[place] for place in self._absent}
        self._absent_contents = {self._contents[place]: place for place in reversed(self._absent)}

    def plan(self) -> UpdatePlan:
        """What is to be done."""
        rows = range(len(self._places))
        known = [row for row in rows if self._places[row] >= 0 and not self._is_lost(row)]
        differing = [row for row in known if not self._is_unchanged(row)]
        new = [row for row in rows if self._places[row] < 0]
        touched = [same for row in differing if (same := self._touched(row))]
        renamed = [same for row in new if (same := self._renamed(row))]
        done, moved = {each.row for each in touched + renamed}, {each.source for each in renamed}
        return UpdatePlan(
            added=[row for row in new if row not in done],
            changed=[row for row in differing if row not in done],
            touched=touched,
            renamed=renamed,
            old_names={place: self._absent[place] for place in sorted(moved)},
            gone=[name for place, name in self._absent.items() if place not in moved],
            unchanged=len(known) - len(differing),
        )

    def _is_lost(self, row: int) -> bool:
        """Whether the file of an image is gone, though a list names it."""
        return self._of_files and self._stamps[row] is None

    def _is_unchanged(self, row: int) -> bool:
        """Whether size, time, place and label of an image are those of the index; one without them never changes."""
        found, place = self._stamps[row], self._places[row]
        same = found is None or (
            found.size in (None, self._sizes[place])
            and (self._times[place], self._parts[place]) == (found.modified, found.place)
        )
        return same and bool(self._same_labels[row])

    def _touched(self, row: int) -> Kept | None:
        """An image of which the index has the bytes, though its time, its place or its label is another one."""
        place = self._places[row]
        if self._stamps[row] is None:  # nothing tells whether the image has changed: its label has
            return None if self._of_files else Kept(row, place, None)
        facts = file_facts(self._images.source, int(self._images.positions[row]))
        return None if facts is None or facts.content != self._contents[place] else Kept(row, place, facts)

    def _renamed(self, row: int) -> Kept | None:
        """A new image with the bytes of one that is gone."""
        found = self._stamps[row]
        if found is None or not self._absent or not (found.size is None or found.size in self._absent_sizes):
            return None
        facts = file_facts(self._images.source, int(self._images.positions[row]))
        source = None if facts is None else self._absent_contents.get(facts.content)
        return None if source is None else Kept(row, source, facts)


def _same_labels(known: NDArray[Any] | None, labels: NDArray[Any] | None, places: Sequence[int]) -> NDArray[np.bool_]:
    """Of each image, whether it has the label of the item at its place, if there is one."""
    if known is None or labels is None or not len(known):
        return np.ones(len(places), dtype=np.bool_)
    same = known[places] == labels
    return np.asarray(same if same.ndim == 1 else same.all(axis=1))
