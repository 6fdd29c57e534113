"""What a report is about: sets of codes, each with its scores, its pictures and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING, Self

import numpy as np

from vtsearch._database import Database
from vtsearch.reports.markdown import ReportContext

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from vtsearch.evaluation import Evaluation
    from vtsearch.index import Index
    from vtsearch.reports.saved_run import SavedRun

Load = Callable[[int], "Image"]
"""The image of an item, by its position."""
Images = Callable[["Index"], Load | None]
"""How the images of an index are loaded; None for one that does not know its images."""


@dataclass(frozen=True, eq=False)
class Side:
    """The queries, or the database."""

    codes: Database
    labels: NDArray[np.generic] | None
    """int64 (n,), or 0/1 (n, classes)."""
    ids_at: Callable[[Sequence[int]], Mapping[int, str]]
    """Position -> id of some items."""
    load: Load | None = None

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def of(
        cls, codes: Database, labels: NDArray[np.generic] | None, index: Index | None = None, load: Load | None = None
    ) -> Self:
        """Codes with the ids of an index; without one, ids are positions."""
        return cls(codes, labels, numbered if index is None else index.ids_at, load)


@dataclass(frozen=True, eq=False)
class Pair:
    """Queries with the database that they search."""

    query: Side
    database: Side
    classes: Sequence[str] = ()
    """Class names by class id."""
    exclude: NDArray[np.int64] | None = None
    """(q,) the position in the database that each query ignores, -1 for none."""
    sampled: int | None = None
    """Items that the queries are a seeded sample of; None if they are all the queries there are."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One run or one index."""

    name: str
    """Of its folder."""
    method: str
    """What it is compared as; runs of one method and length differ in their seeds alone."""
    bits: int
    seed: int | None = None
    evaluation: Evaluation | None = None
    """None without labels."""
    context: ReportContext = field(default_factory=ReportContext)
    pair: Pair | None = None
    """None if the codes are gone, and the numbers alone are left."""
    queries: str = ""
    """Fingerprint of the queries and their order: average precisions of equal ones may be paired."""
    run: SavedRun | None = None
    leave_one_out: bool = False
    """Whether the queries are items of the database, each of which ignores itself."""

    @property
    def protocol(self) -> str:
        """The name of its protocol; of a folder of one's own images its last part."""
        path = PurePath(self.context.protocol)
        return path.name if path.is_absolute() else self.context.protocol

    @property
    def scores_of_codes(self) -> Evaluation | None:
        """The evaluation of the codes in ``pair``: of a run that of its final model, whichever epoch counts."""
        return self.evaluation if self.run is None else self.run.last


def numbered(positions: Sequence[int]) -> dict[int, str]:
    """Ids of items that have none: their positions."""
    return {position: str(position) for position in positions}
