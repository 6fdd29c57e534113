"""An index that is served: one state of it, open, with what several answers need made once."""

from __future__ import annotations

import logging
import re
import threading
import time
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np

from vtsearch._error_text import format_error
from vtsearch.data.locate import has_images
from vtsearch.errors import VtsearchError
from vtsearch.index import Index
from vtsearch.index.store import FILE_NAME
from vtsearch.index.view import GenerationGoneError
from vtsearch.ranking import histogram
from vtsearch.serve.codes_by_label import CodesByLabel
from vtsearch.serve.file_look import Look
from vtsearch.serve.kept_results import KeptResults
from vtsearch.serve.wire import IndexInfo, Item

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from vtsearch._database import Database
    from vtsearch.index.labels import Labels
    from vtsearch.serve.engine import Engine, Scans

THUMBNAIL, IMAGE = 192, 1024
"""Pixels of the longer side of the pictures that items name."""
SMALL = 2**30
"""Bytes of codes that are read and copied when the server starts."""
KEPT_MASKS = 2**28
"""Bytes of masks and other results that a state keeps, about."""

TRIES = 8
"""How often an engine is given the state of an index that goes on changing."""

_ESCAPE = re.compile(r"\\u(d[89a-f][0-9a-f]{2})")
"""A byte that is not UTF-8, as ``readable`` writes it."""

_log = logging.getLogger("vtsearch.serve")


class IndexState:
    """One state of a served index; it does not change.

    Args:
        name: what requests call the index.
        index: a handle of its own, which nobody refreshes.
        scans: what scans its codes for searches; by default the index itself.
    """

    def __init__(self, name: str, index: Index, scans: Scans | None = None) -> None:
        self.name, self.index, self.scans = name, index, scans or index
        self.bits, self.classes, self.columns = index.bits, index.classes, index.columns()
        self.generation = index.generation
        self.has_pictures = has_images(index.description)
        self.kept = KeptResults(KEPT_MASKS)
        self._by_label: CodesByLabel | None = None
        """The codes class by class, if ``warm`` has arranged them: a second for ten million."""

    def __len__(self) -> int:
        return len(self.index)

    @cached_property
    def labels(self) -> Labels | None:
        """The labels of all items: integers (n,) of as few bytes as hold them, uint8 0/1 (n, classes), or None."""
        labels = self.index.labels()
        if labels is None or labels.ndim == 2 or not len(labels):
            return labels
        least, most = int(labels.min()), int(labels.max())
        return labels.astype(np.result_type(np.min_scalar_type(least), np.min_scalar_type(most)))

    @cached_property
    def labelled(self) -> Database:
        """The codes with their labels, of which the rows that the engine takes are made once."""
        database = self.index.database()
        return database if self.labels is None else database.with_labels(self.labels)

    def warm(self) -> None:
        """Read what the first search would wait for: labels, and codes unless they are very many."""
        labels = self.labels
        if not 0 < len(self) * -(-self.bits // 8) <= SMALL:
            return
        histogram(self.index.code(0), self.scans.database())
        if labels is not None and labels.ndim == 1:
            self._by_label = CodesByLabel.made(labels, self.index.codes())

    def mask(self, where: str | None, seconds: float) -> NDArray[np.bool_] | None:
        """The items that a condition holds for, as a mask; None without one.

        Raises:
            ValueError, VtsearchError: as ``Index.where``.
        """
        if where is None:
            return None
        made = partial(self.index.where, where, seconds=seconds)
        return self.kept.get(("where", where), made, lambda mask: mask.nbytes)

    def label_kind(self) -> str:
        """The form of its labels: "none", "single" or "multi"."""
        if self.labels is None:
            return "none"
        return "single" if self.labels.ndim == 1 else "multi"

    def class_name(self, number: int) -> str:
        """The name of a class, or its number as text."""
        return self.classes[number] if 0 <= number < len(self.classes) else str(number)

    def labels_at(self, position: int) -> list[int]:
        """The class ids of an item."""
        if self.labels is None:
            return []
        label = self.labels[position]
        return [int(label)] if self.labels.ndim == 1 else np.flatnonzero(label).tolist()

    def relevant(self, item: int, positions: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether each of some items shares a label with an item."""
        assert self.labels is not None
        found, label = self.labels[positions], self.labels[item]
        shared: NDArray[np.bool_] = found == label if found.ndim == 1 else (found & label).any(axis=1)
        return shared

    def relevant_codes(self, item: int) -> NDArray[np.uint8]:
        """The codes (r, bytes) of all items that share a label with an item, which is one of them."""
        if self._by_label is not None:
            return self._by_label.of(self.labels_at(item)[0])
        everything: Any = slice(None)

        def make() -> NDArray[np.uint8]:
            return self.index.database().rows(np.flatnonzero(self.relevant(item, everything)))

        return self.kept.get(("relevant", *self.labels_at(item)), make, lambda codes: codes.nbytes)

    def positions_of(self, names: Sequence[str]) -> NDArray[np.int64]:
        """The positions of ids, -1 for those that are not there; they may stand as ``readable`` wrote them."""
        return self.index.positions_of(self.exact(names)) if names else np.empty(0, dtype=np.int64)

    def exact(self, names: Sequence[str]) -> list[str]:
        """Ids as the index has them, of texts that ``readable`` may have written."""
        exact = list(names)
        escaped = [at for at, name in enumerate(exact) if _ESCAPE.search(name)]
        positions = self.index.positions_of([exact[at] for at in escaped]).tolist() if escaped else []
        for at, position in zip(escaped, positions, strict=True):
            if position < 0:  # an id may have such letters itself
                exact[at] = _ESCAPE.sub(lambda found: chr(int(found[1], 16)), exact[at])
        return exact

    def items(self, positions: Sequence[int]) -> list[Item]:
        """Items as the API describes them, in the order of the positions."""
        rows = np.unique(np.asarray(positions, dtype=np.int64))
        if not len(rows):
            return []
        ids, metadata = self.index.ids_at(rows.tolist()), self.index.metadata_at(rows)
        codes = self.index.database().rows(rows)
        made = {}
        for at, (position, code) in enumerate(zip(rows.tolist(), codes, strict=True)):
            values = {name: column[at] for name, column in metadata.items()}
            made[position] = self._item(ids[position], position, code.tobytes().hex(), values)
        return [made[position] for position in positions]

    def _item(self, name: str, position: int, code: str, metadata: dict[str, Any]) -> Item:
        labels, text = self.labels_at(position), readable(name)
        address = f"/v1/items/{quote(text, safe='')}/thumbnail?index={quote(self.name, safe='')}"
        # What comes from the index is of these types already; checking it again takes longer than the search.
        return Item.model_construct(
            id=text,
            labels=labels,
            names=[self.class_name(number) for number in labels],
            code=code,
            metadata={
                column: readable(value) if isinstance(value, str) else value for column, value in metadata.items()
            },
            thumbnail=f"{address}&side={THUMBNAIL}" if self.has_pictures else None,
            image=f"{address}&side={IMAGE}" if self.has_pictures else None,
        )


class ServedIndex:
    """An index whose state is followed: requests see a change that was made before them, those under way do not.

    Where the file system tells of no change, as one over a network may, it is seen within ``seconds``. A folder that is
    gone or damaged, or that holds another index by now, leaves the state as it was; the log tells why.

    Args:
        name: what requests call it.
        path: its folder.
        engine: what scans the codes of its states; by default this process.
        seconds: between two readings of a folder that seems to be the same.

    Raises:
        FileNotFoundError, VtsearchError: as ``Index.open`` and ``Engine.scans``.
    """

    def __init__(self, name: str, path: Path, engine: Engine | None = None, *, seconds: float = 1.0) -> None:
        self.name, self.path, self._seconds = name, path, seconds
        self._lock, self._read_at, self._look = threading.Lock(), 0.0, Look(None)
        self._engine = engine
        self._state = self._opened(Index.open(path))
        self._trouble = ""
        self.encodes = False
        """Whether a model can encode queries for it."""

    @property
    def state(self) -> IndexState:
        """The state that was read last."""
        return self._state

    def is_due(self) -> bool:
        """Whether the folder has changed since it was read, or may have."""
        return self._has_changed() or time.monotonic() - self._read_at >= self._seconds

    def follow(self) -> IndexState:
        """The state of the folder, read again if that is due; who asks for the time's sake alone waits for nobody."""
        if not self._lock.acquire(blocking=self._has_changed()):
            return self._state
        try:
            if self.is_due():
                self._read_or_tell()
            return self._state
        finally:
            self._lock.release()

    def read_again(self) -> IndexState:
        """The state of the folder now: after a change of one's own."""
        with self._lock:
            self._read()
            return self._state

    def info(self) -> IndexInfo:
        """The index in words."""
        state = self._state
        model = state.index.fingerprints.get("model")
        return IndexInfo(
            name=self.name,
            items=len(state),
            bits=state.bits,
            labels=state.label_kind(),  # type: ignore[arg-type]
            classes=list(state.classes),
            columns=state.columns,
            pictures=state.has_pictures,
            encodes=self.encodes,
            model=None if model is None else model[:12],
            folder=state.index.path.absolute().name,
            generation=state.generation,
        )

    def writer(self) -> Index:
        """A handle for a change; the state keeps its own."""
        return Index.open(self.path)

    def _has_changed(self) -> bool:
        return not self._look.is_sure or Look.at(self.path / FILE_NAME).file != self._look.file

    def _read_or_tell(self) -> None:
        trouble = ""
        try:
            self._read()
        except (OSError, VtsearchError) as error:
            trouble = format_error(error)
            if trouble != self._trouble:
                _log.warning("answers are of the index as it was: %s", trouble)
        self._trouble = trouble

    def _read(self) -> None:
        look = Look.at(self.path / FILE_NAME)
        try:
            fresh = self._state.index.reopened()
            if fresh.generation != self._state.generation:
                state = self._opened(fresh)
                _ = state.labels  # before a search would wait for them
                self._state = state
        finally:  # behind the new state: until then the old one is not the folder's
            self._look, self._read_at = look, time.monotonic()

    def _opened(self, index: Index) -> IndexState:
        """The state of a handle, or a later one if the index changes meanwhile."""
        if self._engine is None:
            return IndexState(self.name, index)
        for _ in range(TRIES):
            try:
                return IndexState(self.name, index, self._engine.scans(index))
            except GenerationGoneError:
                index = index.reopened()
        raise VtsearchError(f"{self.path}: the index changes again and again")


def readable(text: str) -> str:
    """A text with the bytes that are not UTF-8, in names of files, as escapes: JSON has no other way for them."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
