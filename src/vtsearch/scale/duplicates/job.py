"""What a work folder is for, and into how many tasks that is cut: the same for every worker."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

from vtsearch import _validate
from vtsearch._atomic_io import create_file
from vtsearch._json import read_json
from vtsearch._validate import Codes
from vtsearch.errors import VtsearchError
from vtsearch.scale.duplicates.parts import Part
from vtsearch.scale.duplicates.work import Work

VERSION = 1
FILE_NAME = "job.json"
_MOST_BYTES = 2**28

MOST_ITEMS = 2**31 - 1
"""Codes of a task: their rows are numbers of 32 bits."""

CACHED_ITEMS = 2**21
"""Codes of a partition that are compared at once, at most: more are sorted slower than they are read again."""


def bytes_of_item(width: int) -> int:
    """Memory of a task for each of its codes, at most, maps of files included."""
    return 4 * width + 64


class Chunk(NamedTuple):
    """Consecutive codes of a part, and the position of the first one in all."""

    part: int
    start: int
    stop: int
    first: int


@dataclass(frozen=True)
class Job:
    """Deduplicate the codes of some parts, in tasks of about ``chunk`` codes."""

    width: int
    """Bytes of a code."""
    lengths: list[int]
    """Of the parts."""
    identities: list[str]
    radius: int
    chunk: int
    version: int = VERSION

    @property
    def items(self) -> int:
        """In all."""
        return sum(self.lengths)

    @property
    def buckets(self) -> int:
        """Partitions of the codes by their hash."""
        return max(-(-self.items // self.chunk), 1)

    @property
    def limit(self) -> int:
        """Codes that are compared at once, about."""
        return min(self.chunk, CACHED_ITEMS)

    @property
    def position_dtype(self) -> str:
        """Of a position."""
        return "<u4" if self.items <= 2**32 else "<u8"

    def chunks(self) -> list[Chunk]:
        """All codes."""
        chunks: list[Chunk] = []
        first = 0
        for number, length in enumerate(self.lengths):
            starts = range(0, length, self.chunk)
            chunks += [Chunk(number, start, min(start + self.chunk, length), first + start) for start in starts]
            first += length
        return chunks


class Plan(NamedTuple):
    """How near codes find each other."""

    blocks: Codes
    """(blocks, bytes): the bits of each."""
    chosen: int
    """Blocks of a set: codes that agree in all bits of one are compared."""
    partitions: int
    """Of the codes by each of the first blocks, of which every set has one."""

    def sets_from(self, block: int) -> Codes:
        """(sets, bytes): the bits of each set whose first block is this one."""
        sets: Codes = sets_of(self.blocks[block + 1 :], self.chosen - 1) | self.blocks[block]
        return sets


def sets_of(blocks: Codes, chosen: int) -> Codes:
    """(sets, bytes): the bits of every set of so many blocks."""
    numbers = itertools.combinations(range(len(blocks)), chosen)
    sets = [np.bitwise_or.reduce(blocks[list(each)], axis=0, dtype=np.uint8) for each in numbers]
    return np.stack(sets)


def job_of(parts: Sequence[Part], radius: int, memory: int) -> Job:
    """The job of some parts.

    Raises:
        TypeError: codes that are not uint8.
        ValueError: parts of different widths.
    """
    widths = [_validate.codes_to_scan("codes", part.between(0, 0).codes()).shape[1] for part in parts]
    for number, width in enumerate(widths):
        if width != widths[0]:
            raise ValueError(f"codes[{number}]: expected {widths[0]} bytes per code as in codes[0], got {width}")
    chunk = min(max(memory // bytes_of_item(widths[0]), 1), MOST_ITEMS)
    return Job(widths[0], [len(part) for part in parts], [part.identity for part in parts], radius, chunk)


def agreed(work: Work, job: Job) -> Job:
    """The job of a work folder: this one where there was none, or else the one that was begun with other memory.

    Raises:
        VtsearchError: the folder is for other codes or another radius, or of another version; it is damaged.
        OSError: a disk that is full or refuses.
    """
    path = work.folder / FILE_NAME
    if not path.exists():
        try:
            create_file(path, json.dumps(asdict(job)).encode())
        except FileExistsError:
            pass  # another worker was faster
        else:
            return job
    try:
        known = Job(**read_json(path, _MOST_BYTES))
    except TypeError as error:
        raise VtsearchError(f"{path}: expected a job of vtsearch deduplicate, got {error}") from error
    _compare(work, known, job)
    return known


def _compare(work: Work, known: Job, job: Job) -> None:
    other = f"{work.folder}: expected the work of this call, got that of"
    hint = "use another folder, or delete this one"
    if known.version != job.version:
        raise VtsearchError(f"{other} version {known.version}; {hint}")
    if known.radius != job.radius:
        raise VtsearchError(f"{other} radius {known.radius}, not {job.radius}; {hint}")
    if (known.width, known.lengths, known.identities) != (job.width, job.lengths, job.identities):
        raise VtsearchError(f"{other} other codes ({known.items:,} of {8 * known.width} bits); {hint}")
