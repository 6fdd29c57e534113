"""Quantized embeddings of sentence-transformers in ``.npy`` files: "ubinary" (uint8), and "binary" (int8).

"ubinary" is ``numpy.packbits(embeddings > 0)``, so its bytes are our codes; "binary" is each byte less 128.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from vtsearch.exchange.content import Content, content_of
from vtsearch.exchange.facts import Facts
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import Items
from vtsearch.exchange.npy import load_array, write_codes

if TYPE_CHECKING:
    from vtsearch.index import Index

_DTYPES = {"ubinary": "|u1", "binary": "|i1"}


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write (n, bytes), uint8 for "ubinary" and int8 for "binary".

    Raises:
        FileExistsError: a file of that name, unless it may be overwritten.
        OSError: a file that cannot be written.
    """
    write_codes(index, target, _DTYPES[options.format], overwrite=options.overwrite)
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The codes of an array of quantized embeddings.

    Raises:
        TypeError: an array of another type than the format says.
        ValueError: an array that is not (n, bytes); another length than ``bits``.
        VtsearchError: another kind of file, or a truncated one.
    """
    array, dtype = load_array(source), np.dtype(_DTYPES[options.format])
    if array.dtype != dtype:
        raise TypeError(f"{source}: expected {dtype} for format {options.format}, got {array.dtype}")
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{source}: expected (n, bytes), got {array.shape}")
    codes = array if dtype == np.uint8 else np.ascontiguousarray(array).view(np.uint8) ^ np.uint8(128)
    bits = 8 * codes.shape[1] if options.bits is None else options.bits
    return content_of(source, Facts(bits), Items(codes))
