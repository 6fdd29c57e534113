"""The share of one of several workers in an index of images: they know nothing of each other but their numbers.

Each encodes consecutive rows and saves their codes in the work folder, which all of them see. The worker that finishes
last finds nothing missing, and writes the index. The rows of a worker that was killed are those of its next run, or of
any run with another number of workers, one included: what is saved is not encoded again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vtsearch.encoding.chunked_encoding import NoProgress
from vtsearch.encoding.output import claimed, is_index, locked, refuse_existing
from vtsearch.encoding.shard import EncodedShard, EncodingJob
from vtsearch.encoding.update import refuse_other_images
from vtsearch.encoding.work_folder import WorkFolder
from vtsearch.index import Index

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from vtsearch.data.selection import ImageSelection
    from vtsearch.encoding.batches import BatchEncoder
    from vtsearch.encoding.chunked_encoding import EncodingProgress, SavePolicy


@dataclass(frozen=True)
class EncodedShare:
    """What a worker has done, and the index if it was the last one."""

    images: int
    """Of this worker."""
    skipped: int
    """That could not be read, of this worker."""
    missing: int | None
    """Images of other workers that are not encoded yet; None while others work, and 0 if the index is there."""
    index: EncodedShard | None = None
    """If this worker has written it."""


def share_of(worker: tuple[int, int], rows: int, step: int) -> range:
    """The consecutive rows of one worker, about as many as every other one has.

    Args:
        worker: I of N, from 0.
        rows: of all workers.
        step: each share but the last begins and ends at a multiple of it.

    Raises:
        ValueError: not 0 <= I < N.
    """
    number, count = worker
    if not 0 <= number < count:
        raise ValueError(f"worker: expected I from 0 to N - 1, got {number} of {count}")
    steps = -(-rows // step)
    bounds = [min(steps * each // count * step, rows) for each in (number, number + 1)]
    return range(*bounds)


def encode_share(
    encoder: BatchEncoder,
    images: ImageSelection,
    output: Path,
    worker: tuple[int, int],
    *,
    overwrite: bool = False,
    strict: bool = False,
    save: SavePolicy | None = None,
    description: Mapping[str, str] | None = None,
    progress: EncodingProgress | None = None,
) -> EncodedShare:
    """Encode the share of one of several workers; the last one that finishes writes the index.

    The index is that of ``encode_shard``, byte for byte, for any number of workers. All have the same encoder, images
    and output; the folder of the output is on a file system that all of them see.

    Args:
        encoder: as for ``encode_shard``.
        images: as for ``encode_shard``, those of all workers.
        output: as for ``encode_shard``.
        worker: I of N, from 0.
        overwrite: as for ``encode_shard``.
        strict: as for ``encode_shard``; the other workers go on.
        save: as for ``encode_shard``.
        description: as for ``encode_shard``.
        progress: what to report the share of this worker to.

    Raises:
        ValueError: a worker that is not I of N; an index of other images; as ``encode_shard``.
        VtsearchError: codes or an index of another model; as ``encode_shard``.
        FileExistsError, BlockingIOError, FileNotFoundError, OSError: as ``encode_shard``.
    """
    job = EncodingJob.of(encoder, images, output, overwrite=overwrite, strict=strict, save=save)
    rows = share_of(worker, len(job.ids), encoder.images_per_batch)
    if is_index(job.target) and not overwrite:
        _refuse_another(job)
        return EncodedShare(len(rows), 0, 0)
    refuse_existing(job.target, overwrite=overwrite)
    with locked(job.target, shared=True):
        chunks = job.chunks(WorkFolder(job.target), progress or NoProgress(), rows)
    skipped = sum(fault.row in rows for chunk in chunks for fault in chunk.faults)
    try:
        return _concluded(job, description or {}, EncodedShare(len(rows), skipped, None))
    except BlockingIOError:  # others work; the last of them will be here
        return EncodedShare(len(rows), skipped, None)


def _concluded(job: EncodingJob, description: Mapping[str, str], share: EncodedShare) -> EncodedShare:
    """Write the index if nothing is missing.

    Raises:
        BlockingIOError: other workers are at work.
    """
    with claimed(job.target, overwrite=job.overwrite) as work:
        if not work.exists:  # another worker was quicker
            return replace(share, missing=0)
        missing = len(job.ids) - work.saved()
        if missing > 0:
            return replace(share, missing=missing)
        return replace(share, missing=0, index=job.finish(work, description, NoProgress()))


def _refuse_another(job: EncodingJob) -> None:
    """Refuse an index of other images, or of another model."""
    with Index.open(job.target) as index:
        refuse_other_images(index, job.images)
        index.check_fingerprints(job.fingerprints, whose="the model")
