"""``.npz`` archives, as the literature's scripts write and read them: codes, signs, labels, ids.

An export has ``codes`` (uint8, packed), ``B`` (int8 of -1 and 1), ``bits``, ``labels`` and ``ids`` if the index has
them, and under ``vtsearch`` the fingerprints and class names as JSON. An import takes the array whose name says that it
holds codes (``B``, ``q_B``, ``retrieval_B``, ``database_code``, ``trn_binary``, ...), whether these are packed, signs,
bits or features. Nothing is unpickled.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch._atomic_io import placed_file
from vtsearch.errors import VtsearchError, first_line
from vtsearch.exchange.arrays import chosen_codes, chosen_labels, label_array, packed
from vtsearch.exchange.content import Content, content_of
from vtsearch.exchange.facts import KEY, Facts
from vtsearch.exchange.formats import ExportOptions, ImportOptions, Written
from vtsearch.exchange.items import Items, has_given_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from vtsearch.index import Index

    Load = Callable[[str], NDArray[Any]]

CODES, SIGNS, BITS, LABELS, IDS = "codes", "B", "bits", "labels", "ids"
"""Arrays of an export."""


def write(index: Index, target: str, options: ExportOptions) -> Written:
    """Write an archive; all of it is in memory at once, signs with one byte for each bit.

    Raises:
        FileExistsError: a file of that name, unless it may be overwritten.
        ValueError: ids that end in NUL, which an array of text cuts off.
        OSError: a file that cannot be written.
    """
    arrays: dict[str, Any] = arrays_of(index)
    if IDS in arrays and (arrays[IDS] != np.array(index.ids(), dtype=object)).any():
        raise ValueError("ids: expected ids that do not end in NUL, which arrays of text cut off")
    with placed_file(Path(target), overwrite=options.overwrite) as fresh, fresh.open("wb") as file:
        np.savez(file, **arrays)
    return Written(target)


def read(source: str, options: ImportOptions) -> Content:
    """The codes of an archive, with their labels and ids.

    Raises:
        TypeError: arrays of other types.
        ValueError: no array of codes, or several; NaN; other shapes.
        VtsearchError: another kind of file, or a damaged one.
    """
    with Path(source).open("rb") as file:
        try:
            archive = np.load(file, allow_pickle=False)
            names = archive.files
        except Exception as error:  # zip and numpy raise anything
            reason = first_line(error)
            raise VtsearchError(f"{source}: expected a whole .npz archive, got another file ({reason})") from error

        def load(name: str) -> NDArray[Any]:
            try:
                array: NDArray[Any] = archive[name]
            except Exception as error:
                raise VtsearchError(f"{source}: expected a whole array {name!r}, got {first_line(error)}") from error
            return array

        return content_of_arrays(source, names, load, options)


def arrays_of(index: Index) -> dict[str, NDArray[Any]]:
    """The arrays of an export by name."""
    codes, labels = index.codes(), index.labels()
    signs = np.unpackbits(codes, axis=1, count=index.bits).view(np.int8)
    arrays: dict[str, NDArray[Any]] = {CODES: codes, SIGNS: 2 * signs - np.int8(1), BITS: np.array(index.bits)}
    if labels is not None:
        arrays[LABELS] = labels
    if has_given_ids(index):
        arrays[IDS] = np.array(index.ids())
    return arrays | {KEY: np.array(Facts.of(index).to_json())}


def content_of_arrays(source: str, names: Sequence[str], load: Load, options: ImportOptions) -> Content:
    """The content of a file of named arrays.

    Raises:
        TypeError, ValueError, VtsearchError: as ``read``.
    """
    facts = Facts.from_json(source, _text(source, load(KEY))) if KEY in names else None
    asked = CODES if facts is not None and options.codes is None and CODES in names else options.codes
    name = chosen_codes(source, names, asked)
    label_name = chosen_labels(source, names, name, options.labels)
    found = packed(f"{source}: {name}", load(name), _bits(source, facts, options))
    labels = None
    if label_name is not None:
        are_many = facts is not None and facts.label_classes is not None
        labels = label_array(f"{source}: {label_name}", load(label_name), len(found.codes), are_many=are_many)
    ids = ids_of_array(source, load(IDS), len(found.codes)) if IDS in names else None
    return content_of(source, facts or Facts(found.bits), Items(found.codes, ids, labels), found.remarks)


def ids_of_array(source: str, array: NDArray[Any], items: int) -> list[str]:
    """Ids of an array of text or of integers.

    Raises:
        TypeError: an array of something else.
        ValueError: another number of them.
    """
    if array.dtype.kind not in "Uiu":
        raise TypeError(f"{source}: {IDS}: expected text or integers, got {array.dtype}")
    ids = array.reshape(-1).tolist()
    if len(ids) != items:
        raise ValueError(f"{source}: {IDS}: expected {items:,}, one for each code, got {len(ids):,}")
    return list(map(str, ids))


def _bits(source: str, facts: Facts | None, options: ImportOptions) -> int | None:
    if facts is not None and options.bits not in (None, facts.bits):
        raise ValueError(f"bits: expected {facts.bits} as in {source}, got {options.bits}")
    return options.bits if facts is None else facts.bits


def _text(source: str, array: NDArray[Any]) -> str:
    if array.dtype.kind != "U" or array.size != 1:
        raise VtsearchError(f"{source}: {KEY}: expected a text, got {array.dtype} {array.shape}")
    return str(array.reshape(-1)[0])
