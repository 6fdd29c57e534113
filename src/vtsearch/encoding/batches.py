"""Batches of codes of very many images, and what makes them, in this process or elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from vtsearch.data.loading.tolerant_dataset import Fault
    from vtsearch.data.sources.file_facts import FileFacts
    from vtsearch.data.sources.image_source import ImageItems


class StageSeconds(NamedTuple):
    """Where the time of an encoding goes; what other processes do beside counts in full."""

    decode: float = 0.0
    """Reading images, over all processes that do."""
    model: float = 0.0
    """Forward passes."""
    waiting: float = 0.0
    """For images, where a model could have worked."""

    def plus(self, other: StageSeconds) -> StageSeconds:
        """The sum of each."""
        return StageSeconds(*map(sum, zip(self, other, strict=True)))


class EncodedBatch(NamedTuple):
    """Codes of a batch, with the images among it that could not be read."""

    rows: NDArray[np.int64]
    """(b,) rows of the positions."""
    codes: NDArray[np.uint8]
    """(b, bytes); where a row has a fault, its code is that of a black image."""
    faults: list[Fault]
    facts: list[FileFacts | None]
    """(b,) of the image files, before they were read."""
    seconds: StageSeconds = StageSeconds()


class BatchEncoder(Protocol):
    """What an encoding of very many images needs of an encoder, wherever its models are."""

    @property
    def bits(self) -> int:
        """Length of the codes."""

    @property
    def images_per_batch(self) -> int:
        """Of all batches but the last; rows that are encoded apart begin at multiples of it."""

    def fingerprints_of(self, source: ImageItems) -> dict[str, str]:
        """Identity of the codes of a source."""

    def batches(self, source: ImageItems, positions: Sequence[int] | NDArray[np.int64]) -> Iterator[EncodedBatch]:
        """Codes batch by batch, in the order of the positions; images that cannot be read are reported, not raised."""
