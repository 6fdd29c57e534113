"""The encoding of a selection of images in chunks, each saved before the next begins; it continues after a kill."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from vtsearch.data.loading.tolerant_dataset import Fault, utf8_text
from vtsearch.data.sources.file_facts import stamps
from vtsearch.encoding.chunks import Chunk, SavedChunk, gaps, images_digest
from vtsearch.encoding.encoder import CPU_SHAPE
from vtsearch.encoding.work_folder import folder_identity
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vtsearch.data.selection import ImageSelection
    from vtsearch.encoding.batches import BatchEncoder, EncodedBatch, StageSeconds
    from vtsearch.encoding.work_folder import WorkFolder


@dataclass(frozen=True)
class SavePolicy:
    """How often codes are saved while more are computed; a kill loses those since.

    Raises:
        ValueError: a number out of range.
    """

    images: int = 10_000
    """After this many images, at least 1 ..."""
    seconds: float = 30.0
    """... or this many seconds, at least 0, whichever comes first; always at the end of a batch."""

    def __post_init__(self) -> None:
        if self.images < 1:
            raise ValueError(f"save_images: expected at least 1, got {self.images}")
        if not self.seconds >= 0:
            raise ValueError(f"save_seconds: expected at least 0, got {self.seconds}")


class EncodingProgress(Protocol):
    """Receives the reports of an encoding."""

    def start(self, done: int, total: int) -> None:
        """Called once, with the number of images that an interrupted run has encoded already."""

    def advance(self, images: int, seconds: StageSeconds) -> None:
        """Called after each batch with its number of images, and where their time went."""

    def note(self, text: str) -> None:
        """Called with a line for the user."""


class NoProgress:
    """Receives the reports of an encoding and prints nothing."""

    def start(self, done: int, total: int) -> None:
        """Ignored."""

    def advance(self, images: int, seconds: StageSeconds) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""


class ChunkedEncoding:
    """Codes of the images of a selection, saved in a work folder.

    Args:
        encoder: makes the codes.
        images: the images.
        ids: of the images, in their order.
        work: holds the codes; this process is its only writer.
        fingerprints: of what makes the codes.
        strict: stop at the first image that cannot be read.
        save: how often codes are saved.
        progress: what to report to.
        rows: which of the images, where other processes encode the others; by default all.
    """

    def __init__(
        self,
        encoder: BatchEncoder,
        images: ImageSelection,
        ids: Sequence[str],
        work: WorkFolder,
        *,
        fingerprints: Mapping[str, str],
        strict: bool,
        save: SavePolicy,
        progress: EncodingProgress,
        rows: range | None = None,
    ) -> None:
        self._shared, self._rows = rows is not None, range(len(ids)) if rows is None else rows
        self._encoder, self._images, self._ids, self._work = encoder, images, ids, work
        self._fingerprints, self._strict, self._save, self._progress = fingerprints, strict, save, progress
        self._root = self._images.root
        self._root_identity = None if self._root is None else folder_identity(self._root)

    def run(self) -> list[SavedChunk]:
        """Encode what no earlier run has encoded; returns the chunks of all rows, in their order.

        Raises:
            VtsearchError: an image that cannot be read, if ``strict``; the codes before it are saved. Of some rows:
                codes of something else in the work folder.
            FileNotFoundError: the folder of the images was moved or unmounted; the codes before that are saved.
            OSError: a disk that is full or refuses; the codes saved before are kept.
        """
        chunks = self._saved()
        if self._strict:
            self._refuse([fault for chunk in chunks for fault in chunk.faults])
        missing = gaps(chunks, self._rows)
        self._progress.start(len(self._rows) - sum(map(len, missing)), len(self._rows))
        for gap in missing:
            chunks = chunks + self._encode(gap)
        return sorted(chunks, key=lambda chunk: chunk.start)

    def _saved(self) -> list[SavedChunk]:
        """Chunks of an interrupted run whose images are as they were."""
        width, differing = -(-self._encoder.bits // 8), None
        if self._shared:
            found = self._work.join(self._fingerprints, width, self._rows)
        else:
            found, differing = self._work.open(self._fingerprints, width)
        chunks = self._work.keep(found, self._is_current)
        if differing is not None:
            self._progress.note(f"starting anew: the codes of an interrupted run are of another {differing}")
        if found:
            self._progress.note(f"continuing: {_rows(chunks):,} of {len(self._rows):,} images are encoded already")
        if len(chunks) < len(found):
            changed = _rows(found) - _rows(chunks)
            self._progress.note(f"{changed:,} more codes are not used: among their images some have changed")
        return chunks

    def _is_current(self, chunk: SavedChunk) -> bool:
        """Whether a chunk is of the same image files as now, at the same rows."""
        if chunk.stop > len(self._ids) or (chunk.stop % CPU_SHAPE and chunk.stop < len(self._ids)):
            return False  # in the second case later images would stand elsewhere in their forward passes
        rows = range(chunk.start, chunk.stop)
        found = stamps(self._images.source, self._images.positions[chunk.start : chunk.stop].tolist())
        return images_digest((self._ids[row] for row in rows), found) == chunk.images

    def _encode(self, rows: range) -> list[SavedChunk]:
        """Encode and save consecutive rows; after an error or an interruption those before it are saved."""
        writer = _ChunkWriter(self._work, self._ids, rows.start, self._save)
        positions = self._images.positions[rows.start : rows.stop]
        try:
            for batch in self._encoder.batches(self._images.source, positions):
                if batch.faults:
                    self._check_root()
                if self._strict:
                    self._refuse([Fault(rows.start + fault.row, fault.reason) for fault in batch.faults])
                writer.add(batch)
                self._progress.advance(len(batch.rows), batch.seconds)
        except BaseException:
            with contextlib.suppress(OSError):
                writer.flush()
            raise
        writer.flush()
        return writer.chunks

    def _check_root(self) -> None:
        """Refuse to go on if the folder of all images was moved or unmounted: every image would be skipped."""
        if self._root is not None and folder_identity(self._root) != self._root_identity:
            raise FileNotFoundError(
                f"images: {self._root} is no longer the folder that it was; the codes so far are saved"
            )

    def _refuse(self, faults: Sequence[Fault]) -> None:
        if faults:
            raise VtsearchError(f"images: {describe_fault(self._ids, faults[0])}")


class _ChunkWriter:
    """Collects batches of consecutive rows and writes them as chunks."""

    def __init__(self, work: WorkFolder, ids: Sequence[str], start: int, save: SavePolicy) -> None:
        self._work, self._ids, self._start, self._save = work, ids, start, save
        self._pending: list[EncodedBatch] = []
        self._saved_at = time.monotonic()
        self.chunks: list[SavedChunk] = []

    def add(self, batch: EncodedBatch) -> None:
        self._pending.append(batch)
        count = sum(len(each.rows) for each in self._pending)
        if count >= self._save.images or time.monotonic() - self._saved_at >= self._save.seconds:
            self.flush()

    def flush(self) -> None:
        """Write the pending batches as one chunk."""
        if not self._pending:
            return
        codes = np.concatenate([batch.codes for batch in self._pending])
        names = self._ids[self._start : self._start + len(codes)]
        facts = tuple(each for batch in self._pending for each in batch.facts)
        before = [None if each is None else each.stamp for each in facts]
        base = self._start - int(self._pending[0].rows[0])
        faults = tuple(Fault(base + fault.row, fault.reason) for batch in self._pending for fault in batch.faults)
        chunk = Chunk(self._start, codes, faults, images_digest(names, before), facts)
        self._work.save(chunk)
        self.chunks.append(chunk.saved)
        self._pending, self._start = [], chunk.saved.stop
        self._saved_at = time.monotonic()


def describe_fault(ids: Sequence[str], fault: Fault) -> str:
    """``NAME: REASON``, without the name where the reason has it."""
    name, reason = utf8_text(ids[fault.row]), fault.reason.removeprefix("images: ")
    return reason if name in reason else f"{name}: {reason}"


def _rows(chunks: Sequence[SavedChunk]) -> int:
    return sum(chunk.stop - chunk.start for chunk in chunks)
