"""Arguments of the commands that may divide the codes of an index among shards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from vtsearch.cli.cluster import add_ray_argument

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from vtsearch.cli.parser import CommandParser
    from vtsearch.index import Index
    from vtsearch.scale import ShardedIndex

SHARDS = 4
"""Of an index on a cluster, by default."""


def add_shard_arguments(command: CommandParser) -> None:
    """``--shards N`` and ``--ray [ADDRESS]``."""
    command.add_argument(
        "--shards",
        type=int,
        help=f"divide the codes among so many threads, or actors with --ray; there by default {SHARDS}",
    )
    add_ray_argument(command, "compare codes by actors")


@contextmanager
def opened(path: str, args: Namespace) -> Iterator[Index | ShardedIndex]:
    """The index in a folder, whose codes are searched by this process or, if the arguments say so, by shards."""
    from vtsearch.index import Index

    if args.shards is None and args.ray is None:
        with Index.open(path) as index:
            yield index
        return
    from vtsearch.scale import ShardedIndex

    with ShardedIndex.open(path, SHARDS if args.shards is None else args.shards, ray=args.ray) as sharded:
        yield sharded
