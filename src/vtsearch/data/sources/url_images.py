"""Images behind URLs, fetched when they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vtsearch.data.sources.encoded_images import EncodedImages
from vtsearch.data.sources.fetch import FetchLimits, fetch, without_credentials
from vtsearch.errors import VtsearchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class UrlImages(EncodedImages):
    """Images behind URLs of http and https; their ids are the URLs, without names and passwords.

    Nothing is fetched before it is read. The image that was read last is kept, so that its facts and its pixels are
    those of one fetch.

    Args:
        urls: one per image.
        labels: as of ``EncodedImages``.
        classes: as of ``EncodedImages``.
        remarks: as of ``EncodedImages``.
        limits: of each fetch; by default those of ``FetchLimits``.
    """

    def __init__(
        self,
        urls: Sequence[str],
        labels: NDArray[Any] | None = None,
        classes: Sequence[str] = (),
        remarks: Sequence[str] = (),
        *,
        limits: FetchLimits | None = None,
    ) -> None:
        super().__init__([without_credentials(url) for url in urls], labels, classes, remarks)
        self._urls = urls
        self._limits = limits or FetchLimits()
        self._last: tuple[int, bytes | str] | None = None

    def read(self, position: int) -> bytes:
        """The encoded image at a position.

        Raises:
            VtsearchError: it cannot be fetched; see ``fetch``.
        """
        last = self._last
        if last is None or last[0] != position:
            last = self._last = position, self._fetched(position)
        if isinstance(last[1], str):
            raise VtsearchError(last[1])
        return last[1]

    def stamp(self, position: int) -> None:
        """None: a URL that an index has is taken to be unchanged, and not fetched again."""

    def _fetched(self, position: int) -> bytes | str:
        """The content, or why there is none."""
        try:
            return fetch(self._urls[position], self._limits)
        except VtsearchError as reason:
            return str(reason)
