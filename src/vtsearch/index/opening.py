"""From a folder to an open state of its index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.errors import VtsearchError
from vtsearch.index.generation import Generation
from vtsearch.index.segments import open_segments
from vtsearch.index.store import FILE_NAME, Store

if TYPE_CHECKING:
    from pathlib import Path

    from vtsearch.index.store import Contents

_REPLACED = 8
"""How often opening begins anew because the folder was replaced while its files were opened."""


def open_generation(folder: Path) -> Generation:
    """The state of the index in a folder; begun anew if the folder is replaced while its files are opened."""
    store = Store(folder / FILE_NAME)
    for _ in range(_REPLACED):
        contents = store.read()
        try:
            return reopened(folder, contents)
        except VtsearchError:
            if store.read().about.uuid == contents.about.uuid:
                raise
    raise VtsearchError(f"{folder}: expected an index that stays, got one that is replaced again and again")


def reopened(folder: Path, contents: Contents, before: Generation | None = None) -> Generation:
    """The state that ``index.sqlite`` describes; segments that the state before has open are not opened again."""
    about, segments = contents
    return Generation(about, open_segments(folder, about, segments, () if before is None else before.parts))
