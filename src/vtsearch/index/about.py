"""Settings of a whole index, and their rows in ``index.sqlite``."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from vtsearch._validate import WIDEST, whole_number
from vtsearch.index.labels import LabelForm
from vtsearch.index.metadata import OWN, check_column_names, types_of_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vtsearch.index.metadata import Type

_NAME = re.compile("[0-9a-f]{32}")


def new_name() -> str:
    """A name that nothing else has: of an index, or of the files of a segment."""
    return uuid.uuid4().hex


def checked_name(value: Any) -> str:
    """A name as ``new_name`` makes them, which cannot lead out of a folder."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise ValueError(f"expected 32 hexadecimal digits, got {value!r}")
    return value


def checked_bits(bits: Any) -> int:
    """A length of codes that the engine compares.

    Raises:
        TypeError: bits that is not an int.
        ValueError: bits below 1, or beyond the widest code.
    """
    return whole_number("bits", bits, 1, 8 * WIDEST)


def checked_texts(name: str, values: Mapping[str, str] | None) -> dict[str, str]:
    """A copy of a mapping of strings to strings.

    Raises:
        TypeError: other names or values.
    """
    texts: dict[Any, Any] = dict(values or {})
    for key, value in texts.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"{name}: expected strings by name, got {value!r} for {key!r}")
    return texts


def checked_names(name: str, values: Sequence[str]) -> tuple[str, ...]:
    """A copy of a sequence of strings.

    Raises:
        TypeError: a string, or other values.
    """
    if isinstance(values, str):
        raise TypeError(f"{name}: expected a sequence of strings, got one string, {values!r}")
    if not isinstance(values, Iterable):
        raise TypeError(f"{name}: expected a sequence of strings, got {type(values).__name__}")
    values = tuple(values)
    others = set(map(type, values)) - {str}
    wrong = next((each.__name__ for each in others if not issubclass(each, str)), None)
    if wrong is not None:
        raise TypeError(f"{name}: expected strings, got {wrong}")
    return tuple(map(str, values)) if others else values


def checked_indexed(names: Sequence[str]) -> tuple[str, ...]:
    """Columns that are to have a B-tree, in any order.

    Raises:
        TypeError, ValueError: no names of columns.
    """
    columns = sorted({*checked_names("indexed", names)})
    check_column_names("indexed", (name for name in columns if name not in OWN))
    return tuple(columns)


@dataclass(frozen=True)
class About:
    """Settings of a whole index; only the form of labels is set later, by the first items."""

    bits: int
    bit_order: str = "big"
    threshold: str = "feature > 0"
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] = ()
    """Class names by class id; empty if nobody gave them."""
    description: Mapping[str, str] = field(default_factory=dict)
    """Free-form metadata: where the images are, which model made the codes."""
    labels: LabelForm = field(default_factory=LabelForm)
    columns: Mapping[str, Type] = field(default_factory=dict)
    """Columns of metadata that any segment has or had."""
    indexed: tuple[str, ...] = ()
    """Columns that have a B-tree."""
    tables: bool = False
    """Whether ``compact`` makes tables of the codes of each large segment."""
    decisions: str = ""
    """Checksum of the decisions; empty without any."""
    uuid: str = field(default_factory=new_name)
    """Identity: no other index has it, except copies of this one."""
    next: str = field(default_factory=new_name)
    """Of it the names of the files are made that will be written next: such files belong to nobody until then."""
    added: int = 0
    """How many items have been added so far, those that have been removed included."""

    def file_name(self, number: int) -> str:
        """Names for the files that will be written next; the same after a crash, so that nothing of it stays."""
        return self.next if number == 0 else uuid.uuid5(uuid.UUID(self.next), str(number)).hex

    @property
    def width(self) -> int:
        """Bytes per code."""
        return -(-self.bits // 8)

    def rows(self) -> list[tuple[str, str]]:
        """The rows of the table ``about``, ascending; fingerprints have a table of their own."""
        values = {
            "bits": self.bits,
            "bit_order": self.bit_order,
            "threshold": self.threshold,
            "classes": list(self.classes),
            "description": dict(self.description),
            "labels": asdict(self.labels),
            "columns": dict(self.columns),
            "indexed": list(self.indexed),
            "tables": self.tables,
            "decisions": self.decisions,
            "uuid": self.uuid,
            "next": self.next,
            "added": self.added,
        }
        return sorted((name, json.dumps(value)) for name, value in values.items())

    @classmethod
    def of_rows(cls, rows: Mapping[str, str], fingerprints: Mapping[str, str]) -> About:
        """The reverse.

        Raises:
            KeyError, TypeError, ValueError: rows that are missing or hold something else.
        """
        values = {name: json.loads(value) for name, value in rows.items()}
        return cls(
            bits=checked_bits(values["bits"]),
            bit_order=str(values["bit_order"]),
            threshold=str(values["threshold"]),
            fingerprints=dict(fingerprints),
            classes=tuple(map(str, values["classes"])),
            description={str(name): str(value) for name, value in dict(values["description"]).items()},
            labels=LabelForm.of_row(**values["labels"]),
            columns=types_of_row(values["columns"]),
            indexed=checked_indexed(values["indexed"]),
            tables=_checked_bool(values["tables"]),
            decisions=str(values["decisions"]),
            uuid=checked_name(values["uuid"]),
            next=checked_name(values["next"]),
            added=whole_number("added", values["added"], 0),
        )


def _checked_bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"expected true or false, got {value!r}")
    return value
