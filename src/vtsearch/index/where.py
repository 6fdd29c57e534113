"""Conditions in SQL on the id, label and metadata of each item: what they may say, and which rows they hold for.

A condition is what may stand after WHERE in a query of one table. SQLite evaluates it, on a connection that can only
read that table, with functions that do nothing but compute, and for a limited time.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch.errors import VtsearchError
from vtsearch.index.metadata import ID, LABEL, plain
from vtsearch.index.metadata_table import TABLE, fill, quoted

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from vtsearch.index.about import About
    from vtsearch.index.metadata import Type, Value

MOST_SECONDS = 60.0
"""For one condition on all items, unless the caller says otherwise."""

_ROW = "_row"
_ROW_NAMES = {_ROW, "_rowid_", "rowid", "oid"}
"""What SQLite takes for the number of a row, unless a column has that name."""
_STEPS = 10_000
"""Of SQLite's machine between two looks at the clock: a tenth of a millisecond."""
_LONGEST_TEXT = 2**26
"""Bytes; the numbers of 2^22 rows, of at most eight characters each, fit."""
_LONGEST_PATTERN = 1_000

_FUNCTIONS = {
    *("coalesce", "iif", "ifnull", "likelihood", "likely", "max", "min", "nullif", "typeof", "unlikely"),
    *("abs", "ceil", "ceiling", "floor", "mod", "pow", "power", "round", "sign", "sqrt"),
    *("format", "glob", "hex", "instr", "length", "like", "lower", "ltrim", "printf", "replace", "rtrim", "substr"),
    *("substring", "trim", "unicode", "upper"),
    *("date", "datetime", "julianday", "strftime", "time", "unixepoch"),
    *("->", "->>", "json_array_length", "json_extract", "json_type", "json_valid"),
    *("has_label", "group_concat"),
}
"""That compute from their arguments alone; the last is the query's, which no condition can have."""
_QUOTED = re.compile("""'(?:[^']|'')*'|"((?:[^"]|"")*)"|--[^\n]*|/[*].*?(?:[*]/|$)""", re.DOTALL)
"""Texts and comments, and what stands in double quotes, the group."""
_WORD = re.compile(r"\w+")
_DAMAGED = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FORMAT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOTADB,
}


Params = Sequence[Any] | Mapping[str, Any]
"""Values for the parameters of a condition, in order or by name."""


class Where:
    """A checked condition with its parameters, for one question: its time begins when it is made."""

    def __init__(self, condition: str, params: Params, about: About, seconds: float | None = None) -> None:
        """Check a condition on a table without rows.

        Args:
            condition: an SQL expression.
            params: values for its ``?``, or by name for its ``:name``.
            about: what knows the columns of the index.
            seconds: for all questions together; by default a minute.

        Raises:
            TypeError: a condition that is not a string, parameters that are no numbers, strings or dates.
            ValueError: a condition that SQLite does not take, or that does more than compute from columns.
        """
        if not isinstance(condition, str):
            raise TypeError(f"where: expected a string, got {type(condition).__name__}")
        self._condition, self._params = condition, _checked_params(params)
        self._own = {"none": {}, "single": {"label": LABEL}, "multi": {"labels": LABEL}}[about.labels.kind]
        self._types = dict(about.columns)
        self._seconds = MOST_SECONDS if seconds is None else seconds
        self._end, self._is_stopped = time.monotonic() + self._seconds, False
        self._check_text()
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
            fill(db, self._types, ())
            # What fits both queries is an expression, and ends neither to begin something else.
            self._asked(db, f"SELECT CASE WHEN (\n{condition}\n) THEN 1 END FROM {self._table(self._types)}")  # noqa: S608
            self.rows(db, self._types)

    def rows(self, db: sqlite3.Connection, there: Mapping[str, Type]) -> NDArray[np.int64]:
        """The numbers of the rows for which the condition holds, in any order.

        Args:
            db: a connection for this question alone.
            there: which columns of metadata its table has; the others are NULL.

        Raises:
            ValueError: as when it was made, where that depends on the rows.
            VtsearchError: the time is over.
            sqlite3.Error: a damaged file.
        """
        query = f"SELECT group_concat({_ROW}) FROM {self._table(there)} WHERE (\n{self._condition}\n)"  # noqa: S608
        ((numbers,),) = self._asked(db, query)
        return np.fromstring(numbers or "", dtype=np.int64, sep=",")

    def stop(self) -> None:
        """End what other threads ask with this condition; they raise."""
        self._is_stopped = True

    @property
    def _columns(self) -> list[str]:
        """What a condition may name."""
        return [ID, *self._own, *self._types]

    def _table(self, there: Mapping[str, Type]) -> str:
        """All columns of the index, for a segment that has some of them."""
        own = [ID, *(f"{stored} AS {name}" for name, stored in self._own.items())]
        metadata = [quoted(name) if name in there else f"NULL AS {quoted(name)}" for name in self._types]
        return f"(SELECT _rowid_ AS {_ROW}, {', '.join([*own, *metadata])} FROM {TABLE})"  # noqa: S608 (checked names)

    def _check_text(self) -> None:
        """Refuse what SQLite would take for something else."""
        plain("where", self._condition)
        if "\0" in self._condition:
            raise ValueError(f"where: expected a condition in SQL, got {self._condition!r}")
        columns = {name.lower() for name in self._columns}
        for name in _QUOTED.findall(self._condition):
            if name and name.lower() not in columns:  # SQLite would take it for a text
                raise ValueError(f'where: no such column: "{name}"; {self._remedy()}; texts stand in single quotes')
        for name in _WORD.findall(_QUOTED.sub(" ", self._condition)):
            if name.lower() in _ROW_NAMES - columns:
                raise ValueError(f"where: no such column: {name}; {self._remedy()}")

    def _asked(self, db: sqlite3.Connection, query: str) -> list[tuple[Any, ...]]:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LONGEST_TEXT)
        db.setlimit(sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN)
        db.create_function("has_label", 2, _has_label, deterministic=True)
        db.set_authorizer(_guard())
        db.set_progress_handler(lambda: self._is_stopped or time.monotonic() > self._end, _STEPS)
        try:
            return db.execute(query, self._params).fetchall()
        except (sqlite3.Error, sqlite3.Warning) as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
            if code in _DAMAGED:
                raise
            raise self._translated(code, error) from error
        finally:
            db.set_authorizer(None)
            db.set_progress_handler(None, 0)

    def _translated(self, code: int, error: Exception) -> BaseException:
        if code == sqlite3.SQLITE_INTERRUPT:
            if time.monotonic() > self._end:
                return VtsearchError(f"where: stopped after {self._seconds:.0f} s")
            return KeyboardInterrupt()  # raised while the clock was looked at
        if code == sqlite3.SQLITE_NOMEM:
            return MemoryError("where")
        message = str(error).split("\n")[0]
        if code == sqlite3.SQLITE_AUTH or "authorized" in message or "prohibited" in message:
            return ValueError(f"where: expected an expression of columns, parameters and functions: {message}")
        if "binding" in message:
            return ValueError(f"params: expected a value for each parameter of {self._condition!r}: {message}")
        return ValueError(f"where: {message}; {self._remedy()}")

    def _remedy(self) -> str:
        return f"columns are {', '.join(self._columns)}"


def refuse_none(condition: str, allowed: NDArray[np.bool_]) -> None:
    """Refuse a condition that holds for no item."""
    if not allowed.any():
        raise ValueError(f"where: expected a condition that holds for at least one item, got {condition!r}")


def _checked_params(params: Any) -> dict[str, Value] | tuple[Value, ...]:
    if isinstance(params, Mapping):
        return {str(name): plain("params", value) for name, value in params.items()}
    if isinstance(params, (str, bytes)) or not hasattr(params, "__iter__"):
        raise TypeError(f"params: expected a sequence or mapping of values, got {type(params).__name__}")
    return tuple(plain("params", value) for value in params)


def _has_label(label: Any, number: Any) -> bool:
    """Whether an item has a label: whether bit ``number`` of its packed labels is 1, or its only one is that."""
    if isinstance(label, bytes) and isinstance(number, int):
        return 0 <= number < 8 * len(label) and bool(label[number // 8] >> (7 - number % 8) & 1)
    return label is not None and label == number


def _guard() -> Callable[..., int]:
    """An authorizer for one query of the table: it reads it, and computes."""
    selections = 0

    def judgement(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        nonlocal selections
        selections += action == sqlite3.SQLITE_SELECT
        allowed = {
            sqlite3.SQLITE_SELECT: selections <= 2,  # the query's, and that of the table's columns
            sqlite3.SQLITE_READ: first == TABLE,
            sqlite3.SQLITE_FUNCTION: second in _FUNCTIONS,
        }
        return sqlite3.SQLITE_OK if allowed.get(action, False) else sqlite3.SQLITE_DENY

    return judgement
