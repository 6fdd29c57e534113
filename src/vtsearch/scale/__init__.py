"""The same work on many machines: Ray and torchrun schedule it, and every answer is that of one process."""

from __future__ import annotations

from vtsearch.scale.sharded_index import ShardedIndex

__all__ = ["ShardedIndex"]
