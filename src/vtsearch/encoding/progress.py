"""A bar on a terminal over the images that are encoded."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tqdm import tqdm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO


@contextmanager
def counting(label: str, total: int, stream: TextIO | None) -> Iterator[Callable[[int], object]]:
    """A bar over work on `total` images; yields its update function. On another stream than a terminal it is silent."""
    silent = stream is None or not stream.isatty()
    with tqdm(total=total, desc=label, unit=" images", file=stream, disable=silent, leave=False) as bar:
        yield bar.update
