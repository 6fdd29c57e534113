"""Groups of near-duplicates, and what people say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtsearch.serve.search import mask_of
from vtsearch.serve.wire import DuplicatePage, Group, Member

if TYPE_CHECKING:
    from collections.abc import Callable

    from vtsearch.duplicates import Duplicates
    from vtsearch.index import DuplicateGroup
    from vtsearch.serve.served_index import IndexState

    Progress = Callable[[int, int], object]

MOST_MEMBERS = 1_000
"""Items of a group that are shown."""


def duplicate_page(
    state: IndexState,
    radius: int,
    *,
    keep: str,
    answered: bool,
    where: str | None,
    offset: int,
    limit: int,
    progress: Progress | None = None,
) -> DuplicatePage:
    """Some groups of near-duplicates, in the order of the index.

    Raises:
        ValueError, VtsearchError: as ``Index.duplicate_groups``.
    """
    groups = _groups(state, radius, keep, where, progress)
    open_groups = [group for group in groups if not group.is_answered]
    shown = (groups if answered else open_groups)[offset : offset + limit]
    return DuplicatePage(
        index=state.name,
        radius=radius,
        groups=len(groups),
        undecided=len(open_groups),
        redundant=sum(len(group.ids) - 1 for group in groups),
        offset=offset,
        results=[_described(state, group) for group in shown],
    )


def _groups(
    state: IndexState, radius: int, keep: str, where: str | None, progress: Progress | None
) -> list[DuplicateGroup]:
    """All groups, answered ones too; kept for the decisions that there are."""

    def find() -> Duplicates:
        mask_of(state, where)  # within the time of a condition
        return state.index.deduplicate(radius, where=where, progress=progress)

    found = state.kept.get(("duplicates", radius, where), find, lambda made: made.representatives.nbytes)
    key = ("groups", radius, where, keep, hash(state.index.decisions()))
    return state.kept.get(
        key,
        lambda: state.index.duplicate_groups(radius, keep=keep, answered=True, found=found),
        lambda made: 200 * sum(len(group.ids) for group in made),
    )


def _described(state: IndexState, group: DuplicateGroup) -> Group:
    items = state.items(group.positions[:MOST_MEMBERS])
    members = [
        Member.model_construct(**item.__dict__, verdict=verdict)
        for item, verdict in zip(items, group.verdicts, strict=False)
    ]
    return Group.model_construct(key=group.key, diameter=group.diameter, size=len(group.ids), items=members)
