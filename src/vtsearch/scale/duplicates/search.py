"""Groups of near-duplicates by tasks: partitions, a forest of each, the forests merged."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from vtsearch import _validate
from vtsearch._database import Database
from vtsearch._validate import Progress
from vtsearch.errors import VtsearchError
from vtsearch.scale.duplicates.job import Job, Plan, agreed, job_of
from vtsearch.scale.duplicates.parts import Part, parts_of
from vtsearch.scale.duplicates.tasks import (
    Distinct,
    Merge,
    Near,
    Planned,
    Split,
    Task,
    copies_of,
    distinct_name,
    run_task,
)
from vtsearch.scale.duplicates.work import Work

Tasks: TypeAlias = Callable[[Callable[[Any], None], Sequence[Any]], Iterable[None]]
"""Runs a function for each of some tasks, in any order and anywhere, as ``map`` does."""

MEMORY = 2**30
"""Bytes of a task, about."""

_SHARES = {"split": 0.1, "plan": 0.02, "distinct": 0.25, "near": 0.55, "merge": 0.08}
"""Of the time, about."""


def deduplicate(
    codes: NDArray[Any] | Database | Sequence[Part],
    radius: int,
    *,
    tasks: Tasks = map,
    work: str | PathLike[str] | None = None,
    memory: int = MEMORY,
    threads: int | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]:
    """The groups of ``vtsearch.deduplicate``, found by independent tasks that hand each other files.

    1. Codes are sorted into buckets by a hash, a chunk at a time. In each bucket equal codes are found; of those the
       first one goes on.
    2. Bits are dealt to blocks. Codes within the radius agree in one of all sets of so many blocks; the number
       of blocks is chosen by the time that it costs. A code is written once for each of the first radius + 1 blocks, of
       which every set has one, to a partition by the bits of that block.
    3. In each partition codes that agree in a set are compared; near ones make a forest, an edge less than codes.
    4. All forests are merged over an array of all positions, 8 bytes each, mapped from a file.

    Groups are exact, whatever the tasks, their order, and how often one is run. Codes that agree in many bits are told
    apart by further blocks, in memory and where a partition is too large for it.

    Args:
        codes: (n, bytes) uint8, or a ``Database``, or parts that tasks open where they run, such as ``SpanPart``;
            positions go on from one part to the next.
        radius: largest distance of a step, in bits; at least 0. With 0, groups are equal codes.
        tasks: runs them: ``map``, the ``map`` of a pool of threads or processes, of ``RayTasks`` or ``ClaimedTasks``.
        work: folder for the files, which every task can reach; it is made. One that holds an unfinished run of the same
            codes and radius is continued. By default a temporary folder of this machine, deleted at the end.
        memory: bytes that a task may use, about: it sets the number of tasks. A folder that is continued has its own.
        threads: of each task, at most; by default the CPUs that this process may use.
        progress: called with items done and items in all; `done` is an estimate.

    Returns:
        int64 (n,): the smallest position of each item's group. With a work folder it is a map of the file
        ``merged/representatives.npy`` in it, and the other files are deleted.

    Raises:
        TypeError: codes that are not uint8, or a sequence of others than parts; radius, memory or threads that are not
            ints; progress that is not a function.
        ValueError: codes of another shape or of different widths; a database with a mask; no parts; a radius below 0,
            memory or threads below 1.
        VtsearchError: a work folder of other codes or another radius; a damaged one; a part that cannot be read.
        OSError: a disk that is full or refuses.

    Example:
        >>> import vtsearch
        >>> codes = vtsearch.pack([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [0, 0, 1, 1]])
        >>> deduplicate(codes, radius=1)
        array([0, 1, 0, 0])
    """
    parts, bound = parts_of(codes), _validate.whole_number("radius", radius, 0)
    report, count = _validate.checked_progress(progress), _validate.thread_count(threads)
    job = job_of(parts, bound, _validate.whole_number("memory", memory, 1))
    if bound >= 8 * job.width or job.items == 0:
        return np.zeros(job.items, dtype=np.int64)
    with _folder(work) as place:
        run = _Run(place, agreed(place, job), parts, count, tasks, report)
        return run.result()


@contextmanager
def _folder(work: str | PathLike[str] | None) -> Iterator[Work]:
    if work is not None:
        Path(work).mkdir(parents=True, exist_ok=True)
        yield Work(Path(work).absolute(), is_kept=True)
        return
    with tempfile.TemporaryDirectory(prefix="vtsearch-") as folder:
        yield Work(Path(folder), is_kept=False)


@dataclass
class _Run:
    """The phases of a job; each begins when the one before is done."""

    work: Work
    job: Job
    parts: Sequence[Part]
    threads: int
    tasks: Tasks
    progress: Progress | None
    share: float = 0.0
    """Of the time, that of the phases that are done."""

    def result(self) -> NDArray[np.int64]:
        """The representatives, found now or before."""
        try:
            if not self.work.is_done("merged"):
                self._search()
        except VtsearchError:
            if not self.work.is_done("merged"):  # else another worker merged, and deleted what this one read
                raise
        found = self.work.array("merged", "representatives")
        self._told(1.0)
        return found if self.work.is_kept else np.array(found)

    def _search(self) -> None:
        mine = self.work, self.job, self.threads
        splits = [
            Split(*mine, number, chunk, self.parts[chunk.part].between(chunk.start, chunk.stop))
            for number, chunk in enumerate(self.job.chunks())
        ]
        self._all("split", splits)
        plan = self._plan(Planned(*mine)) if self.job.radius else None
        distinct = [Distinct(*mine, bucket, plan) for bucket in range(self.job.buckets)]
        self._all("distinct", distinct)
        self._drop(splits, "codes", "rows", "offsets")
        near = list(self._near(plan)) if plan else []
        self._all("near", near)
        self._drop(distinct, "codes", "positions")
        forests = [*splits, *distinct, *near]
        self._all("merge", [Merge(*mine, tuple(task.name for task in forests))])
        self._drop(forests, "pairs", "offsets")
        self.work.sweep()

    def _plan(self, task: Planned) -> Plan:
        self._all("plan", [task])
        return task.plan()

    def _near(self, plan: Plan) -> Iterator[Near]:
        """Tasks of about equal size: of a partition that is too large, one for each set of blocks and piece."""
        copies, limit = copies_of(plan, self.job.radius), self.job.limit
        sizes = np.zeros((copies, plan.partitions), dtype=np.int64)
        for bucket in range(self.job.buckets):
            sizes += np.diff(self.work.array(distinct_name(bucket), "offsets"), axis=1)
        for block in range(self.job.radius + 1):
            for partition, size in enumerate(sizes[min(block, copies - 1)].tolist()):
                near = self.work, self.job, self.threads, block, partition, plan
                if size <= 2 * limit:
                    yield Near(*near)
                    continue
                pieces = -(-size // limit)
                for number in range(len(plan.sets_from(block))):
                    yield from (Near(*near, number, piece, pieces) for piece in range(pieces))

    def _all(self, phase: str, tasks: Sequence[Task]) -> None:
        waiting = [task for task in tasks if not task.is_done]
        before, share = self.share, _SHARES[phase]
        for done, _ in enumerate(self.tasks(run_task, waiting), 1):
            self._told(before + share * done / len(waiting))
        self.share = before + share

    def _told(self, share: float) -> None:
        if self.progress is not None:
            self.progress(int(min(share, 1.0) * self.job.items), self.job.items)

    def _drop(self, tasks: Iterable[Task], *arrays: str) -> None:
        for task in tasks:
            self.work.drop(task.name, *arrays)
