"""Changes of an index that requests ask for: items added and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.serve.errors import NotThere
from vtsearch.serve.search import parse_code
from vtsearch.serve.wire import AddRequest, Changed, NewItem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from vtsearch.serve.served_index import IndexState, ServedIndex


def add(index: ServedIndex, request: AddRequest) -> Changed:
    """Add items, or put them in the place of those with the same ids.

    Raises:
        ValueError: as ``Index.add`` and ``Index.upsert``.
    """
    items = request.items
    with index.writer() as writer:
        codes = np.stack([parse_code(each.code, writer.bits, f"items.{at}.code") for at, each in enumerate(items)])
        names = sorted({name for each in items for name in each.metadata})
        metadata = {name: [each.metadata.get(name) for each in items] for name in names}
        change = writer.upsert if request.upsert else writer.add
        change(codes, [each.id for each in items], _labels(index.state, items), metadata)
    return _changed(index)


def _labels(state: IndexState, items: Sequence[NewItem]) -> NDArray[np.generic] | None:
    """Labels of new items in the form of the index; in a new one that of these."""
    given = [each.labels for each in items]
    if all(each is None for each in given):
        return None
    if any(each is None for each in given):
        raise ValueError("items: expected labels of all items or of none, got them of some")
    lists = [each or [] for each in given]
    if state.labels is not None and state.labels.ndim == 2:
        rows = np.zeros((len(items), state.labels.shape[1]), dtype=np.uint8)
        for row, numbers in enumerate(lists):
            if numbers and max(numbers) >= rows.shape[1]:
                raise ValueError(f"items: expected labels below {rows.shape[1]}, got {max(numbers)}")
            rows[row, numbers] = 1
        return rows
    if any(len(each) != 1 for each in lists):
        raise ValueError("items: expected one label per item, got others")
    return np.array([each[0] for each in lists], dtype=np.int64)


def remove(index: ServedIndex, item: str) -> Changed:
    """Remove an item.

    Raises:
        NotThere: an item that does not exist.
    """
    with index.writer() as writer:
        (name,) = index.state.exact([item])
        if writer.positions_of([name])[0] < 0:
            raise NotThere(f"id: expected an item of {index.name}, got {item!r}")
        writer.remove([name])
    return _changed(index)


def _changed(index: ServedIndex) -> Changed:
    state = index.read_again()
    return Changed(index=index.name, items=len(state), generation=state.generation)
