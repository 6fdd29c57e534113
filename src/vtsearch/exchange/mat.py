"""MATLAB files, version 5 to 7.2: the arrays of an ``.npz`` archive. Needs the extra ``mat`` (SciPy).

Ids are a cell array of texts. Files of version 7.3 are HDF5, which SciPy does not read: save them with ``-v7``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line, require_extra
from vtsearch.exchange.columns import unicode_ids
from vtsearch.exchange.content import Content
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.npz import IDS, SIGNS, arrays_of, content_of_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.index import Index

MOST_BYTES = 2**31 - 1
"""Of an array in a file of version 5."""


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write a MATLAB file, compressed; all of it is in memory at once.

    Raises:
        ModuleNotFoundError: SciPy is missing.
        FileExistsError: a file of that name, unless it may be overwritten.
        ValueError: more signs than an array of this format holds; ids that are
            not Unicode, or have a NUL.
        OSError: a file that cannot be written.
    """
    scipy_io = require_extra("scipy.io")
    if len(index) * index.bits > MOST_BYTES:
        raise ValueError(f"target: expected at most {MOST_BYTES:,} bits in all for a MATLAB file; use npz or parquet")
    arrays = arrays_of(index)
    if IDS in arrays:
        ids = np.empty((len(index), 1), dtype=object)
        ids[:, 0] = _checked_ids(index.ids())
        arrays[IDS] = ids
    assert arrays[SIGNS].nbytes <= MOST_BYTES
    with placed_file(Path(target), overwrite=options.overwrite) as fresh, fresh.open("wb") as file:
        scipy_io.savemat(file, arrays, do_compression=True, oned_as="column")
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The codes of a MATLAB file, with their labels and ids.

    Raises:
        ModuleNotFoundError: SciPy is missing.
        TypeError: arrays of other types.
        ValueError: no array of codes, or several; NaN; other shapes.
        VtsearchError: another kind of file, such as one of version 7.3, or a damaged one.
    """
    scipy_io = require_extra("scipy.io")
    try:
        kinds = {name: kind for name, _, kind in scipy_io.whosmat(source)}
    except NotImplementedError as error:
        expected = "a MATLAB file up to version 7.2"
        raise VtsearchError(f"{source}: expected {expected}, got 7.3; save it with -v7") from error
    except Exception as error:  # SciPy raises anything
        raise VtsearchError(f"{source}: expected a whole MATLAB file, got another ({first_line(error)})") from error

    def load(name: str) -> NDArray[Any]:
        try:
            value = scipy_io.loadmat(source, variable_names=[name])[name]
        except Exception as error:
            raise VtsearchError(f"{source}: expected a whole array {name!r}, got {first_line(error)}") from error
        if not isinstance(value, np.ndarray):
            raise VtsearchError(f"{source}: expected an array {name!r}, got {type(value).__name__}")
        if kinds[name] == "logical":  # which SciPy gives as uint8
            value = value.astype(np.bool_)
        return _texts(value) if value.dtype == object else value

    return content_of_arrays(source, list(kinds), load, options)


def _checked_ids(ids: list[str]) -> list[str]:
    """Ids that a file of version 5 keeps as they are.

    Raises:
        ValueError: naming the first that is not Unicode, or has a NUL.
    """
    for name in unicode_ids(ids):
        if "\0" in name:
            raise ValueError(f"ids: expected ids without NUL, which MATLAB files keep as a space, got {name!r}")
    return ids


def _texts(cells: NDArray[Any]) -> NDArray[Any]:
    """A cell array of texts as an array of texts, anything else as it is; an empty text is an empty array."""
    texts = [
        str(cell.reshape(-1)[0]) if cell.size else "" for cell in cells.reshape(-1) if isinstance(cell, np.ndarray)
    ]
    return np.array(texts) if len(texts) == cells.size else cells
