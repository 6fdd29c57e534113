"""YAML files read with bounds, so that a hostile or damaged one costs neither memory nor a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 2**20


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        TypeError: the file holds no mapping.
        VtsearchError: not YAML, larger than a configuration can be, nested too deeply, or with aliases.
        OSError: a file that cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise VtsearchError(f"{path}: expected at most {MOST_BYTES:,} bytes, got {path.stat().st_size:,}")
    try:
        tree = yaml.load(path.read_bytes(), Loader=_PlainLoader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as reason:
        place = getattr(reason, "problem_mark", None)
        where = f", line {place.line + 1}" if place else ""
        problem = getattr(reason, "problem", None) or type(reason).__name__
        raise VtsearchError(f"{path}: not YAML that can be read ({problem}{where})") from reason
    if not isinstance(tree, dict):
        raise TypeError(f"config: expected names and values in {path}, got {type(tree).__name__}")
    if strange := [name for name in tree if not isinstance(name, str)]:
        raise TypeError(f"config: expected names in {path}, got {strange[0]!r}")
    return tree


class _PlainLoader(yaml.SafeLoader):  # type: ignore[misc]
    """The safe loader without aliases: nine lines of them expand to billions of values."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Compose a node.

        Raises:
            YAMLError: an alias.
        """
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=self.peek_event().start_mark)
        return super().compose_node(parent, index)
