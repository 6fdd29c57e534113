"""The tasks: each reads what others have finished, and writes a folder of arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vtsearch import _native
from vtsearch._validate import Codes
from vtsearch.errors import VtsearchError
from vtsearch.scale.duplicates.agreeing import Condition, Partition, Slice, links
from vtsearch.scale.duplicates.job import Chunk, Job, Plan
from vtsearch.scale.duplicates.parts import Part
from vtsearch.scale.duplicates.work import Work, mapped, save

_SAMPLED = 2**16
_FILLED_ITEMS = 2**22


@dataclass(frozen=True)
class Task:
    """One of many; it may run anywhere, twice, or again after a kill."""

    work: Work
    job: Job
    threads: int

    @property
    def name(self) -> str:
        """Of its folder."""
        raise NotImplementedError

    @property
    def place(self) -> Path:
        """Its folder."""
        return self.work.place(self.name)

    @property
    def is_done(self) -> bool:
        """Whether its folder is there."""
        return self.work.is_done(self.name)

    def write(self, fresh: Path) -> None:
        """Fill its folder."""
        raise NotImplementedError


def run_task(task: Task) -> None:
    """Run a task unless it is done.

    Raises:
        VtsearchError: a damaged index or work folder.
        OSError: a disk that is full or refuses.
    """
    if task.is_done:
        return
    try:
        with task.work.results(task.name) as fresh:
            task.write(fresh)
    except VtsearchError:
        if not task.is_done:  # else another run was faster, and what it read is deleted
            raise


@dataclass(frozen=True)
class Split(Task):
    """Sort the codes of a chunk into buckets by their hash."""

    number: int
    chunk: Chunk
    part: Part

    @property
    def name(self) -> str:
        """As ``split-00000``."""
        return split_name(self.number)

    def write(self, fresh: Path) -> None:
        """codes, rows (in the chunk), offsets of the buckets; pairs of equal codes where a bucket is too large."""
        codes = np.ascontiguousarray(self.part.codes())
        if codes.shape != (expected := (self.chunk.stop - self.chunk.start, self.job.width)):
            raise VtsearchError(f"codes: expected {expected} in a chunk as at the beginning, got {codes.shape}")
        every_bit = np.full(self.job.width, 255, dtype=np.uint8)
        offsets, rows = _native.partition_codes(codes, every_bit, self.job.buckets)
        pairs = np.empty((0, 2), dtype=np.int64)
        if np.diff(offsets).max() > 2 * -(-len(codes) // self.job.buckets):
            first = _equal(codes, self.threads)
            pairs = links(first, np.arange(self.chunk.first, self.chunk.first + len(codes)))
            kept = first[rows] == rows
            offsets, rows = np.concatenate(([0], np.cumsum(kept)))[offsets], rows[kept]
        save(fresh, codes=_taken(codes, rows), rows=rows, offsets=offsets, pairs=pairs)


@dataclass(frozen=True)
class Planned(Task):
    """Choose the blocks, by the codes of a part of the first bucket: a sample of all different codes."""

    @property
    def name(self) -> str:
        """There is one."""
        return "plan"

    def write(self, fresh: Path) -> None:
        """Blocks (blocks, bytes); numbers: blocks of a set, partitions."""
        codes, _ = _bucket(self, 0)
        pieces = max(len(codes) // _SAMPLED, 1)
        every_bit = np.full(self.job.width, 255, dtype=np.uint8)
        offsets, rows = _native.partition_codes(codes, every_bit, pieces * self.job.buckets)
        piece = _taken(codes, rows[: offsets[1]])
        distinct = piece[np.flatnonzero(_equal(piece, self.threads) == np.arange(len(piece)))]
        count = len(distinct) * pieces * self.job.buckets
        blocks, chosen = _native.plan_blocks(distinct, count, self.job.radius)
        save(fresh, blocks=blocks, numbers=np.array([chosen, max(-(-count // self.job.limit), 1)]))

    def plan(self) -> Plan:
        """The finished plan."""
        chosen, partitions = self.work.array(self.name, "numbers").tolist()
        return Plan(np.array(self.work.array(self.name, "blocks")), chosen, partitions)


@dataclass(frozen=True)
class Distinct(Task):
    """Find equal codes in a bucket, and sort the others into partitions by each of the first blocks."""

    bucket: int
    plan: Plan | None
    """None: nothing but equal codes is asked for."""

    @property
    def name(self) -> str:
        """As ``distinct-00000``."""
        return distinct_name(self.bucket)

    def write(self, fresh: Path) -> None:
        """Pairs of equal codes; codes and positions by block and partition, and offsets (blocks, partitions + 1)."""
        codes, positions = _bucket(self, self.bucket)
        first = _equal(codes, self.threads)
        save(fresh, pairs=links(first, positions))
        if self.plan is None:
            return
        distinct = np.flatnonzero(first == np.arange(len(first)))
        codes, positions = _taken(codes, distinct), positions[distinct]
        blocks = self.plan.blocks[: copies_of(self.plan, self.job.radius)]
        sorted_codes = mapped(fresh, "codes", (len(blocks) * len(codes), self.job.width), np.uint8)
        sorted_positions = mapped(fresh, "positions", (len(blocks) * len(codes),), self.job.position_dtype)
        offsets = np.empty((len(blocks), self.plan.partitions + 1), dtype=np.int64)
        for number, block in enumerate(blocks):
            begin, end = number * len(codes), (number + 1) * len(codes)
            here, rows = _native.partition_codes(codes, block, self.plan.partitions)
            sorted_codes[begin:end], sorted_positions[begin:end] = _taken(codes, rows), positions[rows]
            offsets[number] = here + begin
        save(fresh, offsets=offsets)


@dataclass(frozen=True)
class Near(Task):
    """Compare the codes of a partition by one of the first blocks that agree in a set of blocks."""

    block: int
    partition: int
    plan: Plan
    only: int | None = None
    """One of the sets, where the partition is too large for all of them."""
    piece: int = 0
    pieces: int = 1
    """The codes of such a partition are cut into so many by the bits of that set."""

    @property
    def name(self) -> str:
        """As ``near-00-00000`` or ``near-00-00000-00-00000``."""
        whole = f"near-{self.block:02}-{self.partition:05}"
        return whole if self.only is None else f"{whole}-{self.only:02}-{self.piece:05}"

    def write(self, fresh: Path) -> None:
        """Pairs of near codes."""
        sets = self.plan.sets_from(self.block)
        conditions: tuple[Condition, ...] = ()
        if self.only is not None:
            sets = sets[self.only : self.only + 1]
            conditions = ((sets[0], self.pieces, self.piece),)
        partition = Partition(self._slices, self.job.radius, 2 * self.job.limit, self.threads)
        found = partition.forests(sets, conditions)
        save(fresh, pairs=np.concatenate([np.empty((0, 2), dtype=np.int64), *found]))

    def _slices(self) -> Iterator[Slice]:
        copy = min(self.block, copies_of(self.plan, self.job.radius) - 1)
        at = copy * (self.plan.partitions + 1) + self.partition
        for bucket in range(self.job.buckets):
            name = distinct_name(bucket)
            begin, end = self.work.values(name, "offsets", at, at + 2, "<i8").tolist()
            positions = self.work.values(name, "positions", begin, end, self.job.position_dtype)
            yield codes_of(self, name, begin, end), positions


@dataclass(frozen=True)
class Merge(Task):
    """Join the forests of all tasks into one over all items."""

    forests: tuple[str, ...]
    """The tasks that have pairs."""

    @property
    def name(self) -> str:
        """There is one."""
        return "merged"

    def write(self, fresh: Path) -> None:
        """representatives: the smallest position of each item's group."""
        parents = mapped(fresh, "representatives", (self.job.items,), np.int64)
        for start in range(0, len(parents), _FILLED_ITEMS):
            stop = min(start + _FILLED_ITEMS, len(parents))
            parents[start:stop] = np.arange(start, stop)
        for name in self.forests:
            _native.merge_pairs(parents, self.work.array(name, "pairs"))
        _native.find_roots(parents)


def copies_of(plan: Plan, radius: int) -> int:
    """How often a code is written: for each of the first blocks, or once where there is one partition."""
    return radius + 1 if plan.partitions > 1 else 1


def split_name(number: int) -> str:
    """The folder of a chunk."""
    return f"split-{number:05}"


def distinct_name(bucket: int) -> str:
    """The folder of a bucket."""
    return f"distinct-{bucket:05}"


def _bucket(task: Task, bucket: int) -> tuple[Codes, NDArray[np.int64]]:
    """(n, bytes) codes of a bucket, and their positions, ascending."""
    codes, positions = [], []
    for number, chunk in enumerate(task.job.chunks()):
        name = split_name(number)
        begin, end = task.work.values(name, "offsets", bucket, bucket + 2, "<i8").tolist()
        codes.append(codes_of(task, name, begin, end))
        positions.append(chunk.first + task.work.values(name, "rows", begin, end, "<u4").astype(np.int64))
    return np.concatenate(codes), np.concatenate(positions)


def codes_of(task: Task, name: str, begin: int, end: int) -> Codes:
    """(end - begin, bytes): the codes of some rows of another task."""
    width = task.job.width
    return task.work.values(name, "codes", begin * width, end * width, np.uint8).reshape(end - begin, width)


def _equal(codes: Codes, threads: int) -> NDArray[np.int64]:
    """(n,): the first code that is equal."""
    return _native.deduplicate(codes, 0, max(len(codes), 1), 1, None, None, threads)


def _taken(codes: Codes, rows: NDArray[np.integer]) -> Codes:
    """The codes of some rows: those of 8 bytes as one word each."""
    items = codes.view(f"V{codes.shape[1]}")[:, 0]
    taken: Codes = items[rows].view(np.uint8).reshape(len(rows), codes.shape[1])
    return taken
