"""What scans the codes of a served index: this process, or others that have the same codes.

Ids, labels, metadata and pictures are the server's own, whatever scans.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from vtsearch._database import Database
    from vtsearch.index import Index


class Scans(Protocol):
    """The codes of one state of an index, as all that ranks and counts takes them; an ``Index`` is one."""

    def database(self, *, mask: ArrayLike | None = None, bits: int | None = None) -> Database:
        """As ``Index.database``; what answers its scans says so."""


class Engine(Protocol):
    """Scans the states of one index, each as long as requests ask for it."""

    def scans(self, index: Index) -> Scans:
        """What scans the state that a handle has.

        Raises:
            GenerationGoneError: the folder has another state by now.
            VtsearchError: what scans cannot be reached.
        """

    def close(self) -> None:
        """End what scans."""
