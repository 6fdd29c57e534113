"""What a report is about: sets of codes, each with its scores, its pictures and where it comes from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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
    database_holds_queries: bool = False
    """Whether the queries are items of the database, each of which ignores itself."""


def ids_of(index: Index) -> Callable[[Sequence[int]], Mapping[int, str]]:
    """The function that gives the ids of items of an index."""
    return index.ids_at


def numbered(positions: Sequence[int]) -> dict[int, str]:
    """Ids of items that have none: their positions."""
    return {position: str(position) for position in positions}
