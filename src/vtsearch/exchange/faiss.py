"""FAISS files: ``IndexBinaryFlat``, and ``IndexBinaryIDMap2`` for ids that are numbers. Needs the extra ``faiss``.

Codes are copied byte by byte, so all distances are equal. Only those who pack queries themselves have to know that
FAISS counts bits from the other end: bit i is bit i of a little-endian word, while ``vtsearch.pack`` puts bit 0 into
0x80 of the first byte. And FAISS has two rules: ``fvecs2bitvecs`` (IndexLSH) takes ``value >= 0`` as 1,
``real_to_binary`` (IndexBinaryFromFloat) ``value > 0``, as ``vtsearch.pack`` does. Queries to an exported file have to
be packed by ``vtsearch.pack``, or by ``numpy.packbits(features > 0, axis=1)``.

Ids. Those of FAISS are int64, and -1 means no result. Ids that are the positions need no map. Where all ids are whole
numbers of 0 and above, written without leading zeros, they are the ids of an ``IndexBinaryIDMap2``. All others stand
in a second file, ``NAME.ids.jsonl``: line i, counted from 0, is the id of FAISS's item i, a string in JSON.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line, require_extra
from vtsearch.exchange.content import Content, content_of
from vtsearch.exchange.facts import Facts
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import Items, codes_of, has_given_ids, ids_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vtsearch.index import Index

SIDECAR = ".ids.jsonl"
"""Ending of the file of ids that are not numbers, after the whole name of FAISS's file."""

_HEADER = struct.Struct("<4siiqBi")
"""Kind, bits, bytes, items, is_trained, metric: the beginning of every binary index."""
_LENGTH = struct.Struct("<Q")
_FLAT, _MAPS = b"IBxF", (b"IBMp", b"IBM2")
_OTHERS = {
    b"IBwF": "an IndexBinaryIVF",
    b"IBHf": "an IndexBinaryHNSW",
    b"IBHh": "an IndexBinaryHash",
    b"IBHm": "an IndexBinaryMultiHash",
    b"IBFf": "an IndexBinaryFromFloat",
}
_NUMBER = re.compile("0|[1-9][0-9]{0,18}", re.ASCII)


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write a FAISS file and, for ids that are no numbers, ``TARGET.ids.jsonl`` beside it.

    Raises:
        ModuleNotFoundError: FAISS is missing.
        FileExistsError: files of these names, unless they may be overwritten.
        OSError: a file that cannot be written.
    """
    faiss, path = require_extra("faiss"), Path(target)
    given = has_given_ids(index)
    numbers = _numbers(index) if given else None
    sidecar = path.with_name(path.name + SIDECAR)
    has_sidecar = given and numbers is None
    built = _faiss_index(faiss, index, numbers)
    with _both_or_none(path, sidecar, overwrite=options.overwrite) as fresh:
        _write_index(faiss, built, fresh, target)
        if has_sidecar:
            _write_ids(index, sidecar, overwrite=options.overwrite)
    if options.overwrite and not has_sidecar:
        sidecar.unlink(missing_ok=True)
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The codes and ids of an ``IndexBinaryFlat``, or of an ``IndexBinaryIDMap`` or ``IDMap2`` of one.

    Raises:
        ModuleNotFoundError: FAISS is missing.
        ValueError: codes of another length than ``bits``.
        VtsearchError: another kind of file, or a truncated one; a file of ids with another number of lines.
    """
    faiss, header = require_extra("faiss"), _checked_header(source)
    try:
        found = faiss.read_index_binary(source)
    except RuntimeError as error:
        raise VtsearchError(f"{source}: expected a FAISS index, which FAISS refuses ({first_line(error)})") from error
    flat, ids = found, _sidecar_ids(source, header.items)
    if header.is_map:
        flat = faiss.downcast_IndexBinary(found.index)
        ids = list(map(str, faiss.vector_to_array(found.id_map).tolist()))
    codes = faiss.vector_to_array(flat.xb).reshape(header.items, header.width).copy()
    facts = Facts(8 * header.width if options.bits is None else options.bits)
    return content_of(source, facts, Items(codes, ids))


class _Header(NamedTuple):
    is_map: bool
    items: int
    width: int


def _checked_header(source: str) -> _Header:
    """What the first bytes say, if the length of the file agrees: FAISS allocates before it reads.

    Raises:
        VtsearchError: another kind of file, or another length.
    """
    path = Path(source)
    with path.open("rb") as file:
        start = file.read(2 * _HEADER.size)
    kind = start[:4]
    is_map = kind in _MAPS
    flat = start[_HEADER.size :] if is_map else start
    if len(flat) < _HEADER.size or flat[:4] != _FLAT:
        found = _OTHERS.get(kind, f"a file that begins with {kind!r}")
        raise VtsearchError(
            f"{source}: expected an IndexBinaryFlat of FAISS or an IndexBinaryIDMap of one, got {found}"
        )
    _, bits, width, items, _, _ = _HEADER.unpack(flat[: _HEADER.size])
    length = _HEADER.size + _LENGTH.size + items * width
    if is_map:
        length += _HEADER.size + _LENGTH.size + items * 8
    if items < 0 or width < 1 or bits != 8 * width or length != path.stat().st_size:
        raise VtsearchError(
            f"{source}: expected {length:,} bytes for {items:,} codes of {bits} bits, got {path.stat().st_size:,}"
        )
    return _Header(is_map, items, width)


def _faiss_index(faiss: Any, index: Index, numbers: NDArray[np.int64] | None) -> Any:
    built = faiss.IndexBinaryFlat(8 * -(-index.bits // 8))
    if numbers is None:
        for codes in codes_of(index):
            built.add(np.ascontiguousarray(codes))
        return built
    mapped, start = faiss.IndexBinaryIDMap2(built), 0
    for codes in codes_of(index):
        mapped.add_with_ids(np.ascontiguousarray(codes), numbers[start : start + len(codes)])
        start += len(codes)
    return mapped


def _numbers(index: Index) -> NDArray[np.int64] | None:
    """The ids as FAISS's ids; None if some of them are no such numbers."""
    parts = []
    for names in ids_of(index):
        if not all(_NUMBER.fullmatch(name) and int(name) < 2**63 for name in names):
            return None
        parts.append(np.array(names, dtype=np.int64))
    return np.concatenate(parts)


@contextmanager
def _both_or_none(path: Path, sidecar: Path, *, overwrite: bool) -> Iterator[Path]:
    """FAISS's file to fill; if it cannot take its name in the end, a new file of ids goes too."""
    before = sidecar.exists()
    try:
        with placed_file(path, overwrite=overwrite) as fresh:
            yield fresh
    except BaseException:
        if not before:
            sidecar.unlink(missing_ok=True)
        raise


def _write_index(faiss: Any, built: Any, fresh: Path, target: str) -> None:
    try:
        faiss.write_index_binary(built, str(fresh))
    except RuntimeError as error:  # a full disk, in the words of FAISS
        raise OSError(f"{target}: FAISS could not write the file ({first_line(error)})") from error


def _write_ids(index: Index, path: Path, *, overwrite: bool) -> None:
    with placed_file(path, overwrite=overwrite) as fresh, fresh.open("w", encoding="ascii", newline="\n") as file:
        for names in ids_of(index):
            file.writelines(f"{json.dumps(name)}\n" for name in names)


def _sidecar_ids(source: str, items: int) -> list[str] | None:
    path = Path(source + SIDECAR)
    if not path.is_file():
        return None
    try:
        ids = [json.loads(line) for line in path.read_bytes().splitlines()]
    except (ValueError, RecursionError) as error:
        raise VtsearchError(f"{path}: expected a string in JSON on each line, got {first_line(error)}") from error
    if len(ids) != items or not all(isinstance(name, str) for name in ids):
        raise VtsearchError(
            f"{path}: expected {items:,} strings, one for each code of {source}, got {len(ids):,} values"
        )
    return ids
