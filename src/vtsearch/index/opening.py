"""From a folder to an open state of its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError
from vtsearch.index.generation import Generation
from vtsearch.index.segments import open_segments
from vtsearch.index.store import FILE_NAME, Store, another_index

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.index.store import Contents

_TRIES = 8
"""How often opening begins anew because the index changed while its files were opened."""


def open_generation(folder: Path, before: Generation | None = None) -> Generation:
    """The state of the index in a folder; begun anew if it is changed or replaced while its files are opened.

    Raises:
        VtsearchError: a damaged index; another one than that of the state before.
    """
    store = Store(folder / FILE_NAME)
    for _ in range(_TRIES):
        contents = store.read()
        if before is not None and before.about.uuid != contents.about.uuid:
            raise another_index(store.path)
        try:
            return reopened(folder, contents, before)
        except VtsearchError:
            if store.read() == contents:
                raise
    raise VtsearchError(f"{folder}: expected an index that stays, got one that changes again and again")


def reopened(folder: Path, contents: Contents, before: Generation | None = None) -> Generation:
    """The state that ``index.sqlite`` describes; segments that the state before has open are not opened again."""
    parts = () if before is None else before.parts
    return Generation(contents.about, open_segments(folder, contents.about, contents.segments, parts))
