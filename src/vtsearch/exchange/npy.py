"""``.npy`` files of codes alone: packed uint8, or, to read, signs, bits or real-valued features of any type."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line
from vtsearch.exchange.arrays import packed
from vtsearch.exchange.content import Content, content_of
from vtsearch.exchange.facts import Facts
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import Items, codes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.index import Index


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write the packed codes, uint8 (n, bytes).

    Raises:
        FileExistsError: a file of that name, unless it may be overwritten.
        OSError: a file that cannot be written.
    """
    write_codes(index, target, "|u1", overwrite=options.overwrite)
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The codes of an array, as ``arrays.packed`` tells them apart.

    Raises:
        TypeError: an array of something else.
        ValueError: another shape; NaN; another length; uint8 values of 0 and 1 only and no ``bits``.
        VtsearchError: another kind of file, or a truncated one.
    """
    found = packed(source, load_array(source), options.bits)
    return content_of(source, Facts(found.bits), Items(found.codes), found.remarks)


def write_codes(index: Index, target: str, dtype: str, *, overwrite: bool) -> None:
    """Write codes as they are, or, as int8, each byte less 128.

    Raises:
        FileExistsError: a file of that name, unless it may be overwritten.
        OSError: a file that cannot be written.
    """
    shape = (len(index), -(-index.bits // 8))
    with placed_file(Path(target), overwrite=overwrite) as fresh, fresh.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        for codes in codes_of(index):
            file.write((codes if dtype == "|u1" else codes ^ np.uint8(128)).tobytes())


def load_array(source: str) -> NDArray[Any]:
    """The array of a ``.npy`` file, mapped into memory; nothing is unpickled.

    Raises:
        VtsearchError: another kind of file, or a truncated one.
    """
    with Path(source).open("rb") as file:
        if file.read(len(np.lib.format.MAGIC_PREFIX)) != np.lib.format.MAGIC_PREFIX:
            raise VtsearchError(f"{source}: expected a .npy file, got something else")
    try:
        with np.errstate(over="ignore"):  # sizes of exabytes
            array: NDArray[Any] = np.load(source, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy reads the header as Python source, so a damaged one raises anything
        reason = first_line(error)
        raise VtsearchError(f"{source}: expected a whole .npy file of numbers, got a damaged one ({reason})") from error
    return array
