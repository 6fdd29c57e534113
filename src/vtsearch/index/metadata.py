"""Metadata of items: named columns of integers, floats or texts, in which None is what nobody knows."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from vtsearch._validate import choice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Type = Literal["INTEGER", "REAL", "TEXT"]
"""Of the values of a column, as SQLite names it."""

Value = int | float | str | bytes | None

ID, LABEL = "id", "label"
OWN = {ID: "TEXT", LABEL: ""}
"""Columns that every item has; a label is an integer, or the packed bits of several."""

MOST_COLUMNS = 500
_LARGEST = 2**63
_NAMES = {"INTEGER": "integers", "REAL": "floats", "TEXT": "strings"}


class Metadata:
    """Columns of some items in memory."""

    def __init__(self, count: int, types: Mapping[str, Type], values: Mapping[str, Any]) -> None:
        self._count, self.types, self._values = count, dict(types), values

    @classmethod
    def checked(cls, metadata: Mapping[str, Iterable[Any]] | None, count: int) -> Metadata:
        """Those of ``count`` items, without columns that hold nothing.

        Raises:
            TypeError: no mapping of names to values; values that are no numbers, strings or dates.
            ValueError: another number of values; a name that SQL does not take; integers beyond 64 bits.
        """
        if metadata is None:
            return cls(count, {}, {})
        if not isinstance(metadata, Mapping):
            raise TypeError(f"metadata: expected columns by name, got {type(metadata).__name__}")
        check_column_names("metadata", metadata)
        types: dict[str, Type] = {}
        columns = {}
        for name, values in metadata.items():
            kind, columns[name] = _checked(name, values, count)
            if kind is not None:
                types[name] = kind
        return cls(count, types, columns)

    def __getitem__(self, rows: slice) -> Metadata:
        count = len(range(self._count)[rows])
        return Metadata(count, self.types, {name: self._values[name][rows] for name in self.types})

    def as_in(self, types: Mapping[str, Type]) -> Metadata:
        """The same with integers as floats where an index has floats.

        Raises:
            ValueError: a column that an index has with values of another type.
        """
        values = dict(self._values)
        for name, kind in self.types.items():
            expected = types.get(name, kind)
            if (expected, kind) == ("REAL", "INTEGER"):
                values[name] = [None if value is None else float(value) for value in values[name]]
            elif expected != kind:
                raise ValueError(
                    f"metadata: expected {_NAMES[expected]} in column {name!r}, as in the index, got {_NAMES[kind]}"
                )
        types = {name: types.get(name, kind) for name, kind in self.types.items()}
        return Metadata(self._count, types, values)

    def rows(self, names: Sequence[str]) -> Iterator[tuple[Value, ...]]:
        """The values of each item in some columns, at least one; None in those that there are not."""
        return zip(*(self._values.get(name, itertools.repeat(None, self._count)) for name in names), strict=False)

    def of_items(self, ids: Iterable[str], labels: Iterable[Value]) -> Metadata:
        """These columns, and those that every item has."""
        return Metadata(self._count, self.types, {**self._values, ID: ids, LABEL: labels})


def check_column_names(argument: str, names: Iterable[Any]) -> None:
    """Refuse what no column can be named.

    Raises:
        TypeError, ValueError: what SQL does not take as a name; names that differ in case alone; too many.
    """
    seen: set[str] = set()
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"{argument}: expected strings as names of columns, got {name!r}")
        if not name.isidentifier() or name.startswith("_") or name.lower() in OWN:
            raise ValueError(
                f"{argument}: expected names of letters, digits and underscores other than id and label, got {name!r}"
            )
        if name.lower() in seen:
            raise ValueError(f"{argument}: expected names that differ in more than case, got {name!r} twice")
        seen.add(name.lower())
    if len(seen) > MOST_COLUMNS:
        raise ValueError(f"{argument}: expected at most {MOST_COLUMNS} columns, got {len(seen)}")


def joined_types(*types: Mapping[str, Type]) -> dict[str, Type]:
    """All columns of several parts, which agree in the types of those they share.

    Raises:
        ValueError: names that differ in case alone; too many.
    """
    joined = {name: kind for part in types for name, kind in part.items()}
    check_column_names("metadata", joined)
    return joined


def types_of_row(row: Any) -> dict[str, Type]:
    """Columns and their types, as an index stores them.

    Raises:
        TypeError, ValueError: something else.
    """
    types = dict(row)
    check_column_names("columns", types)
    for kind in types.values():
        choice("columns", kind, get_args(Type))
    return types


def plain(argument: str, value: Any) -> Value:
    """A value as SQLite keeps it: dates and times as ISO texts, in UTC if they have a time zone; NaN as None.

    Raises:
        TypeError: no number, string or date.
        ValueError: an integer beyond 64 bits; a string that is not Unicode.
    """
    if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0:
        value = (value.astype(_unit(value.dtype)) if value.dtype.kind == "M" else value).item()
    if isinstance(value, dt.datetime):
        return _text_of(value)
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, float):
        return None if value != value else float(value)  # noqa: PLR0124 (NaN alone differs from itself)
    if isinstance(value, int):
        _refuse_larger(argument, value)
        return int(value)
    if isinstance(value, str):
        _refuse_surrogates(argument, value)
        return str(value)
    if value is not None:
        raise TypeError(f"{argument}: expected numbers, strings or dates, got {type(value).__name__}")
    return None


def _unit(dtype: np.dtype[Any]) -> str:
    """The unit in which numpy gives a moment to Python as a date, or as a time of a day."""
    unit, _ = np.datetime_data(dtype)
    return "M8[D]" if unit in ("Y", "M", "W", "D") else "M8[us]"


def _text_of(moment: dt.datetime) -> str:
    if moment.tzinfo is not None:
        moment = moment.astimezone(dt.UTC).replace(tzinfo=None)
    return moment.isoformat(sep=" ")


def _checked(name: str, values: Any, count: int) -> tuple[Type | None, list[Value]]:
    """The type of a column, None if it holds nothing, and its values."""
    argument = f"metadata: column {name!r}"
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        raise TypeError(f"{argument}: expected {count} values, got {type(values).__name__}")
    column = values.tolist() if isinstance(values, np.ndarray) and values.dtype.kind in "iufbU" else list(values)
    if len(column) != count:
        raise ValueError(f"{argument}: expected {count} values, one for each code, got {len(column)}")
    kinds = set(map(type, column)) - {type(None)}
    if not kinds <= {int, float, str} or kinds >= {float, str}:
        column = [plain(argument, value) for value in column]
    elif float in kinds:
        column = [None if value != value else value for value in column]  # noqa: PLR0124 (NaN alone differs from itself)
    kinds = set(map(type, column)) - {type(None)}
    if not kinds:
        return None, column
    if kinds == {str}:
        _refuse_surrogates(argument, "".join(filter(None, column)))
        return "TEXT", column
    if str in kinds:
        raise TypeError(f"{argument}: expected numbers or strings, got both")
    if float in kinds:
        return "REAL", [None if value is None else float(value) for value in column]
    numbers = [value for value in column if value is not None]
    _refuse_larger(argument, min(numbers))
    _refuse_larger(argument, max(numbers))
    return "INTEGER", column


def _refuse_larger(argument: str, value: int) -> None:
    if not -_LARGEST <= value < _LARGEST:
        raise ValueError(f"{argument}: expected integers of 64 bits, got {value}")


def _refuse_surrogates(argument: str, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        found = text[max(0, error.start - 20) : error.end]
        raise ValueError(f"{argument}: expected Unicode text, got {found!r}") from error
