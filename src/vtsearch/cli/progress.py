"""A bar on stderr if a person is watching, else nothing."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def counting(label: str, total: int) -> Iterator[Callable[[int], object]]:
    """A block of work on ``total`` images, which calls what it is given with every few that are done."""
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=" images", file=sys.stderr, disable=not sys.stderr.isatty()) as bar:
        yield bar.update
