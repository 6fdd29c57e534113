"""Evaluation over the processes of ``torch.distributed``, each of which holds one part of the database."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vtsearch import _selection, _validate
from vtsearch._exclusions import checked_exclude
from vtsearch.evaluation.scoring import check_codes, checked_bits
from vtsearch.metrics import PrecisionSums, RelevanceHistograms
from vtsearch.metrics.by_index import sums_of_all
from vtsearch.metrics.histograms import histograms_of_all, labels_of
from vtsearch.scale.evaluation import evaluate_parts
from vtsearch.scale.processes import Processes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from vtsearch._database import Database
    from vtsearch._exclusions import Exclude
    from vtsearch._labels import Labels
    from vtsearch._selection import Selection
    from vtsearch.evaluation import Evaluation
    from vtsearch.metrics import Normalizer


def evaluate(
    query_codes: NDArray[np.uint8],
    db_codes: NDArray[np.uint8] | Database,
    query_labels: NDArray[np.generic],
    db_labels: NDArray[np.generic] | None = None,
    k: int | None = None,
    *,
    normalizer: Normalizer = "retrieved",
    bits: int | None = None,
    mask: ArrayLike | None = None,
    exclude: Exclude | None = None,
    threads: int | None = None,
) -> Evaluation:
    """All scores of a database of which every process of ``torch.distributed`` holds one part, in order of the ranks.

    Every process calls this with the same queries and settings and its own part, and gets the whole evaluation: that of
    ``vtsearch.evaluate`` on all items, to 1e-12. Counts go between processes, codes and labels never. Without a process
    group, the part is all.

    Args:
        query_codes: (q, bytes) uint8, packed; q at least 1.
        db_codes: (n, bytes) uint8 of the same width: the part of this process; n may be 0, but not everywhere.
        query_labels: int64 (q,), or 0/1 (q, classes).
        db_labels: int64 (n,), or 0/1 (n, classes): the same form; None with a ``Database`` that has labels.
        k: length of the list that counts, at least 1; None, or more than all parts have, means all items.
        normalizer: what average precision divides by: "retrieved", "relevant" or "min".
        bits: length of the codes, if their last byte has bits to spare; by default 8 per byte.
        mask: items of this part that count, as for ``vtsearch.evaluate``.
        exclude: positions that a query ignores, as for ``vtsearch.evaluate``: counted through all parts.
        threads: upper bound for this process; by default the CPUs that it may use.

    Raises:
        TypeError, ValueError: as ``vtsearch.evaluate``; queries or settings that differ between processes.
        RuntimeError: another process could not compare its part; names its rank and its error.
    """
    processes = Processes()
    sides = query_codes, db_codes, query_labels, db_labels
    part = processes.in_all(lambda: _Part.checked(*sides, mask=mask, bits=bits, threads=threads))
    lengths = processes.gather(len(part.selection.database))
    if not sum(lengths):
        raise ValueError("db_codes: expected at least one code in one of the parts, got none")
    part = processes.in_all(lambda: part.without(exclude, lengths, processes.rank))
    processes.agree(**part.digests, k=str(k), bits=part.bits, normalizer=normalizer)
    counts = _Counts(processes, part)
    return evaluate_parts(
        counts.histograms,
        counts.sums,
        sum(lengths),
        k,
        normalizer=normalizer,
        bits=part.bits,
        excluded=sum(processes.gather(part.left_out)),
    )


@dataclass(frozen=True)
class _Part:
    """Checked arguments, and the items of this process."""

    selection: Selection
    labels: Labels
    gains: bool
    bits: int
    threads: int
    digests: dict[str, str]
    """Of what all processes must have in common."""

    @classmethod
    def checked(
        cls,
        query_codes: Any,
        db_codes: Any,
        query_labels: Any,
        db_labels: Any,
        *,
        mask: ArrayLike | None,
        bits: int | None,
        threads: int | None,
    ) -> _Part:
        """Raise what ``vtsearch.evaluate`` raises of this part."""
        selection = _selection.select(query_codes, db_codes, mask)
        check_codes("query_codes", [selection.queries.codes])  # those of the database have their width
        labels = labels_of(selection, query_labels, db_labels)
        array = _validate.as_array("query_labels", query_labels)
        digests = {"query_codes": _digest([selection.queries.codes]), "query_labels": _digest([array])}
        length = checked_bits(bits, selection.database.width)
        return cls(selection, labels, array.ndim == 2, length, _validate.thread_count(threads), digests)

    @property
    def left_out(self) -> int:
        """Pairs of a query and an item of this part that it excludes."""
        return 0 if self.selection.excluded is None else int(self.selection.excluded.counts().sum())

    def without(self, exclude: Exclude | None, lengths: Sequence[int], rank: int) -> _Part:
        """The same without the items that single queries exclude, by their positions in all parts.

        Raises:
            TypeError, ValueError: as ``checked_exclude``.
        """
        if exclude is None:
            return replace(self, digests=self.digests | {"exclude": ""})
        excluded, first = checked_exclude(exclude, len(self.selection.queries), sum(lengths)), sum(lengths[:rank])
        here = excluded.between(first, first + lengths[rank]).among(self.selection.database.mask)
        digests = self.digests | {"exclude": _digest([excluded.offsets, excluded.items])}
        return replace(self, selection=self.selection._replace(excluded=here), digests=digests)


class _Counts:
    """What this process counts, and with it all others."""

    def __init__(self, processes: Processes, part: _Part) -> None:
        self._processes, self._part = processes, part
        self._before: RelevanceHistograms | None = None

    def histograms(self) -> RelevanceHistograms:
        """Those of all parts."""
        part, added = self._part, self._processes.added
        found = self._processes.in_all(
            lambda: histograms_of_all(part.selection, None, labels=part.labels, threads=part.threads, gains=part.gains)
        )
        items, relevant = added(found.items), added(found.relevant)
        if self._processes.rank:
            self._before = RelevanceHistograms(items[1], relevant[1])
        if found.gains is None or found.exponential_gains is None or found.gain_counts is None:
            return RelevanceHistograms(items[0], relevant[0])
        columns = max(self._processes.gather(found.gain_counts.shape[1]))
        counts = np.pad(found.gain_counts, ((0, 0), (0, columns - found.gain_counts.shape[1])))
        gains = added(found.gains)[0], added(found.exponential_gains)[0], added(counts)[0]
        return RelevanceHistograms(items[0], relevant[0], *gains)

    def sums(self, whole: RelevanceHistograms, k: int) -> PrecisionSums:
        """Those of all parts."""
        part, before = self._part, self._before
        found = self._processes.in_all(
            lambda: sums_of_all(
                part.selection, part.labels, k, threads=part.threads, progress=None, whole=whole, before=before
            )
        )
        return PrecisionSums(self._processes.added(found.sums)[0], self._processes.added(found.retrieved)[0])


def _digest(arrays: Iterable[NDArray[Any]]) -> str:
    """Equal for equal arrays, and for no others."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
