"""Near-duplicates among more codes than one machine takes: the groups of ``vtsearch.deduplicate``, made by tasks."""

from __future__ import annotations

from vtsearch.scale.duplicates.claims import ClaimedTasks
from vtsearch.scale.duplicates.parts import ArrayPart, Part, SpanPart
from vtsearch.scale.duplicates.ray_tasks import RayTasks
from vtsearch.scale.duplicates.search import deduplicate

__all__ = ["deduplicate", "Part", "ArrayPart", "SpanPart", "ClaimedTasks", "RayTasks"]
