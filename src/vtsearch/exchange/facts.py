"""What holds for all codes of an index: it goes with them as JSON where a format has a place for text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vtsearch._validate import whole_number
from vtsearch.errors import VtsearchError, first_line
from vtsearch.index.about import checked_bits, checked_names, checked_texts

if TYPE_CHECKING:
    from vtsearch.index import Index

KEY = "vtsearch"
"""Name of these facts beside the codes: in a Parquet file, an ``.npz`` archive, a comment on a table."""

_FORMAT = 1
_BIT_ORDER = "big"
_THRESHOLD = "feature > 0"


@dataclass(frozen=True)
class Facts:
    """Code length, fingerprints, class names and description of an index."""

    bits: int
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    """Class names by class id; empty if unknown."""
    description: Mapping[str, str] = field(default_factory=dict)
    label_classes: int | None = None
    """Columns of multi-label labels; None for one label per item, or none."""

    @classmethod
    def of(cls, index: Index) -> Facts:
        """The facts of an index."""
        labels = index.labels()
        label_classes = None if labels is None or labels.ndim == 1 else labels.shape[1]
        return cls(index.bits, index.fingerprints, index.classes, index.description, label_classes)

    @property
    def width(self) -> int:
        """Bytes per code."""
        return -(-self.bits // 8)

    def to_json(self) -> str:
        """The facts with bit order and threshold rule, in plain ASCII."""
        return json.dumps({"format": _FORMAT, "bit_order": _BIT_ORDER, "threshold": _THRESHOLD, **asdict(self)})

    @classmethod
    def from_json(cls, source: str, text: str | bytes) -> Facts:
        """The reverse.

        Raises:
            VtsearchError: not these facts, of a later version, or of codes under another rule; names the source.
        """
        try:
            values = json.loads(text)
            expected = {"format": _FORMAT, "bit_order": _BIT_ORDER, "threshold": _THRESHOLD}
            found = {name: values.pop(name) for name in expected}
            facts = cls._checked(**values)
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            reason = first_line(error)
            raise VtsearchError(
                f"{source}: expected the facts of an index under {KEY!r}, got others ({reason})"
            ) from error
        if found != expected:
            raise VtsearchError(f"{source}: expected codes with {expected}, got {found}")
        return facts

    @classmethod
    def _checked(cls, bits: Any, fingerprints: Any, classes: Any, description: Any, label_classes: Any) -> Facts:
        return cls(
            checked_bits(bits),
            checked_texts("fingerprints", fingerprints),
            checked_names("classes", classes),
            checked_texts("description", description),
            None if label_classes is None else whole_number("label_classes", label_classes, 1),
        )
