"""Shards that scan for a server: the states of one index, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from vtsearch._masks import checked_mask
from vtsearch.scale.actors import ActorShards
from vtsearch.scale.sharded_state import ShardedState
from vtsearch.scale.shards import LocalShards

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vtsearch._database import Database
    from vtsearch.index import Index
    from vtsearch.scale.shards import Shards

ANSWER_SECONDS = 7.0
"""For a shard of which no actor is alive; with the time until that is certain, less than a server waits."""


class ScannedState(ShardedState):
    """A state of an index whose codes shards scan."""

    def database(self, *, mask: ArrayLike | None = None, bits: int | None = None) -> Database:
        """As ``Index.database``, of which shards answer the scans."""
        scanned = self._scanned(bits)
        return scanned.with_mask(checked_mask(mask, len(scanned)))


class ShardEngine:
    """Shards that scan the states of one index; those of the last two at a time.

    Args:
        shards: that open the same folder; closed with this.
    """

    def __init__(self, shards: Shards) -> None:
        self._shards = shards

    @classmethod
    def of_threads(cls, shards: int, threads: int = 1) -> Self:
        """Shards that are threads of this process."""
        return cls(LocalShards(shards, threads))

    @classmethod
    def on_ray(cls, address: str, shards: int, *, replicas: int = 1, cpus: float = 1) -> Self:
        """Shards that are actors of a Ray cluster, and end with this process.

        Args:
            address: of the cluster, as for ``connect``.
            shards: how many.
            replicas: actors of each.
            cpus: that Ray reserves for each actor.

        Raises:
            ModuleNotFoundError, TypeError, ValueError, VtsearchError: as ``ActorShards``.
        """
        actors = ActorShards(
            shards, replicas=replicas, cpus=cpus, threads=None, timeout=ANSWER_SECONDS, name=None, address=address
        )
        return cls(actors)

    def scans(self, index: Index) -> ScannedState:
        """What scans the state that a handle has, once all shards have opened it.

        Raises:
            GenerationGoneError: the folder has another state by now.
            UnavailableError: a shard that cannot be reached.
            VtsearchError: a damaged index.
        """
        state = ScannedState([index], self._shards)
        self._shards.open(state.shard_items)
        return state

    def close(self) -> None:
        """End the shards."""
        self._shards.close()
