"""Names that tell apart the methods of some runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vtsearch.reports.saved_run import SavedRun

WITHOUT_EFFECT = frozenset(
    {
        *("framework", "bits", "seed", "protocol", "data", "strip_prefix", "workers", "images", "cache_gib"),
        *("checkpoint_minutes", "checkpoint_steps", "log_every", "baselines", "compile"),
    }
)
"""What does not tell methods apart: no number depends on it, or it stands elsewhere in a report."""


def method_names(runs: Sequence[SavedRun], titles: Mapping[str, str]) -> list[str]:
    """The name of each run's method: its framework, its backbone if they differ, and what else differs.

    Only what differs between runs of one framework, protocol and length is named: presets choose much by framework.
    """
    backbones = {run.context.backbone for run in runs}
    groups: dict[tuple[Any, ...], list[SavedRun]] = {}
    for run in runs:
        groups.setdefault(_group(run), []).append(run)
    keys = {group: differing((run.config for run in alike), WITHOUT_EFFECT) for group, alike in groups.items()}
    names = []
    for run in runs:
        words = [titles.get(run.context.framework, run.context.framework)]
        words += [run.context.backbone] if len(backbones) > 1 else []
        varied = [key for key in keys[_group(run)] if key != "backbone"]
        words += [f"{key.removeprefix('options.')} {word(run.config.get(key))}" for key in varied]
        names.append(", ".join(words))
    return names


def _group(run: SavedRun) -> tuple[Any, ...]:
    return run.context.framework, run.context.protocol, run.last.bits


def differing(trees: Iterable[Mapping[str, Any]], ignored: frozenset[str] = frozenset()) -> list[str]:
    """Names whose values differ between some flat trees, in the order in which they stand there."""
    all_trees = list(trees)
    names = dict.fromkeys(name for tree in all_trees for name in tree if name not in ignored)
    return [name for name in names if len({repr(tree.get(name)) for tree in all_trees}) > 1]


def word(value: Any) -> str:
    """A value of a configuration in words."""
    return {None: "default", True: "true", False: "false"}.get(value, str(value)) if _is_plain(value) else str(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool)
