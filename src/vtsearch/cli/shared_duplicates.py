"""``vtsearch deduplicate`` by tasks: on a Ray cluster, as array jobs, or here through a folder that is kept."""

from __future__ import annotations

import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from vtsearch.cli.cluster import add_ray_argument, add_worker_argument

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from vtsearch.cli.cluster import Worker
    from vtsearch.cli.parser import CommandParser
    from vtsearch.duplicates import Duplicates
    from vtsearch.index import Index
    from vtsearch.scale.duplicates import ClaimedTasks
    from vtsearch.scale.duplicates.search import Tasks

MIB = 2**20

_WHOLE_ONLY = {"against": "--against", "max_diameter": "--max-diameter", "where": "--where"}


def add_arguments(command: CommandParser) -> None:
    """What says where tasks run."""
    command.add_argument(
        "--work",
        help="folder for what is found on the way, which all workers reach; a run that was killed goes on from there",
    )
    add_worker_argument(command, "share the search with other processes that have the same --work")
    add_ray_argument(command, "search")
    command.add_argument(
        "--task-memory", type=int, default=1024, help="with --work or --ray: MiB that a task may use, about"
    )


def is_shared(args: Namespace, worker: Worker | None) -> bool:
    """Whether tasks search.

    Raises:
        ValueError: arguments that do not go together.
    """
    if worker is not None and args.work is None:
        raise ValueError(f"work: expected a folder that all workers reach, got none for worker {worker}")
    if worker is not None and args.ray is not None:
        raise ValueError(f"ray: expected no --ray for worker {worker}, got one")
    if args.task_memory < 1:
        raise ValueError(f"task_memory: expected at least 1 MiB, got {args.task_memory}")
    if args.work is None and args.ray is None:
        return False
    for name, flag in _WHOLE_ONLY.items():
        if getattr(args, name) is not None:
            raise ValueError(f"{name}: expected no {flag} with --ray or --work, which search the whole index, got one")
    if worker is not None and (args.new or args.decide or args.json):
        raise ValueError(f"worker: expected no --new, --decide or --json for worker {worker}, which shows no groups")
    return True


def run_worker(args: Namespace, index: Index, worker: Worker) -> None:
    """Search together with the other workers; prints a line about this one."""
    tasks = _claimed(worker)
    found = _found(args, index, tasks.map, args.work)
    redundant = len(found) - len(np.unique(found))
    print(
        f"worker {worker}: ran {tasks.done} tasks; {redundant:,} of {len(found):,} items could go; "
        "the same command without --worker shows the groups"
    )


def shared_duplicates(args: Namespace, index: Index, progress: Callable[[int, int], object] | None) -> Duplicates:
    """Groups that tasks find: on the cluster, or here, beside workers of the same folder."""
    from vtsearch.duplicates import Duplicates

    if args.ray is None:
        return Duplicates(_found(args, index, _claimed(None).map, args.work, progress))
    from vtsearch.scale.duplicates import RayTasks

    with _work_folder(args, index) as work:
        found = _found(args, index, RayTasks(args.ray, cpus=args.threads or 1).map, work, progress)
        return Duplicates(np.array(found))


def _found(
    args: Namespace,
    index: Index,
    tasks: Tasks,
    work: str,
    progress: Callable[[int, int], object] | None = None,
) -> NDArray[np.int64]:
    from vtsearch.scale.duplicates import SpanPart, deduplicate

    parts = [SpanPart(span) for span in index.between(0, len(index)).spans]
    return deduplicate(
        parts,
        args.radius,
        tasks=tasks,
        work=work,
        memory=args.task_memory * MIB,
        threads=args.threads or (None if args.ray is None else 1),
        progress=progress,
    )


def _claimed(worker: Worker | None) -> ClaimedTasks:
    from vtsearch.scale.duplicates import ClaimedTasks

    name = "" if worker is None else f"worker {worker}: "

    def tell(text: str) -> None:
        print(f"vtsearch deduplicate: {name}{text}", file=sys.stderr, flush=True)

    return ClaimedTasks(*((0, 1) if worker is None else worker.pair), tell)


@contextmanager
def _work_folder(args: Namespace, index: Index) -> Iterator[str]:
    """The folder of the user, or one beside the index, which every node reads, for this run."""
    if args.work is not None:
        yield args.work
        return
    place = index.path.absolute()
    with tempfile.TemporaryDirectory(prefix=f".{place.name}.deduplicate-", dir=place.parent) as folder:
        yield folder
