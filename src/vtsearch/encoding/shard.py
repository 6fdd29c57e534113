"""One index from images, which appears as a whole and continues after a kill: the work of ``vtsearch encode``."""

from __future__ import annotations

import shutil
from functools import partial
from itertools import compress
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from vtsearch._atomic_io import place_folder, swap_folder, temporary
from vtsearch.data.loading.tolerant_dataset import utf8_text
from vtsearch.data.skipped import SkippedImage, skipped_entry
from vtsearch.encoding.chunked_encoding import ChunkedEncoding, NoProgress, SavePolicy, describe_fault
from vtsearch.encoding.index_writer import IndexWriter, new_index
from vtsearch.encoding.output import check_output, claimed, is_occupied, output_folder, refuse_existing
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from vtsearch.data.loading.tolerant_dataset import Fault
    from vtsearch.data.selection import ImageSelection
    from vtsearch.encoding.batches import BatchEncoder
    from vtsearch.encoding.chunked_encoding import EncodingProgress
    from vtsearch.encoding.chunks import SavedChunk
    from vtsearch.encoding.work_folder import WorkFolder


class EncodedShard(NamedTuple):
    """Numbers of a finished encoding."""

    items: int
    """Codes in the index."""
    skipped: int
    """Images that could not be read."""


def encode_shard(
    encoder: BatchEncoder,
    images: ImageSelection,
    output: Path,
    *,
    overwrite: bool = False,
    strict: bool = False,
    save: SavePolicy | None = None,
    description: Mapping[str, str] | None = None,
    progress: EncodingProgress | None = None,
) -> EncodedShard:
    """Encode images into a new index, or in the place of an index.

    Codes are saved as they are computed, in a hidden folder beside the output; the same call continues after a kill
    or an error, and gives the same index as one without. Until the index is complete, the output is as it was before.

    Args:
        encoder: makes the codes; its fingerprints go into the index.
        images: which images, and how to find them again.
        output: folder of the index, or a link to it.
        overwrite: replace the index that is there.
        strict: stop at the first image that cannot be read. By default such images are left out; the index lists them
            (``skipped_images``).
        save: how often codes are saved.
        description: more metadata for the index, such as the model's folder.
        progress: what to report to.

    Raises:
        ValueError: two images of one name; an output that cannot be a folder (``check_output``).
        FileExistsError: an output with content, unless it is an index and ``overwrite`` is true.
        BlockingIOError: another process is writing there; the message names the process.
        VtsearchError: no image can be read; or one cannot, and ``strict`` is true.
        FileNotFoundError: the folder of the images was moved or unmounted; the codes so far are kept.
        OSError: a disk that is full or refuses; the codes so far are kept.
    """
    check_output(output, overwrite=overwrite)
    job = EncodingJob.of(encoder, images, output, overwrite=overwrite, strict=strict, save=save)
    with claimed(job.target, overwrite=overwrite) as work:
        return job.finish(work, description or {}, progress or NoProgress())


class EncodingJob(NamedTuple):
    """An encoding and where its index will be."""

    encoder: BatchEncoder
    images: ImageSelection
    ids: Sequence[str]
    fingerprints: Mapping[str, str]
    target: Path
    overwrite: bool
    strict: bool
    save: SavePolicy

    @classmethod
    def of(
        cls,
        encoder: BatchEncoder,
        images: ImageSelection,
        output: Path,
        *,
        overwrite: bool,
        strict: bool,
        save: SavePolicy | None,
    ) -> Self:
        """A job of the arguments of ``encode_shard``.

        Raises:
            ValueError: two images of one name; an output that cannot be a folder.
        """
        target, ids = output_folder(output), different_ids(images)
        fingerprints = encoder.fingerprints_of(images.source)
        return cls(encoder, images, ids, fingerprints, target, overwrite, strict, save or SavePolicy())

    def chunks(self, work: WorkFolder, progress: EncodingProgress, rows: range | None = None) -> list[SavedChunk]:
        """The chunks of all images, or of some rows whose worker this is; what is missing is encoded."""
        encoding = ChunkedEncoding(
            self.encoder,
            self.images,
            self.ids,
            work,
            fingerprints=self.fingerprints,
            strict=self.strict,
            save=self.save,
            progress=progress,
            rows=rows,
        )
        return encoding.run()

    def finish(self, work: WorkFolder, description: Mapping[str, str], progress: EncodingProgress) -> EncodedShard:
        """Encode what is missing, and put the index in its place; for the only writer of it.

        Raises:
            FileExistsError, VtsearchError, OSError: as ``encode_shard``.
        """
        refuse_existing(self.target, overwrite=self.overwrite)
        try:
            chunks = self.chunks(work, progress)
            faults = [fault for chunk in chunks for fault in chunk.faults]
            _refuse_nothing_readable(self.ids, faults, work)
            skipped = [SkippedImage(utf8_text(self.ids[fault.row]), fault.reason) for fault in faults]
            about = {**self.images.description, **description, **skipped_entry(skipped)}
            write = partial(self._write, chunks=chunks, work=work, description=about)
            _replace(self.target, work, write, self.overwrite)
        finally:
            work.remove_if_empty()
        return EncodedShard(len(self.ids) - len(faults), len(faults))

    def _write(
        self, folder: Path, *, chunks: Sequence[SavedChunk], work: WorkFolder, description: Mapping[str, str]
    ) -> None:
        """Create the index of all images but those with a fault, a segment at a time."""
        fingerprints = {**self.fingerprints} | ({} if self.images.split is None else {"split": self.images.split})
        width = -(-self.encoder.bits // 8)
        with new_index(folder, self.images, self.encoder.bits, fingerprints, description) as index:
            writer = IndexWriter(index, self.images)
            for chunk in work.load(chunks, width):
                failed = np.isin(np.arange(len(chunk.codes)), [fault.row - chunk.start for fault in chunk.faults])
                positions = self.images.positions[chunk.start : chunk.saved.stop]
                writer.add(chunk.codes[~failed], positions[~failed], list(compress(chunk.facts, ~failed)))
            writer.finish()


def different_ids(images: ImageSelection) -> list[str]:
    """The ids of the images; refuses two equal ones."""
    ids = [images.source.id(int(position)) for position in images.positions]
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise ValueError(f"images: expected different images, got {utf8_text(name)} twice")
        seen.add(name)
    return ids


def _refuse_nothing_readable(ids: Sequence[str], faults: Sequence[Fault], work: WorkFolder) -> None:
    if ids and len(faults) == len(ids):
        work.remove()
        first = describe_fault(ids, faults[0])
        none = "" if len(ids) == 1 else f"none of the {len(ids):,} images could be read; the first: "
        raise VtsearchError(f"images: {none}{first}")


def _replace(target: Path, work: WorkFolder, write: Callable[[Path], object], overwrite: bool) -> None:
    """Write an index beside its place, put it there, and delete the work folder.

    Raises:
        FileExistsError: something is there that may not be replaced.
    """
    fresh = temporary(target)
    try:
        write(fresh)
        work.announce(fresh)
        if overwrite and is_occupied(target):
            refuse_existing(target, overwrite=True)
            swap_folder(fresh, target)
        else:
            _place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    work.remove()


def _place(fresh: Path, target: Path) -> None:
    try:
        place_folder(fresh, target)
    except FileExistsError as error:
        raise FileExistsError(
            f"output: {target} was made by another process meanwhile and is as it was; "
            "the codes are saved, and the same command with --overwrite replaces it"
        ) from error
